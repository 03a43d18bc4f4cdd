"""Bifrost's log: rows of its table `logs` (SQLite, PostgreSQL) and its log API (`GET /api/logs`).

`token_usage` is in OpenAI's shape whatever the provider: the prompt includes what was read from and written to a
cache. A row with `fallback_index` above 0 is a fallback, `number_of_retries` are told in a sum only. A row that is
still `processing` has no counts. The cost is Bifrost's own estimate.
Source: maximhq/bifrost, framework/logstore/tables.go and core/schemas/chatcompletions.go, read 2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    fallback = pl.col("fallback").cast(pl.Int64, strict=False)
    return frame.with_columns(
        is_hit=(pl.col("cache_state").str.to_lowercase() == "true").fill_null(value=False),
        is_fallback=fallback > 0,
        logical_request_id=pl.coalesce("parent_request_id", "request_id"),
        is_ignored=(pl.col("state").str.to_lowercase() == "processing").fill_null(value=False),
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="bifrost_log",
        texts={
            "request_id": ("id",),
            "response_id": ("provider_request_id", "raw_response$.id"),
            "parent_request_id": ("parent_request_id",),
            "provider": ("provider",),
            "served_model": ("model",),
            "requested_model": ("alias", "model"),
            "route": ("routing_rule_name", "routing_rule_id", "selected_key_name"),
            "tenant": ("customer_id",),
            "team": ("team_name", "team_id", "virtual_key_name", "virtual_key_id"),
            "user_id": ("user_id",),
            "operation_name": ("object", "object_type"),
            "state": ("status",),
            "error_class": ("error_details$.error.type", "error_details$.error.code"),
            "code": ("error_details$.status_code",),
            "cache_state": ("cache_debug$.cache_hit",),
            "fallback": ("fallback_index",),
            "tier": ("params$.service_tier",),
        },
        instants={"started": ("timestamp", "created_at")},
        durations={"latency": ("latency",)},
        usage=(UsagePlaces(place="token_usage"),),
        counts={
            "input_tokens": ("prompt_tokens",),
            "output_tokens": ("completion_tokens",),
            "total_tokens": ("total_tokens",),
            "cache_read_input_tokens": ("cached_read_tokens",),
        },
        answers=("raw_response",),
        cost=("cost",),
        api_key=("virtual_key_id", "selected_key_id"),
        metadata="metadata",
        tags={"retries": ("number_of_retries",)},
        amend=_amend,
        signature=(
            frozenset({"token_usage", "provider", "number_of_retries"}),
            frozenset({"token_usage", "selected_key_id"}),
            frozenset({"selected_key_id", "fallback_index", "provider", "latency"}),
        ),
        rank=17,
    )
)
