"""No prompt, completion or API key is kept: one of each is planted wherever a log may hold it, and all is searched."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest

from models.importers import importers
from pipelines.assets.raw import raw_assets
from pipelines.automation.runner import dagster_home
from pipelines.landing.retry import retry
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.landing.bills import BILLS, bill
from tests.pipelines.landing.clouds import CLOUD_NAMES, CLOUDS, cloud_record
from tests.pipelines.landing.gateways import GATEWAY_NAMES, GATEWAYS, gateway_record
from tests.pipelines.landing.lake import call, lake, query
from tests.pipelines.landing.test_fuzz import land_alone, span
from tests.pipelines.landing.vendors import LOG_KINDS, VENDOR_KINDS, VENDOR_NAMES, vendor_object
from tests.pipelines.small import gateway_row, make_project

PROMPT = "zebra crossing at midnight"
KEY = "sk-giraffe-0123456789"
MESSAGES = [{"role": "user", "content": PROMPT}]
ANSWER = {
    "id": "chatcmpl-000001", "object": "chat.completion", "created": 1793610000, "model": "m",
    "choices": [{"message": {"role": "assistant", "content": PROMPT, "reasoning_content": PROMPT}}],
    "content": [{"type": "text", "text": PROMPT}], "output": [{"content": [{"text": PROMPT}]}],
    "candidates": [{"content": {"parts": [{"text": PROMPT}]}}], "text": PROMPT, "completion": PROMPT,
    "message": {"content": PROMPT}, "prompt": PROMPT, "input": MESSAGES, "messages": MESSAGES,
    "error": {"message": PROMPT, "type": "overloaded", "code": "overloaded"},
    "results": [{"outputText": PROMPT, "generated_text": PROMPT}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "input_tokens": 10, "output_tokens": 5},
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
    "metadata": {"note": PROMPT},
}  # fmt: skip
STREAM = (
    "".join(f"data: {json.dumps({**ANSWER, 'delta': {'content': PROMPT}})}\n\n" for _ in range(2))
    + "data: [DONE]\n"
)
BESIDE = {
    "started_at": "2026-11-02T09:00:00Z",
    "api_key_id": KEY,
    "prompt": PROMPT,
    "messages": MESSAGES,
    "request": MESSAGES,
}
METADATA = {
    "error_information": {"error_class": "Timeout", "error_message": PROMPT, "traceback": PROMPT},
    "guardrail_information": [{"request": PROMPT}], "user_api_key_hash": KEY, "spend_logs_metadata": {"note": PROMPT},
}  # fmt: skip


OBSERVED: dict[str, list[dict[str, Any]]] = {
    "langfuse_export": [
        {
            "id": "o", "trace_id": "t", "type": "GENERATION", "start_time": "2026-11-02T09:00:00Z",
            "status_message": PROMPT,
            "usage_details": {"input": 10, "output": 5}, "model_parameters": {"stop": PROMPT},
            "metadata": {"user_api_key_hash": KEY, "note": PROMPT},
        }
    ],
    "helicone_export": [
        {
            "request_id": "r", "request_created_at": "2026-11-02T09:00:00Z", "provider": "OPENAI",
            "response_status": 200,
            "prompt_tokens": 10, "completion_tokens": 5, "proxy_key_id": KEY, "request_body": MESSAGES,
            "response_body": ANSWER, "properties": {"note": PROMPT}, "request_path": PROMPT,
        }
    ],
    "sglang_request_metrics": [
        {
            "id": "r", "request_parameters": json.dumps({"text": PROMPT}), "prompt_tokens": 10, "completion_tokens": 5,
            "request_received_ts": 1793610000.0, "finish_reason": {"type": "stop", "matched": PROMPT},
        },
        {
            "event": "request.finished", "rid": "r", "obj": {"text": PROMPT},
            "out": {"text": PROMPT, "meta_info": {"id": "r"}},
        },
    ],
    "vertex_request_log": [
        {
            "logging_time": "2026-11-02T09:00:00Z", "request_payload": [PROMPT], "response_payload": [PROMPT],
            "full_request": {"contents": MESSAGES, "labels": {"note": PROMPT}}, "full_response": ANSWER,
            "otel_log": {"body": PROMPT},
        }
    ],
    "claude_code_transcript": [
        {
            "type": "assistant", "uuid": "u", "timestamp": "2026-11-02T09:00:00Z", "sessionId": "s", "cwd": "/home/x",
            "message": {"id": "msg_1", "model": "m", "content": [{"text": PROMPT}],
                        "usage": {"input_tokens": 10, "output_tokens": 5, "note": PROMPT}},
            "toolUseResult": {"stdout": PROMPT},
        },
        {"type": "user", "sessionId": "s", "message": {"content": PROMPT}},
    ],
    "codex_rollout": [
        {"type": "session_meta", "timestamp": "2026-11-02T09:00:00Z", "payload": {"id": "s", "instructions": PROMPT}},
        {"type": "turn_context", "timestamp": "2026-11-02T09:00:00Z", "payload": {"model": "m", "summary": PROMPT}},
        {
            "type": "event_msg", "timestamp": "2026-11-02T09:00:01Z",
            "payload": {"type": "token_count", "note": PROMPT, "info": {
                "total_token_usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}}},
        },
    ],
    "openrouter_generation": [
        {"data": {"id": "gen-1", "created_at": "2026-11-02T09:00:00Z", "native_tokens_prompt": 10,
                  "native_tokens_completion": 5, "http_referer": PROMPT, "provider_responses": [{"id": PROMPT}]}},
    ],
}  # fmt: skip
"""Logs of gateways, servers and observers, which hold what was said beside what was counted."""


def spans() -> dict[str, Any]:
    traced = span(1)
    one = traced["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    for key in ("gen_ai.prompt.0.content", "gen_ai.input.messages", "gen_ai.completion.0.content", "llm.input_messages",
                "gen_ai.system_instructions", "input.value", "output.value"):  # fmt: skip
        one["attributes"].append({"key": key, "value": {"stringValue": PROMPT}})
    one["events"] = [
        {"name": "gen_ai.user.message", "attributes": [{"key": "c", "value": {"stringValue": PROMPT}}]}
    ]
    return traced


def records(kind: str) -> list[dict[str, Any]]:
    """Return records of a kind that hold a prompt, a completion and a key wherever they may stand."""
    if kind == "litellm_spend_logs":
        plain = gateway_row("chatcmpl-000001", "2026-11-02 09:00:00", api_key=KEY, metadata=METADATA)
        return [
            plain | {"messages": MESSAGES, "response": ANSWER, "proxy_server_request": {"body": MESSAGES}}
        ]
    if kind == "litellm_standard_payload":
        payload = gateway_row("chatcmpl-000001", "2026-11-02 09:00:00")
        payload |= {
            "startTime": 1793610000.0,
            "endTime": 1793610001.0,
            "id": "chatcmpl-000001",
            "response_cost": 0.1,
        }
        payload |= {"messages": MESSAGES, "response": ANSWER, "error_str": PROMPT, "metadata": METADATA}
        return [
            payload | {"error_information": METADATA["error_information"], "hidden_params": {"api_key": KEY}}
        ]
    if kind == "otel_genai":
        return [spans()]
    if kind == "bedrock_invocation_log":
        return [
            {
                "schemaType": "ModelInvocationLog", "timestamp": "2026-11-02T09:00:00Z", "requestId": "r-1",
                "modelId": "m", "operation": "Converse", "region": "us-east-1", "identity": {"arn": "arn:role/x"},
                "input": {"inputTokenCount": 10, "inputBodyJson": {"messages": MESSAGES}},
                "output": {"outputTokenCount": 5, "outputBodyJson": ANSWER},
            }
        ]  # fmt: skip
    if kind == "k8s_pod":
        secret = {
            "env": [{"name": "PROMPT", "value": PROMPT}, {"name": "KEY", "value": KEY}],
            "args": [PROMPT],
        }
        pod = {
            "kind": "Pod", "metadata": {"uid": "u", "labels": {"app": "a"}, "annotations": {"system-prompt": PROMPT},
                                        "creationTimestamp": "2026-11-02T09:00:00Z"},
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}} | secret]},
            "status": {"message": PROMPT, "conditions": [{"type": "Ready", "message": PROMPT}]},
        }  # fmt: skip
        return [pod, {"type": "ADDED", "object": pod}, {"kind": "List", "items": [pod]}]
    if kind == "k8s_event":
        event = {
            "kind": "Event", "metadata": {"name": PROMPT, "annotations": {"a": PROMPT}}, "message": PROMPT,
            "note": PROMPT,
            "involvedObject": {"kind": "Pod", "uid": "u", "name": PROMPT}, "reason": "Killing",
            "firstTimestamp": "2026-11-02T09:00:00Z", "related": {"name": KEY},
        }  # fmt: skip
        return [event, {"type": "ADDED", "object": event}, {"kind": "List", "items": [event]}]
    if kind in OBSERVED:
        return [record | {"input": MESSAGES, "output": PROMPT} for record in OBSERVED[kind]]
    if kind in CLOUDS:
        return [cloud_record(kind, 1, PROMPT) | {"prompt": PROMPT, "api_key": KEY}]
    if kind in GATEWAYS:
        said = {
            "prompt": PROMPT,
            "messages": MESSAGES,
            "inputs": PROMPT,
            "request_body": PROMPT,
            "note": PROMPT,
        }
        return [
            gateway_record(kind, 1) | said | {"metadata": {"note": PROMPT}, "api_key": KEY, "error": PROMPT}
        ]
    if kind == "replica_events":
        ready = {"replica_id": "r", "deployment": "d", "event": "ready", "event_at": "2026-11-02T09:00:00Z"}
        return [ready | {"prompt": PROMPT, "log": PROMPT}]
    if kind in {"prometheus", "router_metrics"}:
        counted = "vllm:prompt_tokens_total" if kind == "prometheus" else "dynamo_frontend_requests_total"
        name = {"__name__": counted, "model_name": "m", "prompt": PROMPT, "api_key": KEY}
        return [{"metric": name, "values": [[1793610000, "5"]], "prompt": PROMPT}]
    if kind == "k8s_ksm":
        held = {"uid": "u", "container": "c", "resource": "nvidia_com_gpu", "label_app": "a"}
        hidden = {"pod": PROMPT, "label_prompt": PROMPT, "annotation_key": KEY}
        samples = {
            "kube_pod_created": "1793610000", "kube_pod_labels": "1", "kube_pod_annotations": "1",
            "kube_pod_container_resource_requests": "1",
        }  # fmt: skip
        series = [
            {"metric": {"__name__": name, **held, **hidden}, "value": [1793610000, value]}
            for name, value in samples.items()
        ]
        return [{"data": {"resultType": "vector", "result": series}, "prompt": PROMPT}, *series]
    if kind in {"openai_usage_api", "anthropic_usage_report"}:
        counted = {
            "input_tokens": 1,
            "uncached_input_tokens": 1,
            "output_tokens": 1,
            "prompt": PROMPT,
            "api_key_id": KEY,
        }
        start, end = "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z"
        span = {"start_time": start, "end_time": end, "starting_at": start, "ending_at": end}
        return [span | {"results": [counted], "prompt": PROMPT}]
    if kind in BILLS:
        return [bill(kind, 1) | {"prompt": PROMPT}]
    if kind == "usage_counters":
        span = {"started_at": "2026-11-02T09:00:00Z", "finished_at": "2026-11-02T10:00:00Z"}
        return [span | {"provider": "p", "request_count": 1, "api_key_id": KEY, "prompt": PROMPT}]
    if kind == "outcomes":
        return [
            {"session_id": "s", "outcome": "ticket", "finished_at": "2026-11-02T09:00:00Z", "prompt": PROMPT}
        ]
    if kind in (*VENDOR_KINDS, *LOG_KINDS):
        return [vendor_object(kind, 1) | {"prompt": PROMPT, "api_key": KEY}]
    if kind == "voyage_response":
        return [
            BESIDE
            | {"object": "list", "model": "m", "usage": {"total_tokens": 10}, "data": [{"text": PROMPT}]}
        ]
    if kind == "requests":
        return [call(1, api_key_id=KEY, prompt=PROMPT, messages=MESSAGES, response=ANSWER)]
    return [
        ANSWER | BESIDE,
        BESIDE | {"response": ANSWER},
        BESIDE | {"response": STREAM},
        BESIDE | {"response": PROMPT},
    ]


def broken(kind: str, whole: list[dict[str, Any]]) -> Iterator[str]:
    """Yield records that are refused, with the prompt in the very field that is wrong."""
    text = json.dumps(whole[0] | {"prompt": PROMPT})
    yield text[: text.index(PROMPT) + len(PROMPT)]
    yield text + text
    yield text.replace("{", f'{{"prompt": "{PROMPT}", ', 1)
    yield json.dumps(PROMPT)
    yield json.dumps([PROMPT])
    for name in importers()[kind].columns:
        # What a bill says of a charge, and tags that a caller writes to split costs by, are kept as they are written.
        other_names = VENDOR_NAMES if kind in (*VENDOR_KINDS, *LOG_KINDS) else frozenset()
        is_name = name in _NAMES | (GATEWAY_NAMES | CLOUD_NAMES).get(kind, other_names)
        if not is_name and (kind, name) != ("requests", "tags") and kind not in BILLS:
            yield json.dumps(whole[0] | {name: PROMPT})
            yield json.dumps(whole[0] | {name: {"content": PROMPT}})


# What a log states as a name is a name: these fields are kept as they are.
_NAMES = {
    "request_id", "logical_request_id", "provider", "region", "route", "requested_model", "routed_model",
    "served_model", "replica_id", "service_tier", "batch_id", "tenant", "team", "user_id", "task_class",
    "session_id", "trace_id", "prefix_hash", "fallback_cause", "retry_of", "error_class", "deployment",
    "model", "chip", "commitment", "node", "reason", "custom_id", "id", "model_id", "model_group",
    "custom_llm_provider", "user", "team_id", "organization_id", "end_user", "request_tags",
    "litellm_call_id", "modelId", "requestId", "operation", "inferenceRegion", "errorCode", "generation_id",
    "response_id", "responseId", "modelVersion", "model_version", "identity", "accountId", "requestMetadata",
    "projectId", "project_id", "traceId", "sessionId", "userId", "environment", "release", "prompt_name", "promptName",
    "trace_name", "traceName", "usage_pricing_tier_name", "usagePricingTierName", "provided_model_name",
    "providedModelName", "request_model", "response_model", "model_override", "request_user_id", "helicone_user",
    "gateway_deployment_target", "gateway_router_id", "rid", "weight_version", "endpoint", "router", "provider_name",
    "data_region", "external_user", "workspace_id", "upstream_id",
    "parent_observation_id", "parentObservationId", "uuid", "agentId", "cwd",
    "created_by", "recordId", "key", "cluster", "serviceTier", "object", "status", "error", "counter", "project",
    "outcome", "outcome_id",
}  # fmt: skip


LANDED = (
    "requests", "litellm_spend_logs", "otel_genai", "openai_response", "bedrock_invocation_log", "langfuse_export",
    "codex_rollout", "replica_events", "k8s_pod", "k8s_ksm", "prometheus", "openai_usage_api", "focus", "outcomes",
)  # fmt: skip
"""Kinds of every table and of every form. What landing keeps of the others is searched kind by kind."""


@pytest.mark.parametrize("kind", importers())
def test_no_row_of_any_kind_holds_a_prompt_or_a_key(kind: str) -> None:
    whole = records(kind)

    outcome = land_alone(
        kind, "\n".join([*(json.dumps(record) for record in whole), *broken(kind, whole)]).encode()
    )

    assert outcome.usable.height > 0, "what is searched must be what lands"
    assert outcome.bad.height > 0
    for rows in (outcome.usable.to_dicts(), outcome.bad.to_dicts(), outcome.file):
        text = json.dumps(rows, default=str)
        assert PROMPT not in text
        assert KEY not in text


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A lake into which logs have landed through Dagster, with prompts in every place."""
    folder = tmp_path_factory.mktemp("private")
    lake(folder).lake.close()
    settings = "[warehouse]\nstart_on = 2026-11-01\n"
    for kind in LANDED:
        settings += f'[[sources]]\nname = "{kind}"\nkind = "{kind}"\npath = "landing/{kind}/*"\n'
        whole = records(kind)
        path = folder / "landing" / kind / "a.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join([*(json.dumps(record) for record in whole), *broken(kind, whole)]) + "\n")
        (path.parent / "b.parquet").write_bytes(b"PAR1" + PROMPT.encode())
    warehouse = Warehouse(make_project(folder, settings))
    with dg.DagsterInstance.from_config(str(dagster_home(warehouse.project))) as instance:
        result = dg.materialize(
            raw_assets(warehouse.project), resources={"warehouse": warehouse}, instance=instance
        )
    assert result.success
    list(retry(warehouse))
    return warehouse


def test_each_source_has_landed_and_refused_something(searched: Warehouse) -> None:
    assert {importers()[kind].table for kind in LANDED} == {one.table for one in importers().values()}
    rows = query(
        searched,
        "SELECT source FROM ops.landed_files WHERE landed_count > 0 AND quarantined_count > 0 ORDER BY 1",
    )

    assert [source for (source,) in rows] == sorted(LANDED)


@pytest.mark.parametrize("secret", [PROMPT, KEY])
def test_no_column_of_the_lake_holds_a_prompt_or_a_key(searched: Warehouse, secret: str) -> None:
    with searched.reading() as con:
        tables = con.execute(
            "SELECT DISTINCT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_catalog = 'nanodollar' AND table_type = 'BASE TABLE'"
        ).fetchall()
        found = [
            (name, row[0])
            for (name,) in tables
            for row in con.execute(
                f"SELECT t::VARCHAR FROM {name} t WHERE contains(t::VARCHAR, ?)", [secret]
            ).fetchall()
        ]

    assert len(tables) > 20
    assert found == []


@pytest.mark.parametrize("secret", [PROMPT, KEY])
def test_no_file_beside_the_landed_ones_holds_a_prompt_or_a_key(searched: Warehouse, secret: str) -> None:
    folder = searched.project.folder
    paths = [
        path
        for path in folder.rglob("*")
        if path.is_file() and "landing" not in path.relative_to(folder).parts
    ]

    found = [path for path in paths if secret.encode() in path.read_bytes()]
    # Parquet is compressed: its text is searched as DuckDB reads it.
    with duckdb.connect() as con:
        found += [
            path
            for path in paths
            if path.suffix == ".parquet"
            and con.execute(
                f"SELECT 1 FROM read_parquet('{path}') t WHERE contains(t::VARCHAR, ?)", [secret]
            ).fetchone()
        ]

    assert any(path.suffix == ".parquet" for path in paths)
    assert any(".dagster" in path.parts for path in paths)
    assert found == []


def test_a_key_becomes_the_same_hash_in_one_project_and_another_in_the_next(tmp_path: Path) -> None:
    hashes = []
    for name in ("a", "b"):
        warehouse = lake(tmp_path / name)
        (warehouse.project.folder / ".hash_key").unlink(missing_ok=True)
        path = warehouse.project.folder / "landing" / "calls" / "a.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"{json.dumps(call(number, api_key_id=KEY))}\n" for number in (1, 2)))
        dg.materialize(raw_assets(warehouse.project)[:1], resources={"warehouse": warehouse})
        hashes.append(query(warehouse, "SELECT DISTINCT api_key_id FROM raw.requests"))

    assert [len(found) for found in hashes] == [1, 1]
    assert hashes[0] != hashes[1]


def test_an_error_that_nobody_foresaw_quotes_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quoting(frame: pl.LazyFrame) -> pl.LazyFrame:
        raise KeyError(f"no model for {frame.collect()['task_class'][0]}")

    monkeypatch.setitem(importers(), "requests", replace(importers()["requests"], canonical=quoting))
    warehouse = lake(tmp_path)
    path = tmp_path / "landing/calls/a.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(call(1, task_class=PROMPT)) + "\n", encoding="utf-8")

    with dg.DagsterInstance.from_config(str(dagster_home(warehouse.project))) as instance:
        result = dg.materialize(
            raw_assets(warehouse.project),
            resources={"warehouse": warehouse},
            instance=instance,
            raise_on_error=False,
        )

    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "a.jsonl"]
    texts = [path.read_bytes() for path in kept]
    assert not result.success
    assert any(b"KeyError in test_privacy.py" in text for text in texts)
    assert not any(PROMPT.encode() in text for text in texts)
