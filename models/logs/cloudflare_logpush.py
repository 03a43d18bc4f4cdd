"""Cloudflare's Logpush of AI Gateway: the dataset `ai_gateway_events`.

An event has no id: equal ones are told apart by their order. `Metrics` holds the cost, the duration and counts; bodies
are encrypted and tell nothing. `Timestamp` is read as the start. A cached answer called nobody.
Source: developers.cloudflare.com/logs, dataset ai_gateway_events, read 2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer
from models.logs.cloudflare_ai_gateway import settle_calls


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_limited = (pl.col("limited").str.to_lowercase() == "true").fill_null(value=False)
    return settle_calls(
        frame.with_columns(
            is_error=pl.col("is_error") | is_limited,
            error_class=pl.when(is_limited).then(pl.lit("rate_limited")).otherwise("error_class"),
        )
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="cloudflare_logpush",
        texts={
            "provider": ("Provider",),
            "served_model": ("Model",),
            "requested_model": ("RequestedModel", "Model"),
            "route": ("Gateway",),
            "operation_name": ("Endpoint",),
            "code": ("StatusCode",),
            "cache_state": ("Cached",),
            "limited": ("RateLimited",),
        },
        instants={"started": ("Timestamp",)},
        durations={"latency": ("Metrics$.durationMs",)},
        usage=(UsagePlaces(place="Metrics$.usage"), UsagePlaces(place="Metrics")),
        cost=("Metrics$.cost",),
        metadata="Metadata",
        tags={"routing_reason": ("RoutingReason",)},
        amend=_amend,
        signature=(frozenset({"Gateway", "Endpoint", "Model", "Provider"}),),
        rank=17,
    )
)
