"""A record of each gateway's and observer's log, as their documentation shows them."""

import json
from collections.abc import Callable
from typing import Any

_AT = "2026-11-02T09:00:00Z"
_MODEL = "gpt-5-mini"


def _usage(number: int) -> dict[str, int]:
    return {"prompt_tokens": 10, "completion_tokens": number, "total_tokens": 10 + number}


GATEWAYS: dict[str, Callable[[int], dict[str, Any]]] = {
    "portkey_log": lambda n: {
        "id": f"p{n}", "created_at": _AT, "ai_org": "openai", "ai_model": _MODEL, "req_units": 10, "res_units": n,
        "total_units": 10 + n, "cost": 0.1, "cost_currency": "USD", "response_time": 900, "is_success": 1,
        "response": {"body": {"id": f"chatcmpl-{n}", "model": _MODEL, "usage": _usage(n)}},
    },
    "bifrost_log": lambda n: {
        "id": f"b{n}", "timestamp": _AT, "object": "chat.completion", "provider": "openai", "model": _MODEL,
        "number_of_retries": 0, "fallback_index": 0, "selected_key_id": "k", "latency": 900.5, "status": "success",
        "cost": 0.001, "token_usage": _usage(n),
    },
    "cloudflare_ai_gateway": lambda n: {
        "id": f"c{n}", "created_at": _AT, "provider": "openai", "model": _MODEL, "tokens_in": 10, "tokens_out": n,
        "cached": False, "success": True, "status_code": 200, "duration": 900, "cost": 0.001,
    },
    "cloudflare_logpush": lambda n: {
        "Timestamp": _AT, "Gateway": "g", "Endpoint": "/v1/chat/completions", "Provider": "openai", "Model": _MODEL,
        "StatusCode": 200, "Cached": False,
        "Metrics": {"cost": 0.001, "durationMs": 900, "tokensIn": 10, "tokensOut": n},
    },
    "kong_ai": lambda n: {
        "started_at": 1793610000000 + n, "latencies": {"request": 900}, "request": {"id": f"k{n}"},
        "response": {"status": 200},
        "ai": {"proxy": {"usage": _usage(n), "meta": {"provider_name": "openai", "request_model": _MODEL}}},
    },
    "envoy_ai_gateway": lambda n: {
        "x-request-id": f"e{n}", "start_time": _AT, "duration": 900, "response_code": 200, "genai_model_name": _MODEL,
        "genai_backend_name": "default/openai/route", "genai_tokens_input": 10, "genai_tokens_output": n,
    },
    "databricks_ai_gateway": lambda n: {
        "request_id": f"d{n}", "event_time": _AT, "destination_type": "PAY_PER_TOKEN_FOUNDATION_MODEL",
        "destination_model": "gpt-oss-20b", "input_tokens": 10, "output_tokens": n, "total_tokens": 10 + n,
        "token_details": json.dumps({"cache_read_input_tokens": "4"}), "latency_ms": 900,
    },
    "databricks_endpoint_usage": lambda n: {
        "databricks_request_id": f"de{n}", "request_time": _AT, "served_entity_id": "s", "entity_name": "gpt-oss-20b",
        "input_token_count": 10, "output_token_count": n, "status_code": 200,
    },
    "snowflake_ai_gateway": lambda n: {
        "REQUEST_ID": f"s{n}", "START_TIME": _AT, "GATEWAY_NAME": "g", "CREDITS": 0.01,
        "OPERATION_DETAILS": {"claude-sonnet-5": {"input_tokens": 10, "output_tokens": n}},
    },
    "snowflake_ai_functions": lambda n: {
        "START_TIME": _AT, "END_TIME": "2026-11-02T10:00:00Z", "FUNCTION_NAME": "AI_COMPLETE", "QUERY_ID": f"q{n}",
        "MODEL_NAME": "claude-sonnet-5", "CREDITS": 0.000123456, "METRICS": [
            {"key": {"metric": "input", "unit": "tokens"}, "value": 10},
            {"key": {"metric": "output", "unit": "tokens"}, "value": n},
        ],
    },
    "snowflake_cortex": lambda n: {
        "REQUEST_ID": f"sc{n}", "START_TIME": "1793610000.000000000 1440", "MODEL_NAME": "claude-sonnet-5",
        "TOKENS": 10 + n, "TOKENS_GRANULAR": json.dumps({"input": 8, "cache_read_input": 2, "output": n}),
    },
    "langsmith_run": lambda n: {
        "id": f"l{n}", "trace_id": "t", "run_type": "llm", "start_time": _AT, "prompt_tokens": 10,
        "completion_tokens": n, "total_tokens": 10 + n,
        "extra": {"metadata": {"ls_provider": "openai", "ls_model_name": _MODEL}},
    },
    "datadog_llm_obs": lambda n: {
        "span_id": f"o{n}", "trace_id": "t", "parent_id": "undefined", "start_ns": 1793610000 * 10**9, "duration": 9e8,
        "meta": {"kind": "llm", "model_name": _MODEL, "model_provider": "openai"},
        "metrics": {"input_tokens": 10, "output_tokens": n, "total_tokens": 10 + n},
    },
    "phoenix_spans": lambda n: {
        "id": "U3Bhbjoy", "name": "ChatCompletion", "context": {"trace_id": "5acf109a", "span_id": f"a{n}"},
        "span_kind": "LLM", "parent_id": None, "start_time": _AT, "end_time": "2026-11-02T09:00:01Z",
        "status_code": "OK", "attributes": {
            "llm.system": "openai", "llm.model_name": _MODEL, "llm.token_count.prompt": 10,
            "llm.token_count.completion": n, "llm.token_count.total": 10 + n,
        },
    },
    "dynamo_request_trace": lambda n: {
        "schema": "dynamo.request.trace.v1", "event_type": "request_end", "event_time_unix_ms": 1793610002000,
        "request": {
            "request_id": f"y{n}", "model": "llama-3.3-70b", "request_received_ms": 1793610000000, "input_tokens": 10,
            "output_tokens": n, "cached_tokens": 4, "ttft_ms": 100.0, "prefill_wait_time_ms": 1.5,
            "worker": {"prefill_worker_id": 11, "decode_worker_id": 22},
        },
    },
    "runware_task": lambda n: {
        "taskType": "textInference", "taskUUID": f"w{n}", "model": "deepseek:v4@pro", "started_at": _AT,
        "cost": 0.0002025, "usage": {"promptTokens": 10, "completionTokens": n, "totalTokens": 10 + n},
    },
    "traceloop_spans": lambda n: {
        "timestamp": 1793610000000, "trace_id": "a1b3", "span_id": f"t{n}", "parent_span_id": "", "duration": 1850,
        "service_name": "bot", "status_code": "STATUS_CODE_UNSET", "span_attributes": {
            "llm.vendor": "openai", "llm.request.model": _MODEL, "llm.usage.input_tokens": "10",
            "llm.usage.output_tokens": str(n), "llm.usage.total_tokens": str(10 + n),
        },
    },
}  # fmt: skip


GATEWAY_NAMES = {
    "portkey_log": frozenset({
        "ai_org", "ai_provider", "ai_model", "config", "virtual_key", "organisation_id", "workspace_slug",
        "prompt_slug", "mode",
    }),
    "bifrost_log": frozenset({
        "provider_request_id", "parent_request_id", "alias", "routing_rule_name", "routing_rule_id",
        "selected_key_name", "customer_id", "team_name", "virtual_key_name", "virtual_key_id", "number_of_retries",
    }),
    "cloudflare_ai_gateway": frozenset({"event_id", "gateway_id", "step"}),
    "cloudflare_logpush": frozenset({"Provider", "Model", "RequestedModel", "Gateway", "RoutingReason"}),
    "envoy_ai_gateway": frozenset({
        "x-request-id", "x_request_id", "genai_response_id", "genai_provider_name", "gen_ai.provider.name",
        "genai_backend_name", "backend_name", "route_name", "upstream_cluster", "genai_model_name",
        "genai_model_name_override", "model_name_override", "genai_response_model", "x-tenant-id", "x-user-id",
        "session.id", "upstream_host",
    }),
    "databricks_ai_gateway": frozenset({
        "databricks_request_id", "destination_provider", "endpoint_name", "destination_model", "destination_name",
        "requester",
    }),
    "databricks_endpoint_usage": frozenset({
        "databricks_request_id", "client_request_id", "entity_name", "served_entity_name", "endpoint_name",
        "served_entity_id", "requester",
    }),
    "snowflake_ai_gateway": frozenset({
        "REQUEST_ID", "GATEWAY_NAME", "GATEWAY_ID", "USER_NAME", "USER_ID", "INFERENCE_REGION", "CREDITS",
    }),
    "snowflake_ai_functions": frozenset({
        "QUERY_ID", "FUNCTION_NAME", "MODEL_NAME", "START_TIME", "USAGE_TIME", "USER_NAME", "USER_ID", "CREDITS",
        "TOKENS", "TOKEN_CREDITS",
    }),
    "snowflake_cortex": frozenset({"REQUEST_ID", "MODEL_NAME", "USER_NAME", "USER_ID", "INFERENCE_REGION"}),
    "langsmith_run": frozenset({
        "parent_run_id", "ls_model_name", "session_name", "project_name", "thread_id", "name",
    }),
    "datadog_llm_obs": frozenset({
        "span_id", "parent_id", "span_kind", "model_provider", "model_name", "ml_app", "service",
    }),
    "phoenix_spans": frozenset({
        "context.trace_id", "context.span_id", "span_id", "parent_id", "span_kind", "attributes.llm.system",
        "attributes.llm.provider", "attributes.llm.model_name", "attributes.embedding.model_name",
        "attributes.reranker.model_name", "attributes.session.id", "attributes.user.id",
        "attributes.gen_ai.provider.name", "attributes.gen_ai.system", "attributes.gen_ai.request.model",
        "attributes.gen_ai.response.model", "attributes.gen_ai.response.id", "attributes.gen_ai.conversation.id",
    }),
    "runware_task": frozenset({"taskUUID", "imageUUID", "videoUUID", "audioUUID"}),
    "traceloop_spans": frozenset({"span_id", "parent_span_id", "service_name", "scope_name"}),
}  # fmt: skip
"""Top-level fields whose text is a name, which is kept."""


def gateway_record(kind: str, number: int) -> dict[str, Any]:
    """Return a record of a kind whose id and output are told by a number."""
    return GATEWAYS[kind](number)
