"""Portkey's log export: one line a call, with what was asked for of its fields.

The cost is in US cents and Portkey's own estimate. Where the export holds the response, its usage object tells the
token classes; `req_units` and `res_units` alone tell none of them. A hit of Portkey's cache called nobody.
Source: portkey.ai/docs/product/observability/logs-export (fields), Portkey-AI/openapi (spellings), read 2026-11-29;
the usage objects are those of the open gateway (@portkey-ai/gateway 1.15.2), which ran here.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    # The address of a cloud names the region that chooses the price.
    region = pl.coalesce(
        pl.col("url").str.extract(r"bedrock-runtime[a-z-]*\.([a-z0-9-]+)\.amazonaws"),
        pl.col("url").str.extract(r"//([a-z0-9-]+)-aiplatform\.googleapis"),
    )
    state = pl.col("state").str.to_lowercase()
    is_hit = pl.col("cache_state").str.to_uppercase().str.contains("HIT").fill_null(value=False)
    return frame.with_columns(
        is_hit=is_hit,
        region=pl.coalesce("region", region),
        is_error=pl.coalesce(state.is_in(["0", "false"]), "is_error") & ~is_hit,
        # An embedding's answer is a mere `list`.
        operation_name=pl.concat_str("operation_name", "url", separator=" ", ignore_nulls=True),
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="portkey_log",
        texts={
            "request_id": ("id",),
            "response_id": ("response$.body.id", "response$.id", "response.body$.id"),
            "logical_request_id": ("trace_id",),
            "trace_id": ("trace_id",),
            "provider": ("ai_org", "ai_provider"),
            "requested_model": ("request$.body.model", "request.body$.model", "ai_model"),
            "served_model": ("response$.body.model", "response$.model", "response.body$.model", "ai_model"),
            "route": ("config", "virtual_key"),
            "tenant": ("organisation_id",),
            "team": ("workspace_slug", "workspace_id"),
            "user_id": ("metadata$._user",),
            "tier": ("response$.body.service_tier", "response$.service_tier", "response.body$.service_tier"),
            "operation_name": ("response$.body.object", "response$.object", "response.body$.object"),
            "url": ("request_url",),
            "state": ("is_success",),
            "code": ("response_status_code", "status_code"),
            "cache_state": ("cache_status",),
            "currency": ("cost_currency",),
        },
        instants={"started": ("created_at",)},
        durations={"latency": ("response_time",)},
        usage=(
            UsagePlaces(place="response$.body.usage"),
            UsagePlaces(place="response$.usage"),
            UsagePlaces(place="response.body$.usage"),
            UsagePlaces(place="response$.body.usageMetadata"),
            UsagePlaces(place="response$.usageMetadata"),
        ),
        counts={
            "input_tokens": ("req_units", "request_tokens"),
            "output_tokens": ("res_units", "response_tokens"),
            "total_tokens": ("total_units", "total_tokens"),
        },
        answers=("response$.body", "response", "response.body"),
        cost=("cost",),
        cost_scale=100,
        api_key=("virtual_key", "api_key"),
        metadata="metadata",
        tags={"prompt": ("prompt_slug",), "strategy": ("mode",)},
        amend=_amend,
        signature=(
            frozenset({"ai_org", "ai_model"}),
            frozenset({"ai_provider", "ai_model", "created_at"}),
            frozenset({"ai_model", "req_units", "res_units"}),
        ),
        rank=17,
    )
)  # fmt: skip
