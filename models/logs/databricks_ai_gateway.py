"""Databricks' `system.ai_gateway.usage`: one row a call through its AI gateway.

The input includes what was read from and written to a cache, the output reasoning (`token_details`). An external
model is billed by its own provider, which the table does not name: the API that was called tells it where it can,
else a constant or deployments.yml. A model that Databricks serves is billed by Databricks. Destinations that are no
models (MCP services) are no calls of one.
Source: docs.databricks.com/ai-gateway/usage-tracking, read 2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer

_EXTERNAL = "EXTERNAL"
_APIS = {
    "anthropic": "anthropic",
    "gemini": "gcp.gemini",
    "bedrock": "aws.bedrock",
}
"""An OpenAI-shaped API is offered for models of every provider, and tells none."""


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    destination = pl.col("destination").str.to_uppercase()
    is_external = destination.str.contains(_EXTERNAL).fill_null(value=False)
    api = pl.col("operation_name").str.to_lowercase().str.extract(rf"^/?({'|'.join(_APIS)})").replace(_APIS)
    service = pl.col("service").str.to_uppercase()
    return frame.with_columns(
        cache_apart=pl.lit(value=False),
        provider=pl.coalesce("provider", pl.when(is_external).then(api).otherwise(pl.lit("databricks"))),
        is_ignored=service.str.contains("MCP").fill_null(value=False),
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="databricks_ai_gateway",
        texts={
            "request_id": ("request_id", "databricks_request_id"),
            "response_id": ("response_id",),
            "provider": ("provider", "destination_provider"),
            "destination": ("destination_type",),
            "service": ("service_type",),
            "requested_model": ("endpoint_name", "destination_model"),
            "routed_model": ("destination_model", "destination_name"),
            "served_model": ("destination_model", "destination_name"),
            "route": ("endpoint_name", "destination_name"),
            "operation_name": ("api_type", "url"),
            "tenant": ("workspace_id",),
            "user_id": ("requester",),
            "code": ("status_code",),
        },
        instants={"started": ("event_time",)},
        durations={"latency": ("latency_ms",), "first_token_after": ("time_to_first_byte_ms",)},
        usage=(UsagePlaces(place="token_details"),),
        counts={
            "input_tokens": ("input_tokens",),
            "output_tokens": ("output_tokens",),
            "total_tokens": ("total_tokens",),
        },
        metadata="request_tags",
        amend=_amend,
        signature=(
            frozenset({"destination_type", "input_tokens", "event_time"}),
            frozenset({"destination_model", "token_details"}),
        ),
        rank=18,
    )
)
