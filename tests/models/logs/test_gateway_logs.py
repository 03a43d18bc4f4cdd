"""Logs of gateways and observers: whose tokens are which, by records as their documentation shows them.

Each row names where its rule comes from; the figures are worked by hand.
"""

import json
from decimal import Decimal
from typing import Any

import pytest

from models.importers import fitting
from tests.models.logs.reading import read_one, read_records, tokens_of
from tests.pipelines.landing.gateways import GATEWAYS, gateway_record


def _row(kind: str, **changes: Any) -> dict[str, Any]:
    return gateway_record(kind, 300) | changes


_PORTKEY = {"body": {"id": "msg_1", "model": "claude-sonnet-4-5-20250929"}}
# Portkey's gateway 1.15 over Anthropic: the prompt excludes the cache, the total includes it.
_CLAUDE = {
    "prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 105, "cache_read_input_tokens": 60,
    "cache_creation_input_tokens": 20,
}  # fmt: skip
# What Portkey's gateway 1.15.2 answered here over an upstream that spoke Anthropic's, and one that spoke Gemini's API.
_CLAUDE_BY_GATEWAY = _CLAUDE | {"prompt_tokens_details": {"cached_tokens": 60}}
_GEMINI_BY_GATEWAY = {
    "prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 200,
    "completion_tokens_details": {"reasoning_tokens": 60, "audio_tokens": 0},
    "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 0},
}  # fmt: skip
_NATIVE = {"input_tokens": 20, "output_tokens": 5, "cache_read_input_tokens": 60}
_DETAILS = {
    "prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 1300,
    "prompt_tokens_details": {"cached_tokens": 640, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 192},
}  # fmt: skip
_OPENAI = {"input_uncached": 360, "cache_read": 640, "output_text": 108, "reasoning": 192}
_GEMINI = {
    "promptTokenCount": 100, "candidatesTokenCount": 40, "thoughtsTokenCount": 60, "totalTokenCount": 200,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 75}, {"modality": "AUDIO", "tokenCount": 25}],
}  # fmt: skip

TOKENS: dict[str, tuple[str, dict[str, Any], dict[str, int]]] = {
    "portkey_claude": (
        "portkey_log",
        {"response": {"body": _PORTKEY["body"] | {"usage": _CLAUDE}}, "ai_org": "anthropic"},
        {"input_uncached": 20, "cache_read": 60, "cache_write_5m": 20, "output_text": 5},
    ),
    "portkey_real_claude": (
        "portkey_log",
        {"response": {"body": _PORTKEY["body"] | {"usage": _CLAUDE_BY_GATEWAY}}, "ai_org": "anthropic"},
        {"input_uncached": 20, "cache_read": 60, "cache_write_5m": 20, "output_text": 5},
    ),
    "portkey_real_gemini": (
        "portkey_log",
        {"response": {"body": {"id": "portkey-1", "usage": _GEMINI_BY_GATEWAY}}, "ai_org": "google"},
        {"input_uncached": 70, "cache_read": 30, "output_text": 40, "reasoning": 60},
    ),
    "portkey_thoughts_in_the_total": (
        "portkey_log",
        {"ai_model": "gemini-2.5-pro", "ai_org": "google", "response": {"body": {"id": "portkey-2", "usage": {
            "prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 200}}}},
        {"input_uncached": 100, "output_text": 40, "reasoning": 60},
    ),
    "portkey_native_claude": (
        "portkey_log",
        {"response": {"usage": _NATIVE, "id": "msg_2"}, "ai_org": "anthropic", "total_units": None},
        {"input_uncached": 20, "cache_read": 60, "output_text": 5},
    ),
    "portkey_units_alone": ("portkey_log", {"response": None}, {"input_uncached": 10, "output_text": 300}),
    "portkey_body_as_text": (
        "portkey_log", {"response": None, "response.body": '{"usage": {"prompt_tokens": 7}}', "total_units": 307},
                             {"input_uncached": 7, "output_text": 300}),
    "bifrost_details": ("bifrost_log", {"token_usage": _DETAILS}, _OPENAI),
    "bifrost_claude": (
        "bifrost_log",
        {"token_usage": {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "prompt_tokens_details": {
            "cached_read_tokens": 60, "cached_write_tokens": 20,
            "cached_write_token_details": {"cached_write_tokens_5m": 15, "cached_write_tokens_1h": 5}}},
         "provider": "anthropic"},
        {"input_uncached": 20, "cache_read": 60, "cache_write_5m": 15, "cache_write_1h": 5, "output_text": 5},
    ),
    "bifrost_table": (
        "bifrost_log",
        {"token_usage": None, "prompt_tokens": 50, "completion_tokens": 7, "total_tokens": 57},
        {"input_uncached": 50, "output_text": 7},
    ),
    "cloudflare_counts": ("cloudflare_ai_gateway", {}, {"input_uncached": 10, "output_text": 300}),
    "cloudflare_response": (
        "cloudflare_ai_gateway", {"response": {"usage": _DETAILS}, "tokens_in": 1000, "tokens_out": 300}, _OPENAI,
    ),
    "cloudflare_gemini": (
        "cloudflare_ai_gateway",
        {"response": {"usageMetadata": _GEMINI}, "provider": "google-ai-studio", "model": "gemini-2.5-flash",
         "tokens_in": 100, "tokens_out": 100},
        {"input_uncached": 75, "audio_input": 25, "output_text": 40, "reasoning": 60},
    ),
    "logpush_metrics": ("cloudflare_logpush", {}, {"input_uncached": 10, "output_text": 300}),
    "kong_payload": (
        "kong_ai",
        {"ai": {"proxy": {"usage": {"prompt_tokens": 1000, "completion_tokens": 300},
                          "meta": {"provider_name": "openai"},
                          "payload": {"response": '{"id": "chatcmpl-9", "usage": {"prompt_tokens": 1000, '
                                      '"completion_tokens": 300, "prompt_tokens_details": {"cached_tokens": 640}}}'}}}},
        {"input_uncached": 360, "cache_read": 640, "output_text": 300},
    ),
    "envoy_inclusive": (
        "envoy_ai_gateway",
        {"genai_tokens_input": 100, "llm_cached_input_token": 60, "llm_cache_creation_input_token": 20,
         "llm_reasoning_token": 30, "genai_backend_name": "default/anthropic/x"},
        {"input_uncached": 20, "cache_read": 60, "cache_write_5m": 20, "output_text": 270, "reasoning": 30},
    ),
    "envoy_token_usage": (
        "envoy_ai_gateway",
        {"genai_tokens_input": None, "genai_tokens_output": None, "token_usage": {
            "model": "m", "input_tokens": "100", "output_tokens": "50", "provider_total_tokens": 150,
            "input_token_details": {"cached_tokens": 60, "tool_use_prompt_tokens": 7},
            "output_token_details": {"reasoning_tokens": 30}}},
        {"input_uncached": 40, "cache_read": 60, "output_text": 20, "reasoning": 30},
    ),
    "databricks_inclusive": (
        "databricks_ai_gateway",
        {"input_tokens": "1825", "output_tokens": "40", "total_tokens": "1865", "token_details":
         '{"cache_read_input_tokens": "1812", "cache_creation_input_tokens": "0", "output_reasoning_tokens": "9"}'},
        {"input_uncached": 13, "cache_read": 1812, "output_text": 31, "reasoning": 9},
    ),
    "databricks_endpoint": ("databricks_endpoint_usage", {}, {"input_uncached": 10, "output_text": 300}),
    # Snowflake: eight fresh tokens beside 4,684 of the cache, and TOKENS is the sum of all.
    "snowflake_additive": (
        "snowflake_cortex",
        {"TOKENS": "4698", "TOKENS_GRANULAR": '{"cache_read_input": 4684, "input": 8, "output": 6}'},
        {"input_uncached": 8, "cache_read": 4684, "output_text": 6},
    ),
    "snowflake_writes": (
        "snowflake_cortex",
        {"TOKENS": 4698, "TOKENS_GRANULAR": {"cache_write_input": 4684, "input": 8, "output": 6}},
        {"input_uncached": 8, "cache_write_5m": 4684, "output_text": 6},
    ),
    # docs.snowflake.com: CORTEX_AI_FUNCTIONS_USAGE_HISTORY, and the older view, whose tokens are of no known side.
    "snowflake_functions": ("snowflake_ai_functions", {}, {"input_uncached": 10, "output_text": 300}),
    "snowflake_functions_as_text": (
        "snowflake_ai_functions",
        {"METRICS": '[{"key": {"metric": "input", "unit": "tokens"}, "value": 7}]', "FUNCTION_NAME": "AI_EMBED"},
        {"input_uncached": 7},
    ),
    "snowflake_gateway": ("snowflake_ai_gateway", {}, {"input_uncached": 10, "output_text": 300}),
    "langsmith_details": (
        "langsmith_run",
        {"prompt_tokens": 1000, "total_tokens": 1300, "prompt_token_details": {"cache_read": 640},
         "completion_token_details": {"reasoning": 192}},
        _OPENAI,
    ),
    "langsmith_outputs": (
        "langsmith_run",
        {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "outputs": {"usage_metadata": {
            "input_tokens": 100, "output_tokens": 5, "total_tokens": 105,
            "input_token_details": {"cache_read": 60, "ephemeral_1h_input_tokens": 20, "cache_creation": 20}}}},
        {"input_uncached": 20, "cache_read": 60, "cache_write_1h": 20, "output_text": 5},
    ),
    # langchain-anthropic sets the sum of writes to 0 where it tells them by lifetime
    "langsmith_writes_by_lifetime": (
        "langsmith_run",
        {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "outputs": {"usage_metadata": {
            "input_tokens": 100, "output_tokens": 5, "total_tokens": 105, "input_token_details": {
                "cache_read": 60, "ephemeral_1h_input_tokens": 20, "ephemeral_5m_input_tokens": 0,
                "cache_creation": 0}}}},
        {"input_uncached": 20, "cache_read": 60, "cache_write_1h": 20, "output_text": 5},
    ),
    # Phoenix 20.26's own export of a call that OpenInference 0.1.66 traced, without its texts.
    "phoenix_api": (
        "phoenix_spans",
        {"attributes": {
            "llm.system": "openai", "llm.model_name": "gpt-5-mini-2025-08-07", "llm.token_count.completion": 300,
            "llm.token_count.prompt": 1000, "llm.token_count.completion_details.reasoning": 192,
            "llm.token_count.completion_details.audio": 0, "llm.token_count.total": 1300,
            "llm.token_count.prompt_details.cache_read": 640, "llm.token_count.prompt_details.audio": 0}},
        _OPENAI,
    ),
    "phoenix_frame": (
        "phoenix_spans",
        {"context": None, "context.span_id": "2056e65bb7d158b0", "context.trace_id": "5acf109a", "attributes": None,
         "attributes.llm.token_count.completion_details.reasoning": 192.0, "attributes.llm.token_count.completion": 300,
         "attributes.llm.token_count.prompt_details.cache_read": 640.0, "attributes.llm.token_count.total": 1300.0,
         "attributes.llm.token_count.prompt": 1000},
        _OPENAI,
    ),
    "phoenix_nested": (
        "phoenix_spans",
        {"attributes": {"llm": {"model_name": "m", "token_count": {
            "prompt": 1000, "completion": 300, "total": 1300, "prompt_details": {"cache_read": 640},
            "completion_details": {"reasoning": 192}}}}},
        _OPENAI,
    ),
    "traceloop_documented": ("traceloop_spans", {}, {"input_uncached": 10, "output_text": 300}),
    "dynamo_trace": ("dynamo_request_trace", {}, {"input_uncached": 6, "cache_read": 4, "output_text": 300}),
    "dynamo_compact": (
        "dynamo_request_trace",
        {"request": {"request_received_ms": 1793610000000, "output_tokens": 2, "replay": {"input_length": 64}}},
        {"input_uncached": 64, "output_text": 2},
    ),
    # A run of the langsmith SDK 0.15.1 around the openai SDK, and a span event of ddtrace 4.16, without their texts.
    "langsmith_real": (
        "langsmith_run",
        {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None, "outputs": {
            "id": "chatcmpl-8", "model": "gpt-5-mini-2025-08-07", "service_tier": None, "usage_metadata": {
                "input_tokens": 1000, "output_tokens": 300, "total_tokens": 1300,
                "input_token_details": {"cache_read": 640}, "output_token_details": {"reasoning": 192}}}},
        _OPENAI,
    ),
    "datadog_real": (
        "datadog_llm_obs",
        {"trace_id": "6b0c0d700000000078abdddd2ff6aa20", "parent_id": "undefined", "start_ns": 1795951984056652426,
         "duration": 2897111, "status": "ok", "tags": ["ml_app:bot", "env:", "session_id:s"], "meta": {
             "span": {"kind": "llm"}, "metadata": {}, "model_name": "gpt-5-mini", "model_provider": "openai"},
         "metrics": {"input_tokens": 1000, "output_tokens": 300, "total_tokens": 1300, "cache_read_input_tokens": 640,
                     "reasoning_output_tokens": 192}},
        _OPENAI,
    ),
    "datadog_metrics": (
        "datadog_llm_obs",
        {"metrics": {"input_tokens": 1000, "output_tokens": 300, "total_tokens": 1300, "cache_read_input_tokens": 640,
                     "reasoning_output_tokens": 192, "time_to_first_token": 0.4}},
        _OPENAI,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "changes", "tokens"), TOKENS.values(), ids=TOKENS)
def test_every_gateway_has_its_classes(kind: str, changes: dict[str, Any], tokens: dict[str, int]) -> None:
    row = read_one(kind, _row(kind, **changes))

    assert tokens_of(row) == tokens
    assert (row["usage_source"], row["unread_usage"]) == ("provider", None)


def test_every_gateway_is_told_by_its_content() -> None:
    told = {kind: [fit.kind for fit in fitting(gateway_record(kind, 1))] for kind in GATEWAYS}

    assert told == {kind: [kind] for kind in GATEWAYS}


WHO: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "portkey_cents": (
        "portkey_log",
        {"cost": "1.25", "metadata": '{"_user": "u1", "team": "search"}'},
        {"provider_reported_cost_usd": Decimal("0.0125"), "user_id": "u1", "team": "search",
         "dedupe_key": "id:chatcmpl-300"},
    ),
    "portkey_region": (
        "portkey_log", {"request_url": "https://bedrock-runtime.eu-west-1.amazonaws.com/model/x/converse"},
        {"region": "eu-west-1"},
    ),
    "datadog_tagged_app": ("datadog_llm_obs", {"tags": ["ml_app:bot"]}, {"team": "bot"}),
    "langsmith_answer": ("langsmith_run", {"outputs": {"id": "chatcmpl-8"}}, {"dedupe_key": "id:chatcmpl-8"}),
    "portkey_embedding": (
        "portkey_log",
        {"request_url": "https://api.openai.com/v1/embeddings", "res_units": None, "total_units": 10,
         "response": {"body": {"object": "list", "usage": {"prompt_tokens": 10, "total_tokens": 10}}}},
        {"operation": "embedding", "usage_source": "provider", "input_uncached_tokens": 10},
    ),
    "kong_embedding": (
        "kong_ai", {"request": {"id": "k1", "uri": "/v1/embeddings"}},
        {"operation": "embedding", "dedupe_key": "id:k1"},
    ),
    "portkey_euros": ("portkey_log", {"cost_currency": "EUR"}, {"provider_reported_cost_usd": None}),
    "portkey_hit": (
        "portkey_log",
        {"cache_status": "SEMANTIC HIT"},
        {"is_gateway_cache_hit": True, "attempt_no": 0, "dedupe_key": "id:p300"},
    ),
    "bifrost_fallback": (
        "bifrost_log", {"fallback_index": 1, "parent_request_id": "b0"},
        {"is_fallback": True, "logical_request_id": "b0", "operation": "chat"},
    ),
    "bifrost_error": (
        "bifrost_log",
        {"status": "error", "error_details": {"error": {"type": "overloaded_error"}}},
        {"status": "error", "error_class": "overloaded_error"},
    ),
    "cloudflare_failed": ("cloudflare_ai_gateway", {"success": False, "status_code": 502},
                          {"status": "error", "error_class": "http_502"}),
    "cloudflare_hit": ("cloudflare_ai_gateway", {"cached": True}, {"is_gateway_cache_hit": True}),
    "logpush_limited": ("cloudflare_logpush", {"RateLimited": True},
                        {"status": "error", "error_class": "rate_limited"}),
    "envoy_backend": ("envoy_ai_gateway", {"genai_backend_name": "prod/aws-bedrock/route"},
                      {"provider": "aws.bedrock", "status": "ok"}),
    "databricks_hosted": ("databricks_ai_gateway", {"time_to_first_byte_ms": 250}, {"provider": "databricks"}),
    "databricks_external": (
        "databricks_ai_gateway",
        {"destination_type": "EXTERNAL_FOUNDATION_MODEL", "api_type": "anthropic/v1/messages"},
        {"provider": "anthropic"},
    ),
    "databricks_unknown": (
        "databricks_ai_gateway",
        {"destination_type": "EXTERNAL_FOUNDATION_MODEL", "api_type": "mlflow/v1/chat/completions"},
        {"provider": None},
    ),
    "databricks_entity": (
        "databricks_endpoint_usage",
        {"entity_type": "EXTERNAL_MODEL", "external_model_config": {"provider": "openai", "name": "gpt-5-mini"}},
        {"provider": "openai", "served_model": "gpt-5-mini"},
    ),
    "snowflake_hour": ("snowflake_cortex", {}, {"finished_at": None, "provider": "snowflake"}),
    "langsmith_thread": (
        "langsmith_run",
        {"extra": {"metadata": {"thread_id": "th", "ls_provider": "openai"}}, "session_id": "project"},
        {"session_id": "th", "team": "project", "logical_request_id": "t"},
    ),
    "phoenix_answered": (
        "phoenix_spans",
        {"attributes": {"llm.token_count.prompt": 1, "output.value": '{"id":"chatcmpl-real2","choices":[]}'},
         "status_code": "ERROR"},
        {"dedupe_key": "id:chatcmpl-real2", "status": "error", "is_sum": False},
    ),
    "traceloop_span": ("traceloop_spans", {}, {"dedupe_key": "span:a1b3:t300", "team": "bot", "provider": "openai"}),
    "dynamo_workers": (
        "dynamo_request_trace", {},
        {"replica_id": "22", "tags": {"prefill_replica": "11"}, "queue_seconds": 0.0015, "provider": "self_hosted"},
    ),
    "datadog_app": ("datadog_llm_obs", {"ml_app": "bot", "tags": ["env:prod"]},
                    {"team": "bot", "parent_span_id": None}),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "changes", "expected"), WHO.values(), ids=WHO)
def test_a_call_has_its_owner_its_outcome_and_the_gateways_own_cost(
    kind: str, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    row = read_one(kind, _row(kind, **changes))

    assert {name: row[name] for name in expected} == expected


def test_each_plugin_and_each_model_of_a_record_is_a_call() -> None:
    kong = _row("kong_ai", ai={
        "proxy": {"usage": {"prompt_tokens": 28, "completion_tokens": 20, "cost": 0.0038},
                  "meta": {"provider_name": "cohere", "request_model": "command", "llm_latency": 2670}},
        "ai-request-transformer": {"usage": {"prompt_token": 89, "completion_token": 56, "total_tokens": 145},
                                   "meta": {"provider_name": "azure", "request_model": "gpt-35-turbo"}},
        "payload": {"request": "said"},
    })  # fmt: skip
    snowflake = _row("snowflake_ai_gateway", OPERATION_DETAILS={
        "claude-sonnet-5": {"input_tokens": 27, "output_tokens": 7427}, "llama4-maverick": {"input_tokens": 1},
    }, CREDITS_GRANULAR={"claude-sonnet-5": 0.037162})  # fmt: skip

    calls = read_records("kong_ai", [kong]).rows(named=True)
    models = read_records("snowflake_ai_gateway", [snowflake]).rows(named=True)

    assert [(row["request_id"], row["provider"], tokens_of(row)) for row in calls] == [
        ("k300", "cohere", {"input_uncached": 28, "output_text": 20}),
        ("k300#2", "azure", {"input_uncached": 89, "output_text": 56}),
    ]
    assert [row["dedupe_key"] for row in models] == ["id:s300", "id:s300#2"]
    assert [(row["served_model"], row["usage_source"]) for row in models] == [
        ("claude-sonnet-5", "provider"), ("llama4-maverick", "missing")]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("langsmith_run", {"run_type": "chain"}),
        ("langsmith_run", {"run_type": "tool", "prompt_tokens": None, "completion_tokens": None}),
        ("datadog_llm_obs", {"meta": {"kind": "agent"}}),
        ("datadog_llm_obs", {"meta": {"kind": "workflow"}, "metrics": {}}),
        ("bifrost_log", {"status": "processing"}),
        ("phoenix_spans", {"span_kind": "CHAIN"}),
        ("dynamo_request_trace", {"event_type": "tool_end"}),
        (
            "traceloop_spans",
            {"span_attributes": {"traceloop.span.kind": "workflow", "llm.usage.total_tokens": "9"}},
        ),
        (
            "envoy_ai_gateway",
            {"genai_model_name": None, "genai_tokens_input": None, "genai_tokens_output": None},
        ),
        ("databricks_ai_gateway", {"service_type": "MCP_SERVICE"}),
        ("kong_ai", {"ai": {"payload": {"request": "said"}}}),
    ],
)
def test_what_sums_calls_or_is_none_is_no_attempt(kind: str, changes: dict[str, Any]) -> None:
    (row,) = read_records(kind, [_row(kind, **changes)]).rows(named=True)

    assert row["is_ignored"] or row["is_sum"]


def test_a_count_that_no_rule_reads_is_named() -> None:
    row = read_one(
        "databricks_ai_gateway", _row("databricks_ai_gateway", token_details={"output_smell_tokens": 42})
    )

    assert row["unread_usage"] == "token_details.output_smell_tokens"


def test_tokens_that_cannot_be_split_are_missing_not_zero() -> None:
    row = read_one("snowflake_cortex", _row("snowflake_cortex", TOKENS=4818, TOKENS_GRANULAR=None))

    assert (row["usage_source"], row["input_uncached_tokens"]) == ("missing", None)


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("portkey_log", {"created_at": None}, "missing_started_at"),
        ("portkey_log", {"created_at": "soon"}, "bad_value"),
        ("cloudflare_ai_gateway", {"tokens_in": "many"}, "bad_value"),
        ("bifrost_log", {"latency": -4}, "bad_value"),
        ("bifrost_log", {"token_usage": {"prompt_tokens": -4, "completion_tokens": 1}}, "negative_tokens"),
        ("bifrost_log", {"token_usage": {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 9}},
         "tokens_do_not_add_up"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_reason(
    kind: str, changes: dict[str, Any], reason: str
) -> None:
    assert read_records(kind, [_row(kind, **changes)])["quarantine_reason"].to_list() == [reason]


def test_a_response_of_dynamo_names_the_workers_that_its_router_chose() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 60}}
    answer = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1793610000, "model": "m", "usage": usage,
        "nvext": {"worker_id": {"prefill_worker_id": 11, "decode_worker_id": 22},
                  "timing": {"prefill_wait_time_ms": 250, "ttft_ms": 500, "total_time_ms": 2000}},
    }  # fmt: skip

    assert [fit.kind for fit in fitting(answer)] == ["dynamo_response"]
    row = read_one("dynamo_response", answer)

    assert tokens_of(row) == {"input_uncached": 40, "cache_read": 60, "output_text": 20}
    assert (row["replica_id"], row["tags"]["prefill_replica"], row["queue_seconds"]) == ("22", "11", 0.25)
    assert (row["first_token_at"] - row["started_at"]).total_seconds() == 0.5
    assert (row["finished_at"] - row["started_at"]).total_seconds() == 2


@pytest.mark.parametrize(
    ("kind", "answer", "seconds"),
    [
        # Groq's total is prompt and completion without the queue; a stream tells it in x_groq.
        ("groq_response", {"usage": {"queue_time": 0.25, "prompt_time": 0.5, "total_time": 2.0}},
         (0.25, 0.75, 2.25)),
        ("groq_response", {"x_groq": {"usage": {"queue_time": 0.25, "prompt_time": 0.5, "total_time": 2.0}}},
         (0.25, 0.75, 2.25)),
        # Cerebras' total is all of it.
        ("cerebras_response", {"time_info": {"queue_time": 0.25, "prompt_time": 0.5, "total_time": 2.0}},
         (0.25, 0.75, 2.0)),
    ],
)  # fmt: skip
def test_own_times_of_a_provider_are_its_queue_first_token_and_end(
    kind: str, answer: dict[str, Any], seconds: tuple[float, ...]
) -> None:
    counts = {"prompt_tokens": 100, "completion_tokens": 300, "total_tokens": 400}
    usage = counts | answer.get("usage", {})
    held = (
        {"x_groq": {"usage": counts | answer["x_groq"]["usage"]}} if "x_groq" in answer else {"usage": usage}
    )
    record = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1793610000, "model": "m"}

    row = read_one(kind, record | answer | held)

    assert tokens_of(row) == {"input_uncached": 100, "output_text": 300}
    told = [row[name] - row["started_at"] for name in ("first_token_at", "finished_at")]
    assert (row["queue_seconds"], *(one.total_seconds() for one in told)) == seconds
    # What the scoreboard makes of it: 300 tokens in the time from the first to the last.
    assert 300 / (told[1] - told[0]).total_seconds() == pytest.approx(300 / (seconds[2] - seconds[1]))


def test_tools_that_an_answer_tells_are_fees_of_the_call() -> None:
    items = [
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}}, {"type": "file_search_call"},
        {"type": "code_interpreter_call"}, {"type": "code_interpreter_call"}, {"type": "message"},
    ]  # fmt: skip
    usage = {"input_tokens": 1000, "output_tokens": 300, "output_tokens_details": {"reasoning_tokens": 192}}
    body = {"id": "resp_1", "output": items, "usage": usage}
    row = read_one("portkey_log", _row("portkey_log", response={"body": body}, total_units=1300))

    assert {name: int(count) for name, count in row["other_meters"].items()} == {
        "web_search": 1, "file_search": 1, "code_interpreter": 1,
    }  # fmt: skip
    assert tokens_of(row) == {"input_uncached": 1000, "output_text": 108, "reasoning": 192}
    assert read_one("portkey_log", _row("portkey_log"))["other_meters"] is None


@pytest.mark.parametrize(
    ("kind", "model_field", "place"),
    [
        ("portkey_log", "ai_model", lambda answer: {"response": {"body": answer}}),
        ("cloudflare_ai_gateway", "model", lambda answer: {"response": json.dumps(answer)}),
        ("bifrost_log", "model", lambda answer: {"raw_response": json.dumps(answer)}),
    ],
)
def test_queries_that_ground_an_answer_of_gemini_are_fees_of_the_call(
    kind: str, model_field: str, place: Any
) -> None:
    # Up to Gemini 2.5 a prompt pays once; a query that Google tells twice is one.
    grounding = {
        "groundingMetadata": {"webSearchQueries": ["a", "b", "a", ""], "groundingChunks": [{"web": {}}]}
    }
    found = [
        read_one(kind, _row(kind, **{model_field: model}, **place({"id": "r", shape: [grounding, {}]})))
        for model in ("gemini-2.5-flash", "gemini-3-pro")
        for shape in ("candidates", "choices")
    ]

    assert [{name: int(count) for name, count in row["other_meters"].items()} for row in found] == [
        {"web_search": 1}, {"web_search": 1}, {"web_search": 2}, {"web_search": 2}]  # fmt: skip


def test_what_perplexity_counts_beside_its_totals_is_read_by_a_gateway_too() -> None:
    usage = {
        "prompt_tokens": 8, "completion_tokens": 442, "total_tokens": 450, "citation_tokens": 12,
        "num_search_queries": 3, "reasoning_tokens": 57, "search_context_size": "high",
    }  # fmt: skip
    changes = {"provider": "perplexity-ai", "tokens_in": 8, "tokens_out": 442, "response": {"usage": usage}}

    wide = read_one("cloudflare_ai_gateway", _row("cloudflare_ai_gateway", model="sonar", **changes))
    deep = read_one(
        "cloudflare_ai_gateway", _row("cloudflare_ai_gateway", model="sonar-deep-research", **changes)
    )

    tokens = {"input_uncached": 8, "other_input": 12, "output_text": 442, "reasoning": 57}
    assert [tokens_of(row) for row in (wide, deep)] == [tokens, tokens]
    assert [{name: int(count) for name, count in row["other_meters"].items()} for row in (wide, deep)] == [
        {"num_search_queries": 3, "search_context_high": 1}, {"web_search": 3}]  # fmt: skip


def test_credits_that_snowflake_tells_are_a_meter_whether_tokens_are_told_or_not() -> None:
    counted = read_one("snowflake_ai_functions", _row("snowflake_ai_functions"))
    # The older view's tokens are of no known side.
    older = {"METRICS": None, "CREDITS": None, "TOKENS": 500, "TOKEN_CREDITS": "0.5", "MODEL_NAME": ""}
    uncounted = read_one("snowflake_ai_functions", _row("snowflake_ai_functions", **older))
    gateway = read_one("snowflake_ai_gateway", _row("snowflake_ai_gateway"))

    told = [
        (row["service_tier"], row["usage_source"], row["served_model"], dict(row["other_meters"]))
        for row in (counted, uncounted, gateway)
    ]
    assert told == [
        ("credits", "provider", "claude-sonnet-5", {"microcredits": Decimal("123.456")}),
        ("credits", "provider", "AI_COMPLETE", {"microcredits": Decimal(500_000)}),
        ("credits", "provider", "claude-sonnet-5", {"microcredits": Decimal(10_000)}),
    ]
    assert set(tokens_of(uncounted).values()) == {None}
