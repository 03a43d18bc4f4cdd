"""OTLP spans: old and new names, the specification's own examples, Langfuse's SDK, and what is no inference."""

import json
import re
from typing import Any

import polars as pl
import pytest

from tests.models.logs.reading import read_one, read_records, shared, tokens_of

KIND = "otel_genai"
START, END = "1772359200000000000", "1772359203500000000"


def attribute(key: str, value: Any) -> dict[str, Any]:
    kinds = {str: "stringValue", bool: "boolValue", float: "doubleValue", int: "intValue"}
    return {"key": key, "value": {kinds[type(value)]: str(value) if type(value) is int else value}}


def span(attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    plain = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "kind": 3,
        "startTimeUnixNano": START,
        "endTimeUnixNano": END,
        "status": {"code": 1},
    }
    return plain | more | {"attributes": [attribute(*item) for item in attributes.items()]}


def export(*spans: Any, **resource: str) -> dict[str, Any]:
    held = {"attributes": [attribute(key.replace("_", "."), value) for key, value in resource.items()]}
    return {
        "resourceSpans": [
            {"resource": held, "scopeSpans": [{"scope": {"name": "demo"}, "spans": list(spans)}]}
        ]
    }


NEW = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-x",
    "gen_ai.response.model": "gpt-x-2026-01-01",
    "gen_ai.response.id": "chatcmpl-s2",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.cache_read.input_tokens": 400,
    "gen_ai.usage.cache_creation.input_tokens": 100,
    "gen_ai.usage.output_tokens": 200,
    "gen_ai.usage.reasoning.output_tokens": 50,
    "gen_ai.response.time_to_first_chunk": 0.42,
    "gen_ai.conversation.id": "talk-1",
    "openai.response.service_tier": "priority",
}
OLD = {
    "llm.request.type": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-x",
    "gen_ai.response.model": "gpt-x-2026-01-01",
    "gen_ai.response.id": "chatcmpl-s2",
    "gen_ai.usage.prompt_tokens": 1000,
    "gen_ai.usage.cache_read_input_tokens": 400,
    "gen_ai.usage.cache_creation_input_tokens": 100,
    "gen_ai.usage.completion_tokens": 200,
    "gen_ai.usage.reasoning_tokens": 50,
    "llm.usage.total_tokens": 1200,
    "gen_ai.openai.response.service_tier": "priority",
}
OPENINFERENCE = {
    "llm.model_name": "gpt-x",
    "llm.token_count.prompt": 1000,
    "llm.token_count.prompt_details.cache_read": 400,
    "llm.token_count.prompt_details.cache_write": 100,
    "llm.token_count.completion": 200,
    "llm.token_count.completion_details.reasoning": 50,
    "llm.token_count.total": 1200,
}
# input 1,000 holds 400 read and 100 written; output 200 holds 50 of reasoning
TOKENS = {
    "input_uncached": 500,
    "cache_read": 400,
    "cache_write_5m": 100,
    "output_text": 150,
    "reasoning": 50,
}


@pytest.mark.parametrize("names", [NEW, OLD, OPENINFERENCE], ids=["new", "old", "openinference"])
def test_every_spelling_has_the_same_tokens(names):
    row = read_one(KIND, export(span(names), service_name="api", cloud_region="eu-west-1"))
    assert tokens_of(row) == TOKENS
    assert (row["requested_model"], row["team"], row["region"]) == ("gpt-x", "api", "eu-west-1")
    assert (row["usage_source"], row["operation"], row["status"]) == ("provider", "chat", "ok")


def test_where_both_spellings_stand_the_new_one_counts_once():
    row = read_one(KIND, export(span(OLD | NEW | {"gen_ai.usage.prompt_tokens": 7})))
    assert tokens_of(row) == TOKENS


def test_times_tier_session_and_first_token_are_read():
    row = read_one(KIND, export(span(NEW)))
    assert row["started_at"].isoformat() == "2026-03-01T10:00:00+00:00"
    assert row["finished_at"].isoformat() == "2026-03-01T10:00:03.500000+00:00"
    assert row["first_token_at"].isoformat() == "2026-03-01T10:00:00.420000+00:00"
    assert (row["service_tier"], row["session_id"]) == ("priority", "talk-1")
    assert row["served_model"] == "gpt-x-2026-01-01"


def test_an_exclusive_count_is_read_as_such_and_estimated():
    names = {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "anthropic",
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.cache_read.input_tokens": 4000,
        "gen_ai.usage.output_tokens": 300,
    }
    row = read_one(KIND, export(span(names)))
    assert tokens_of(row) == {"input_uncached": 120, "cache_read": 4000, "output_text": 300}
    assert row["usage_source"] == "estimated"


def test_tools_and_empty_exports_are_ignored_an_agents_tokens_are_a_sum_and_none_is_lost():
    tool = span({"gen_ai.operation.name": "execute_tool"})
    agent = span({"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 1000})
    plain = span({"http.method": "GET"})
    rows = read_records(KIND, [export(tool, agent, plain, span(NEW)), {"resourceSpans": []}, export()])
    assert rows.group_by("line_number").agg(pl.col("is_ignored").sum(), pl.len()).sort("line_number").rows() == [
        (1, 2, 4), (2, 1, 1), (3, 1, 1)]  # fmt: skip
    assert rows.filter("is_sum").select("line_number", "record_number").rows() == [(1, 2)]
    assert rows["record_number"].to_list() == [1, 2, 3, 4, 1, 1]


def test_a_call_without_usage_is_missing_and_not_zero():
    names = {name: value for name, value in NEW.items() if "usage" not in name}
    row = read_one(KIND, export(span(names)))
    assert (row["usage_source"], row["input_uncached_tokens"]) == ("missing", None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"attributes": NEW | {"gen_ai.usage.output_tokens": "many"}}, "bad_value"),
        ({"attributes": NEW | {"gen_ai.usage.output_tokens": 10}}, "negative_tokens"),
        ({"attributes": NEW | {"gen_ai.usage.total_tokens": 5}}, "tokens_do_not_add_up"),
        ({"startTimeUnixNano": None}, "missing_started_at"),
        ({"startTimeUnixNano": "soon"}, "bad_value"),
        ({"endTimeUnixNano": "99999999999999999999"}, "bad_value"),
        ({"attributes": {"gen_ai.operation.name": "chat"}, "spanId": None}, "missing_request_id"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(change, reason):
    names = change.pop("attributes", NEW)
    rows = read_records(KIND, [export(span(names, **change))])
    assert rows["quarantine_reason"].to_list() == [reason]


def test_a_server_span_names_its_replica_and_a_client_span_does_not():
    resource = {"k8s_pod_name": "llm-0"}
    assert read_one(KIND, export(span(NEW, kind=2), **resource))["replica_id"] == "llm-0"
    assert read_one(KIND, export(span(NEW), **resource))["replica_id"] is None


def test_the_spans_of_the_specification_have_the_tokens_that_it_states():
    tables: list[dict[str, str]] = []
    for line in shared("log-otel-genai/examples-llm-calls.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| Property"):
            tables.append({})
        cells = re.match(r"\| `?([\w. ]+?)`? +\| `(.+?)` +\|", line)
        if cells and tables:
            tables[-1][cells[1]] = cells[2]
    spans = []
    for number, table in enumerate(tables):
        names = {key: json.loads(value) for key, value in table.items() if "." in key and value[0] != "["}
        spans.append(span(names, spanId=f"{number:016x}"))
    rows = read_records(KIND, [export(*spans)])
    chats = [table for table in tables if "gen_ai.usage.input_tokens" in table]
    kept = rows.filter(~pl.col("is_ignored"))
    assert kept.height == len(chats) == 12
    stated = [(int(t["gen_ai.usage.input_tokens"]), int(t["gen_ai.usage.output_tokens"])) for t in chats]
    reasoning = pl.col("output_text_tokens") + pl.col("reasoning_tokens")
    assert kept.select("input_uncached_tokens", reasoning).rows() == stated


def plain(value: Any) -> Any:
    """Turn the fixture's 64-bit pairs into the numbers that they stand for."""
    if isinstance(value, dict) and set(value) == {"low", "high", "unsigned"}:
        return str((value["high"] << 32) + (value["low"] & 0xFFFFFFFF))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_spans_as_langfuse_receives_them_have_their_tokens():
    lines = shared("log-langfuse-otel/otel_spans.jsonl").read_text(encoding="utf-8").splitlines()
    exports = []
    for line in lines:
        value = plain(json.loads(line)["value"])
        exports.append({"resourceSpans": value if isinstance(value, list) else [value]})
    rows = read_records(KIND, exports)
    kept = rows.filter(~pl.col("is_ignored")).rows(named=True)
    assert rows["is_ignored"].sum() == 1  # the SDK's plain span
    assert [tokens_of(row) for row in kept] == [
        {"input_uncached": 123, "output_text": 456},  # usage_details of Langfuse's SDK
        {"input_uncached": 14, "output_text": 96},  # openlit, new names, total 110
        {"input_uncached": 14, "output_text": 173},  # openllmetry, old names
    ]
    assert [row["quarantine_reason"] for row in kept] == [None] * 3
    assert "LLM Observability" not in rows.write_json()
