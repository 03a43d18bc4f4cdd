"""Generic request records whose columns are the canonical ones; a missing optional column is NULL.

A record that counts tokens and has no id, as in published traces, is known by its content and its order among equals.
"""

import polars as pl

from models.records import Importer, bad_numbers, first_reason, hashed, instant, integer, number, text, tried
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
_BOOLEANS = ("is_fallback", "is_gateway_cache_hit", "is_cost_billed")
_MAPS = ("tags", "other_meters")
"""Objects: in CSV as JSON text, in Parquet also as maps, structs or lists of `key` and `value`."""
_OTHERS = ("attempt_no", "api_key_id", "provider_reported_cost_usd", "queue_seconds", *_BOOLEANS, *_MAPS)

FIELDS = (*_TEXTS, *_INSTANTS, *TOKEN_COLUMNS, *_OTHERS)
"""Fields of a generic record."""
_HASHED = ", ".join(f"coalesce({name}, '')" for name in FIELDS)
_STATUS_WORDS = {
    **{name: name for name in STATUSES},
    **dict.fromkeys(("success", "succeeded", "successful", "completed", "complete", "done"), "ok"),
    **dict.fromkeys(("failed", "failure", "timeout"), "error"),
    **dict.fromkeys(("canceled", "aborted"), "cancelled"),
}
"""What other logs call an end; an HTTP status code is one too."""


def _entries(name: str) -> str:
    """SQL of a map as a list of keys and values as text; NULL where it is none. A list of `team:x` is one too."""
    held = tried(name, """from_json({}, '"MAP(VARCHAR, VARCHAR)"')""")
    pairs = tried(name, """from_json({}, '[{{"key": "VARCHAR", "value": "VARCHAR"}}]')""")
    words = tried(name, """from_json({}, '["VARCHAR"]')""")
    listed = (
        f"list_transform({words}, lambda t: {{'key': split_part(t, ':', 1), "
        "'value': CASE WHEN contains(t, ':') THEN trim(substr(t, instr(t, ':') + 1)) ELSE 'true' END})"
    )
    kind = tried(name, "json_type({})")
    first = tried(name, "json_type({}, '$[0]')")
    return (
        f"CASE {kind} WHEN 'OBJECT' THEN map_entries({held}) "
        f"WHEN 'ARRAY' THEN CASE WHEN {first} = 'OBJECT' THEN {pairs} ELSE {listed} END END"
    )


def _is_odd(name: str) -> str:
    return f"{text(name)} IS NOT NULL AND lower({name}) <> 'null' AND {_entries(name)} IS NULL"


def generic_select(relation: str = "records", *more: str) -> str:
    """SQL that reads generic records, whose fields are texts, of a relation; with further columns of it."""
    beside = "".join(f", {name}" for name in more)
    return f"""
SELECT line_number, 1::INTEGER AS record_number,
       {", ".join(f"{text(name)} AS {name}" for name in _TEXTS)},
       {", ".join(f"{instant(name)} AS {name}" for name in _INSTANTS)},
       {text("started_at")} IS NOT NULL AS has_start,
       {", ".join(f"{integer(name)} AS {name}" for name in (*TOKEN_COLUMNS, "attempt_no"))},
       {bad_numbers({name: text(name) for name in TOKEN_COLUMNS})} AS bad_numbers,
       CASE WHEN {text("request_id")} IS NULL THEN md5(concat_ws(chr(31), {_HASHED})) END AS content_hash,
       {hashed(text("api_key_id"))} AS api_key_id,
       TRY_CAST(provider_reported_cost_usd AS DECIMAL(38, 12)) AS provider_reported_cost_usd,
       TRY_CAST(is_fallback AS BOOLEAN) AS is_fallback, TRY_CAST(queue_seconds AS DOUBLE) AS queue_seconds,
       TRY_CAST(is_gateway_cache_hit AS BOOLEAN) AS is_gateway_cache_hit,
       TRY_CAST(is_cost_billed AS BOOLEAN) AS is_cost_billed,
       {", ".join(f"{_entries(name)} AS {name}_held" for name in _MAPS)},
       {", ".join(f"{_is_odd(name)} AS is_odd_{name}" for name in _MAPS)},
       list_transform({_entries("other_meters")}, lambda e: {{'key': e.key, 'value': {number("e.value")}}})
         AS meter_entries{beside}
FROM {relation}
"""


def canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Complete generic records: defaults that the format documents, and what is wrong with each."""
    tokens = [pl.col(name) for name in TOKEN_COLUMNS]
    has_usage = pl.any_horizontal(token.is_not_null() for token in tokens)
    queue = pl.col("queue_seconds")
    word = pl.col("status").str.to_lowercase()
    status = (
        pl.when(word.is_null() | word.str.contains(r"^[1-3]\d\d$"))
        .then(pl.lit("ok"))
        .when(word.str.contains(r"^[45]\d\d$"))
        .then(pl.lit("error"))
        .otherwise(word.replace_strict(_STATUS_WORDS, default=None))
    )
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
            *((pl.col(f"is_odd_{name}").fill_null(value=False), "bad_value", name) for name in _MAPS),
            (_is_bad_meter(), "bad_value", "other_meters"),
            (status.is_null(), "bad_value", f"status is none of {', '.join(STATUSES)}"),
            (
                pl.col("operation").is_not_null() & ~pl.col("operation").is_in(OPERATIONS),
                "bad_value",
                f"operation is none of {', '.join(OPERATIONS)}",
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
        status=status,
        usage_source=pl.when(has_usage)
        .then(pl.coalesce("usage_source", pl.lit("provider")))
        .otherwise(pl.lit("missing")),
        is_gateway_cache_hit=pl.col("is_gateway_cache_hit").fill_null(value=False),
        # A tag of a list may be null, and so have no name.
        tag_entries=pl.col("tags_held").list.filter(
            pl.element().struct.field("key").is_not_null() & pl.element().struct.field("value").is_not_null()
        ),
        dedupe_key=pl.concat_str(pl.lit("id:"), "request_id"),
    )


def _is_bad_meter() -> pl.Expr:
    """Return whether a meter is stated and no number from 0 on."""
    value = pl.element().struct.field("value")
    stated = pl.col("other_meters_held").list.eval(value.is_not_null()).list.sum()
    counted = pl.col("meter_entries").list.eval((value >= 0).fill_null(value=False)).list.sum()
    return (stated > counted).fill_null(value=False)


IMPORTER = Importer(
    kind=KIND,
    table="raw.requests",
    columns=dict.fromkeys(FIELDS, "VARCHAR"),
    select=generic_select(),
    canonical=canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(frozenset({"request_id", "started_at", "output_text_tokens"}),),
    rank=90,
    takes_columns=True,
)
