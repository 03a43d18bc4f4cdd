"""Azure's and AWS' own logs of calls, as their documentation and fixtures show them."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.models.logs.reading import read_records, tokens_of
from tests.pipelines.landing.clouds import cloud_record

PLAIN = {"input_uncached": 10, "output_text": 7}
BODY = {
    "id": "chatcmpl-9", "object": "chat.completion.chunk", "model": "gpt-4o-2024-11-20", "choices": [],
    "created": 1793609998,
}  # fmt: skip
USAGE = {
    "prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17, "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}  # fmt: skip
CACHED = {"input_uncached": 6, "cache_read": 4, "output_text": 5, "reasoning": 2}
STREAM = f"data: {json.dumps(BODY)}\n\ndata: {json.dumps(BODY | {'usage': USAGE})}\n\ndata: [DONE]\n"


def diagnosed(**changes: Any) -> dict[str, Any]:
    """Return a record of an account's log without the bodies of the call."""
    record = cloud_record("azure_openai_diag", 7)
    held = {name: value for name, value in record["properties"].items() if not name.endswith("Body")}
    return record | {"properties": held | changes.pop("properties", {})} | changes


def gateway(category: str, **properties: Any) -> dict[str, Any]:
    return {
        "time": "2026-11-02T09:00:00Z", "category": category, "correlationId": "c-7-x", "resourceId": "/S/APIM1",
        "location": "West Europe", "properties": properties,
    }  # fmt: skip


def captured(data: Any, **changes: Any) -> dict[str, Any]:
    record = cloud_record("sagemaker_data_capture", 7)
    out = {"mode": "OUTPUT", "encoding": "JSON", "data": data} | changes
    return record | {"captureData": record["captureData"] | {"endpointOutput": out}}


NONE: dict[str, int] = {}
CALLS: dict[str, tuple[str, dict[str, Any], dict[str, int], dict[str, Any]]] = {
    "an account's log counts nothing": (
        "azure_openai_diag", diagnosed(), NONE,
        {"usage_source": "missing", "served_model": "gpt-4o-2024-11-20", "route": "chat", "region": "eastus",
         "started_at": datetime(2026, 11, 2, 9, tzinfo=UTC),
         "finished_at": datetime(2026, 11, 2, 9, 0, 0, 900000, tzinfo=UTC)},
    ),
    "with the answer logged, its usage": (
        "azure_openai_diag", diagnosed(properties={"responseBody": json.dumps(BODY | {"usage": USAGE})}), CACHED,
        {"usage_source": "provider", "dedupe_key": "id:chatcmpl-9"},
    ),
    "properties as text": (
        "azure_openai_diag", diagnosed() | {"properties": json.dumps(diagnosed()["properties"])}, NONE,
        {"route": "chat"},
    ),
    "a refusal": (
        "azure_openai_diag", diagnosed(resultSignature="429", durationMs=-4), NONE,
        {"status": "error", "error_class": "http_429"},
    ),
    "the LLM log of a gateway": (
        "azure_openai_diag",
        gateway("GatewayLlmLogs", promptTokens=10, completionTokens=7, totalTokens=17, modelName="gpt-4o",
                deploymentName="chat"),
        PLAIN, {"request_id": "c-7-x", "region": "westeurope", "route": "chat"},
    ),
    "a stream in the log of a gateway": (
        "azure_openai_diag",
        gateway("GatewayLogs", backendUrl="https://a.openai.azure.com/openai/deployments/chat/chat/completions?x",
                responseCode=200, backendResponseBody=STREAM),
        CACHED, {"route": "chat", "served_model": "gpt-4o-2024-11-20"},
    ),
    "the table of the LLM log": (
        "apim_llm_log", cloud_record("apim_llm_log", 7), PLAIN, {"request_id": "c-000007-x", "operation": "chat"},
    ),
    "the rest of a long message": (
        "apim_llm_log",
        cloud_record("apim_llm_log", 7) | {"PromptTokens": 0, "CompletionTokens": 0, "TotalTokens": 0,
                                           "SequenceNumber": 1},
        NONE, {"usage_source": "missing", "dedupe_key": "id:c-000007-x"},
    ),
    "a table of diagnostics": (
        "apim_llm_log",
        {"TimeGenerated": "2026-11-02T09:00:01Z", "Category": "RequestResponse", "CorrelationId": "d-1",
         "OperationName": "Embeddings_Create", "DurationMs": 1000,
         "properties_s": json.dumps({"modelDeploymentName": "e", "modelName": "text-embedding-ada-002",
                                     "modelVersion": "2"})},
        NONE, {"operation": "embedding", "served_model": "text-embedding-ada-002",
               "started_at": datetime(2026, 11, 2, 9, tzinfo=UTC)},
    ),
    "a capture": (
        "sagemaker_data_capture", cloud_record("sagemaker_data_capture", 7), PLAIN,
        {"provider": "aws.sagemaker", "request_id": "cmpl-v-000007",
         "finished_at": datetime(2026, 11, 2, 9, tzinfo=UTC)},
    ),
    "a capture in base64": (
        "sagemaker_data_capture",
        captured(base64.b64encode(json.dumps(BODY | {"usage": USAGE}).encode()).decode(), encoding="BASE64"), CACHED,
        {},
    ),
    "a captured stream": (
        "sagemaker_data_capture", captured(STREAM), CACHED,
        {"started_at": datetime(2026, 11, 2, 8, 59, 58, tzinfo=UTC)},
    ),
    "TGI's details": (
        "sagemaker_data_capture",
        captured(json.dumps([{"generated_text": "x", "details": {"generated_tokens": 7, "prefill": []}}])),
        {"output_text": 7}, {"usage_source": "missing", "request_id": "e-000007-x"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["azure_openai_diag", "apim_llm_log", "sagemaker_data_capture"])
def test_a_clouds_log_tells_of_calls_what_it_counts(kind: str) -> None:
    mine = {name: case for name, case in CALLS.items() if case[0] == kind}
    rows = read_records(kind, [record for _, record, _, _ in mine.values()])

    for (name, (_, _, tokens, told)), row in zip(mine.items(), rows.iter_rows(named=True), strict=True):
        assert (name, row["quarantine_reason"], row["is_ignored"]) == (name, None, False)
        assert (name, {key: count for key, count in tokens_of(row).items() if count}) == (name, tokens)
        assert (name, {column: row[column] for column in told}) == (name, told)
        assert (name, row["unread_usage"]) == (name, None)


def test_what_is_no_call_of_a_model_is_passed_over() -> None:
    rows = read_records("azure_openai_diag", [
        diagnosed(category="Audit", operationName="ListKey"),
        gateway("GatewayLogs", backendUrl="https://api.example.com/orders", responseCode=200),
    ])  # fmt: skip

    assert rows["is_ignored"].to_list() == [True, True]
