"""Of every kind of calls: a number beside its counts that no rule reads is told, in whatever object these stand."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from models.importers import importers
from models.logs.unread import is_no_usage
from models.logs.usage_names import counted_by
from pipelines.landing.read import Layout, Reader
from pipelines.landing.records import Records
from pipelines.landing.split import Piece
from pipelines.warehouse.connect import memory_connection
from tests.pipelines.landing.test_fuzz import EXAMPLES

_AT = "2026-11-02T09:00:00Z"
KINDS = {kind for kind, importer in importers().items() if importer.table == "raw.requests"}
TOLD_OTHERWISE = {
    # An unknown key is a count of other tokens.
    ("langfuse_export", ("usage_details",)),
    # A sum: what is read are the counts of the call beside it.
    ("codex_rollout", ("payload", "info", "total_token_usage")),
}
OWN: dict[str, dict[str, Any]] = {
    "ollama_response": {"model": "m", "created_at": _AT, "done": True, "prompt_eval_count": 10, "eval_count": 5},
    "openrouter_generation": {"data": {
        "id": "gen-1", "model": "m", "created_at": _AT, "native_tokens_prompt": 10, "native_tokens_completion": 5}},
    "sglang_request_metrics": {
        "id": "r1", "request_parameters": "{}", "request_received_ts": 1793610000.0, "prompt_tokens": 10,
        "completion_tokens": 5},
}  # fmt: skip
"""Records of kinds that the shared examples show by an answer in OpenAI's shape."""


def opened(node: Any) -> Any:
    return json.loads(node) if isinstance(node, str) and node.startswith(("{", "[")) else node


def places(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where objects with counts lie; a JSON text is looked into."""
    node = opened(node)
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    counts = [
        name for name, value in inner
        if isinstance(node, dict) and isinstance(value, int) and counted_by(str(name)) and not is_no_usage(str(name))
    ]  # fmt: skip
    if counts:
        yield above
    for name, value in (
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    ):
        yield from places(value, (*above, name))


def with_more(node: Any, place: tuple[Any, ...], more: dict[str, int]) -> Any:
    held = opened(node)
    if place:
        inner = with_more(held[place[0]], place[1:], more)
        held = [inner, *held[1:]] if isinstance(held, list) else held | {place[0]: inner}
    else:
        held = held | more
    return json.dumps(held) if isinstance(node, str) else held


def unread(kind: str, records: list[dict[str, Any]], form: str) -> list[str | None]:
    """Return what is told of records as JSON lines, CSV or a table, in their order."""
    written = io.StringIO()
    if form == "csv":
        csv.writer(written, lineterminator="\n").writerows(record.values() for record in records)
    else:
        written.writelines(f"{json.dumps(record)}\n" for record in records)
    layout = Layout("csv", header=tuple(records[0])) if form == "csv" else Layout("json")
    with memory_connection() as con:
        con.execute("SET threads = 1")
        reader = Reader(con, importers()[kind], {}, b"key")
        if form == "table":
            read = reader.read_table(pa.Table.from_pylist(records))
        else:
            read = reader.read(Records.of([(0, Piece(written.getvalue().encode(), 1, 0))]), layout)
        reader.close()
    assert read.rows is not None, (kind, read.refused)
    rows = read.rows.filter(pl.col("record_number") == 1).sort("ordinal")
    assert rows.height == len(records)
    return rows["unread_usage"].to_list() if "unread_usage" in rows.columns else [None] * rows.height


def test_a_number_beside_the_counts_of_any_call_is_told() -> None:
    for kind in sorted(KINDS):
        example = OWN.get(kind, EXAMPLES[kind][-1])
        # Where no name tells a count, they are the record's own fields.
        found = [place for place in places(example) if (kind, place) not in TOLD_OTHERWISE] or [()]

        told = unread(kind, [with_more(example, place, {"blue_tokens": 7}) for place in found], "json")

        for place, names in zip(found, told, strict=True):
            assert "blue_tokens" in (names or ""), (kind, place)


ROW = {"request_id": "r", "started_at": _AT, "provider": "openai", "input_uncached_tokens": 10}
FLAT: list[tuple[str, dict[str, Any], dict[str, Any], str | None]] = [
    ("requests", ROW, {"blue_tokens": 7}, "blue_tokens"),
    # No counts: bounds, speeds, sums, what is 0; what is read already.
    ("requests", ROW, {"max_tokens": 9, "tokens_per_second": 3, "total_tokens": 10, "blue_tokens": 0}, None),
    ("requests", ROW, {"prompt_tokens": 10, "cached_tokens": 4}, "cached_tokens"),
    ("ollama_response", OWN["ollama_response"], {"thinking_count": 3, "load_duration": 5}, "thinking_count"),
    ("litellm_spend_logs", EXAMPLES["litellm_spend_logs"][-1], {"audioTokens": 7}, "audioTokens"),
]  # fmt: skip


@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_a_field_of_a_flat_record_is_told_by_its_name(form: str) -> None:
    for kind, record, more, names in FLAT:
        if form in ("json", "table") or "csv" in importers()[kind].formats:
            assert unread(kind, [record | more], form) == [names], (kind, more)


ENVELOPED: list[tuple[str, dict[str, Any], str]] = [
    ("ollama_response", {"response": OWN["ollama_response"] | {"thinking_count": 3}}, "thinking_count"),
    ("openrouter_generation", {"data": OWN["openrouter_generation"]["data"] | {"native_tokens_blue": 7, "limit": 8}},
     "native_tokens_blue"),
    ("sglang_request_metrics",
     {"event": "request.finished", "rid": "r1", "request_received_ts": 1793610000.0, "out": {"meta_info": {
         "id": "r1", "prompt_tokens": 10, "completion_tokens": 5, "e2e_latency": 1.5, "blue_tokens": 7}}},
     "blue_tokens"),
    ("watsonx_response", {"started_at": _AT, "response": {"model_id": "m", "results": [
        {"input_token_count": 10, "generated_token_count": 5, "blue_token_count": 7}]}}, "results[0].blue_token_count"),
]  # fmt: skip


def test_so_is_one_of_a_flat_answer_in_an_envelope() -> None:
    for kind, record, names in ENVELOPED:
        assert unread(kind, [record], "json") == [names], kind
