"""A record of each log and each usage report of clouds and providers, as their documentation shows them."""

import json
from collections.abc import Callable
from typing import Any

_AT, _END = "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z"


def _answer(number: int, said: str, *, by: str = "chatcmpl") -> str:
    body = {
        "id": f"{by}-{number:06d}", "object": "chat.completion", "model": "gpt-4o-2024-11-20",
        "created": 1793610000, "choices": [{"message": {"content": said}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": number, "total_tokens": 10 + number},
    }  # fmt: skip
    return json.dumps(body)


def _vertex(number: int) -> dict[str, Any]:
    return {
        "metric": {"type": "aiplatform.googleapis.com/publisher/online_serving/token_count",
                   "labels": {"type": "output", "request_type": "shared"}},
        "resource": {"type": "aiplatform.googleapis.com/PublisherModel",
                     "labels": {"model_user_id": "gemini-2.5-flash", "location": "us-central1"}},
        "points": [{"interval": {"startTime": _AT, "endTime": _END}, "value": {"int64Value": str(number)}}],
    }  # fmt: skip


CLOUDS: dict[str, Callable[[int, str], dict[str, Any]]] = {
    "azure_openai_diag": lambda n, said: {
        "time": "2026-11-02T09:00:01.5Z", "category": "RequestResponse", "operationName": "ChatCompletions_Create",
        "correlationId": f"9d3a0000-0000-4000-8000-{n:012d}", "durationMs": 900, "resultSignature": "200",
        "location": "eastus", "resourceId": "/SUBSCRIPTIONS/S/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/A1",
        "properties": {"requestTime": 639292068000000000, "responseTime": 639292068009000000, "requestBody": said,
                       "modelDeploymentName": "chat", "modelName": "gpt-4o", "modelVersion": "2024-11-20",
                       "responseBody": _answer(n, said)},
    },
    "apim_llm_log": lambda n, said: {
        "TimeGenerated": _AT, "CorrelationId": f"c-{n:06d}-x", "RequestId": "r", "PromptTokens": 10,
        "CompletionTokens": n, "TotalTokens": 10 + n, "ModelName": "gpt-4o", "DeploymentName": "chat",
        "OperationName": "ChatCompletions_Create", "SequenceNumber": 0, "RequestMessages": said,
        "ResponseMessages": [{"content": said}],
    },
    "sagemaker_data_capture": lambda n, said: {
        "captureData": {
            "endpointInput": {"mode": "INPUT", "encoding": "JSON", "data": json.dumps({"inputs": said})},
            "endpointOutput": {"mode": "OUTPUT", "encoding": "JSON", "data": _answer(n, said, by="cmpl-v")},
        },
        "eventMetadata": {"eventId": f"e-{n:06d}-x", "inferenceTime": _AT, "customAttributes": [said]},
        "eventVersion": "0",
    },
    "cloudwatch_metrics": lambda n, said: {
        "metric_stream_name": said, "account_id": "1", "region": "us-east-1", "namespace": "AWS/Bedrock",
        "metric_name": "InputTokenCount", "dimensions": {"ModelId": "amazon.nova-lite-v1:0"},
        "timestamp": 1793610000000, "value": {"count": 1.0, "sum": float(n), "max": 1.0, "min": 1.0}, "unit": "Count",
    },
    "gcp_monitoring": lambda n, said: _vertex(n) | {"metadata": {"userLabels": {"note": said}}},
    "azure_monitor_metrics": lambda n, said: {
        "cost": 1, "timespan": said, "interval": "PT1H",
        "value": [{"name": {"value": "ProcessedPromptTokens"}, "timeseries": [
            {"metadatavalues": [{"name": {"value": "modelname"}, "value": "gpt-4o"}],
             "data": [{"timeStamp": _AT, "total": float(n)}]}]}],
    },
    "apim_token_metrics": lambda n, said: {
        "timestamp": _AT, "name": "Prompt Tokens", "value": n, "valueSum": n, "valueCount": 1,
        "customDimensions": {"API ID": "a", "Client IP address": said, "Model": "gpt-4o"},
    },
    "anthropic_analytics": lambda n, said: {
        "starting_at": _AT, "ending_at": _END, "group": {"model": "claude-sonnet-5", "session_id": said},
        "usage": {"uncached_input_tokens": 10, "cache_read_input_tokens": 0, "output_tokens": n, "requests": 1,
                  "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}},
    },
    "anthropic_claude_code": lambda n, said: {
        "date": "2026-11-02T00:00:00Z", "actor": {"type": "user_actor", "email_address": "a@example.com"},
        "organization_id": "o", "customer_type": "api", "terminal_type": "vscode", "tool_actions": {"note": said},
        "core_metrics": {"num_sessions": 1},
        "model_breakdown": [{"model": "claude-sonnet-5", "tokens": {
            "input": 10, "output": n, "cache_read": 3, "cache_creation": 2},
            "estimated_cost": {"currency": "USD", "amount": 1}}],
    },
    "openrouter_activity_counts": lambda n, said: {
        "date": "2026-11-02", "model": "openai/gpt-5-mini", "endpoint_id": "e", "provider_name": "OpenAI",
        "requests": n, "prompt_tokens": 10, "completion_tokens": 5, "reasoning_tokens": 2, "note": said,
    },
}  # fmt: skip

CLOUD_NAMES: dict[str, frozenset[str]] = {
    "azure_openai_diag": frozenset({"correlationId", "location", "Tenant", "resourceId"}),
    "apim_llm_log": frozenset({
        "CorrelationId", "ModelName", "DeploymentName", "Region", "Location", "ResourceId", "_ResourceId", "UserId",
        "ProductId", "IsStreamCompletion",
    }),
    "cloudwatch_metrics": frozenset({"account_id", "region"}),
    "anthropic_claude_code": frozenset({
        "organization_id", "terminal_type", "customer_type", "subscription_type",
    }),
    "openrouter_activity_counts": frozenset({"endpoint_id"}),
}  # fmt: skip
"""Top-level fields whose text is a name, which is kept."""


def cloud_record(kind: str, number: int, said: str = "x") -> dict[str, Any]:
    """Return a record of a kind that is told by a number, with what was said wherever it may stand."""
    return CLOUDS[kind](number, said)
