"""Generic request records whose columns are the canonical ones; a missing optional column is NULL.

A record that counts tokens and has no id, as in published traces, is known by its content and its order among equals.
"""

import polars as pl

from models.records import Importer, bad_numbers, first_reason, hashed, instant, integer, text
from models.schemas.vocabulary import OPERATIONS, STATUSES, TOKEN_COLUMNS

KIND = "requests"

_TEXTS = (
    "request_id",
    "logical_request_id",
    "provider",
    "region",
    "route",
    "requested_model",
    "routed_model",
    "served_model",
    "replica_id",
    "service_tier",
    "batch_id",
    "tenant",
    "team",
    "user_id",
    "operation",
    "task_class",
    "status",
    "error_class",
    "session_id",
    "trace_id",
    "prefix_hash",
    "usage_source",
    "fallback_cause",
    "retry_of",
)
_INSTANTS = ("started_at", "first_token_at", "finished_at")
_OTHERS = ("attempt_no", "api_key_id", "provider_reported_cost_usd", "is_fallback", "queue_seconds")

_HASHED = ", ".join(f"coalesce({name}, '')" for name in (*_TEXTS, *_INSTANTS, *TOKEN_COLUMNS, *_OTHERS))

_SELECT = f"""
SELECT line_number, 1::INTEGER AS record_number,
       {", ".join(f"{text(name)} AS {name}" for name in _TEXTS)},
       {", ".join(f"{instant(name)} AS {name}" for name in _INSTANTS)},
       {text("started_at")} IS NOT NULL AS has_start,
       {", ".join(f"{integer(name)} AS {name}" for name in (*TOKEN_COLUMNS, "attempt_no"))},
       {bad_numbers({name: text(name) for name in TOKEN_COLUMNS})} AS bad_numbers,
       CASE WHEN {text("request_id")} IS NULL THEN md5(concat_ws(chr(31), {_HASHED})) END AS content_hash,
       {hashed(text("api_key_id"))} AS api_key_id,
       TRY_CAST(provider_reported_cost_usd AS DECIMAL(38, 12)) AS provider_reported_cost_usd,
       TRY_CAST(is_fallback AS BOOLEAN) AS is_fallback, TRY_CAST(queue_seconds AS DOUBLE) AS queue_seconds
FROM records
"""


def canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Complete generic records: defaults that the format documents, and what is wrong with each."""
    tokens = [pl.col(name) for name in TOKEN_COLUMNS]
    has_usage = pl.any_horizontal(token.is_not_null() for token in tokens)
    queue = pl.col("queue_seconds")
    status = pl.coalesce("status", pl.lit("ok"))
    return frame.with_columns(
        *first_reason(
            (pl.col("request_id").is_null() & ~has_usage, "missing_request_id", "request_id"),
            (pl.col("started_at").is_null() & pl.col("has_start"), "bad_value", "started_at is no instant"),
            (pl.col("started_at").is_null(), "missing_started_at", "started_at"),
            (pl.col("bad_numbers").is_not_null(), "bad_value", pl.col("bad_numbers")),
            (
                pl.any_horizontal((token < 0).fill_null(value=False) for token in tokens),
                "negative_tokens",
                "tokens",
            ),
            (~status.is_in(STATUSES), "bad_value", "status"),
            (
                pl.col("operation").is_not_null() & ~pl.col("operation").is_in(OPERATIONS),
                "bad_value",
                "operation",
            ),
            (
                (queue < 0).fill_null(value=False) | queue.is_nan().fill_null(value=False),
                "bad_value",
                "queue_seconds",
            ),
        ),
        *(
            pl.when(has_usage).then(token.fill_null(0)).alias(name)
            for name, token in zip(TOKEN_COLUMNS, tokens, strict=True)
        ),
        attempt_no=pl.col("attempt_no").fill_null(1),
        requested_model=pl.coalesce("requested_model", "served_model"),
        routed_model=pl.coalesce("routed_model", "served_model"),
        served_model=pl.coalesce("served_model", "routed_model", "requested_model"),
        service_tier=pl.coalesce("service_tier", pl.lit("default")),
        status=status,
        usage_source=pl.when(has_usage)
        .then(pl.coalesce("usage_source", pl.lit("provider")))
        .otherwise(pl.lit("missing")),
        is_gateway_cache_hit=pl.lit(value=False),
        dedupe_key=pl.concat_str(pl.lit("id:"), "request_id"),
    )


IMPORTER = Importer(
    kind=KIND,
    table="raw.requests",
    columns=dict.fromkeys((*_TEXTS, *_INSTANTS, *TOKEN_COLUMNS, *_OTHERS), "VARCHAR"),
    select=_SELECT,
    canonical=canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(frozenset({"request_id", "started_at", "output_text_tokens"}),),
    rank=90,
    takes_columns=True,
)
