"""Cloudflare AI Gateway's logs: its API and the export of its dashboard.

`tokens_in` and `tokens_out` tell no classes of tokens: where the log holds the response, its usage object does, and
without it a cached prompt counts as uncached. `created_at` is read as the start. A cached answer called nobody. The
cost is Cloudflare's own estimate, or the caller's.
Source: developers.cloudflare.com, API reference of AI Gateway's logs, read 2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer


def settle_calls(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Say which calls Cloudflare's cache answered, and name providers as we do.

    Args:
        frame: columns `cache_state, is_error, provider`.
    """
    is_hit = pl.col("cache_state").str.to_lowercase().is_in(["true", "1", "hit"]).fill_null(value=False)
    return frame.with_columns(
        is_hit=is_hit,
        is_error=pl.col("is_error") & ~is_hit,
        provider=pl.col("provider").replace(
            {"aws-bedrock": "aws.bedrock", "google-vertex-ai": "gcp.vertex_ai", "perplexity-ai": "perplexity"}
        ),
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="cloudflare_ai_gateway",
        texts={
            "request_id": ("id",),
            "response_id": ("response$.id", "response_body$.id"),
            "logical_request_id": ("event_id",),
            "provider": ("provider",),
            "served_model": ("model",),
            "route": ("gateway_id",),
            "operation_name": ("path", "model_type"),
            "state": ("success",),
            "code": ("status_code",),
            "cache_state": ("cached",),
            "tier": ("response$.service_tier",),
        },
        instants={"started": ("created_at",)},
        durations={"latency": ("duration",)},
        usage=(
            UsagePlaces(place="response$.usage"),
            UsagePlaces(place="response$.usageMetadata"),
            UsagePlaces(place="response_body$.usage"),
            UsagePlaces(place="usage"),
        ),
        counts={"input_tokens": ("tokens_in",), "output_tokens": ("tokens_out",)},
        answers=("response", "response_body"),
        cost=("cost",),
        metadata="metadata",
        tags={"step": ("step",)},
        amend=settle_calls,
        signature=(frozenset({"tokens_in", "tokens_out", "provider", "cached"}),),
        rank=17,
    )
)
