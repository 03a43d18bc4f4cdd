"""Envoy AI Gateway's access log with the model, the backend and the token counts of a call.

The names are those of its documentation (`genai_tokens_input`, ...), the metadata's own (`llm_input_token`, ...), or
the object `TokenUsage` of Envoy's AI protocol filter; other names of a log format of one's own are told by `columns`.
The input includes what was read from and written to a cache, whatever the provider. Lines without a model (MCP calls,
others) are no calls of one.
Source: aigateway.envoyproxy.io/docs/capabilities/observability/accesslogs; envoyproxy.io, data.ai.v3.TokenUsage, read
2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer

_BACKENDS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "cohere": "cohere",
    "groq": "groq",
    "mistral": "mistral_ai",
    "deepseek": "deepseek",
    "together": "together",
    "deepinfra": "deepinfra",
}


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    named = pl.coalesce(
        "provider", pl.col("backend").str.to_lowercase().str.extract(rf"({'|'.join(_BACKENDS)})")
    )
    no_model = pl.coalesce("served_model", "requested_model").is_null()
    return frame.with_columns(
        cache_apart=pl.lit(value=False),
        # What tools added to the prompt is in the input already.
        tool_input=pl.lit(None, dtype=pl.String),
        is_ignored=no_model & pl.col("prompt").is_null() & pl.col("completion").is_null(),
        provider=named.replace(_BACKENDS),
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="envoy_ai_gateway",
        texts={
            "request_id": ("x-request-id", "request_id", "x_request_id"),
            "response_id": ("genai_response_id", "response_id"),
            "provider": ("genai_provider_name", "gen_ai.provider.name"),
            "backend": ("genai_backend_name", "backend_name"),
            "route": ("route_name", "genai_backend_name", "upstream_cluster"),
            "requested_model": ("genai_model_name", "model"),
            "routed_model": ("genai_model_name_override", "model_name_override"),
            "served_model": (
                "genai_response_model",
                "token_usage$.model",
                "genai_model_name_override",
                "model_name_override",
                "genai_model_name",
            ),
            "operation_name": ("x-envoy-origin-path", "path"),
            "code": ("response_code",),
            "tenant": ("x-tenant-id",),
            "user_id": ("x-user-id",),
            "session_id": ("session.id", "session_id"),
            "replica_id": ("upstream_host",),
        },
        instants={"started": ("start_time",)},
        durations={
            "latency": ("duration",),
            "first_token_after": ("genai_time_to_first_token", "time_to_first_token_ms"),
        },
        usage=(
            UsagePlaces(place="token_usage"),
            UsagePlaces(place="token_usage$.input_token_details", side="input"),
            UsagePlaces(place="token_usage$.output_token_details", side="output"),
        ),
        counts={
            "input_tokens": ("genai_tokens_input", "llm_input_token"),
            "output_tokens": ("genai_tokens_output", "llm_output_token"),
            "total_tokens": ("genai_tokens_total", "llm_total_token"),
            "cached_input_tokens": (
                "genai_tokens_cached_input",
                "genai_tokens_input_cached",
                "llm_cached_input_token",
            ),
            "cache_creation_input_tokens": (
                "genai_tokens_cache_creation_input",
                "llm_cache_creation_input_token",
            ),
            "reasoning_tokens": ("genai_tokens_reasoning", "llm_reasoning_token"),
        },
        amend=_amend,
        signature=(
            frozenset({"genai_model_name", "start_time"}),
            frozenset({"genai_tokens_input", "genai_tokens_output"}),
            frozenset({"llm_input_token", "llm_output_token"}),
            frozenset({"token_usage.input_tokens", "start_time", "response_code"}),
        ),
        rank=18,
        formats=("jsonl",),
    )
)  # fmt: skip
