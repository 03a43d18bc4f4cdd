"""Helicone's requests: its query API and command-line export, and rows of its ClickHouse table.

Whether `prompt_tokens` includes what was read from a cache depends on the version of Helicone's parser. Anthropic's
counts are disjoint. Of others a total tells: where it is prompt plus completion plus cache, the parts are disjoint;
else the prompt includes the cache, and the row is `estimated` where there is any. ClickHouse holds costs in billionths.
Source: Helicone/helicone, `request_response_rmt` migrations and the HeliconeRequest type.
"""

import polars as pl

from models.logs.dimensions import given_tags, with_tag_columns
from models.logs.fees import searches
from models.logs.tokens import TokenRule, disjoint
from models.logs.unread import unread_usage
from models.records import (
    METER,
    Importer,
    bad_numbers,
    bad_quantities,
    first_reason,
    hashed,
    instant,
    integer,
    money,
    number,
    text,
    tried,
    with_map,
)

_NAMES: dict[str, tuple[str, ...]] = {
    "created": ("request_created_at",),
    "answered": ("response_created_at",),
    "delay": ("delay_ms", "latency"),
    "first_token": ("time_to_first_token",),
    "code": ("response_status", "status"),
    "provider": ("provider",),
    "asked": ("request_model", "model"),
    "override": ("model_override",),
    "answering": ("response_model", "model"),
    "total": ("total_tokens",),
    "prompt": ("prompt_tokens",),
    "completion": ("completion_tokens",),
    "cache_read": ("prompt_cache_read_tokens",),
    "written": ("prompt_cache_write_tokens",),
    "written_5m": ("prompt_cache_write_5m",),
    "cache_write_1h": ("prompt_cache_write_1h",),
    "reasoning": ("reasoning_tokens",),
    "audio_input": ("prompt_audio_tokens",),
    "audio_output": ("completion_audio_tokens",),
    "user_id": ("request_user_id", "helicone_user", "user_id"),
    "properties": ("properties", "request_properties"),
    "tenant": ("organization_id",),
    "key": ("proxy_key_id",),
    "hit": ("cache_reference_id",),
    "route": ("gateway_deployment_target", "gateway_router_id"),
}
_COUNTS = (
    "total", "prompt", "completion", "cache_read", "written", "written_5m", "cache_write_1h", "reasoning",
    "audio_input", "audio_output",
)  # fmt: skip
_SEARCHES = [
    f"json_extract_string({{}}, '$.usage.{path}')"
    for path in ("server_tool_use.web_search_requests", "num_search_queries")
]
"""Where an answer that is exported too counts its searches; its tokens Helicone counts itself."""
_BODY_KNOWN = frozenset({"server_tool_use.web_search_requests", "num_search_queries"})
_BODY_ELSEWHERE = frozenset(
    {"prompt", "completion", "total", "cache_read", "written", "cache_write_5m", "cache_write_1h", "reasoning",
     "audio_input", "audio_output", "web_search"}
)  # fmt: skip
"""Counts for which Helicone has a column."""
_TEXTS = ("asked", "override", "answering", "user_id", "tenant", "route")
_MILLISECONDS = ("delay", "first_token")
_NO_REFERENCE = "00000000-0000-0000-0000-000000000000"
_FIRST_ERROR_CODE = 400
_CANCELLED = -3


def _first(name: str) -> str:
    return f"coalesce({', '.join(text(field) for field in _NAMES[name])}, NULL)"


def _property(name: str) -> str:
    return tried(_first("properties"), f"json_extract_string({{}}, '$.\"{name}\"')")


_USAGE = tried("response_body", "json_extract({}, '$.usage')::VARCHAR")
_SEARCHED = f"coalesce({', '.join(tried('response_body', call) for call in _SEARCHES)}, NULL)"
_BILLIONTHS = f"CASE WHEN response_status IS NULL AND {integer('cost')} IS NOT NULL THEN cost END"
_SELECT = f"""
SELECT line_number, 1::INTEGER AS record_number, {text("request_id")} AS request_id,
       {instant(_first("created"))} AS started_at, {_first("created")} IS NOT NULL AS has_start,
       {instant(_first("answered"))} AS answered_at, {_first("answered")} IS NOT NULL AS has_end,
       {", ".join(f"{integer(_first(name))} AS {name}" for name in ("code", *_COUNTS))},
       {", ".join(f"{number(_first(name))} AS {name}" for name in _MILLISECONDS)},
       {bad_numbers({name: _first(name) for name in ("code", *_COUNTS)})} AS bad_counts,
       {bad_quantities({name: _first(name) for name in _MILLISECONDS})} AS bad_durations,
       {", ".join(f"{_first(name)} AS {name}" for name in _TEXTS)},
       lower({_first("provider")}) AS provider, {_first("hit")} <> '{_NO_REFERENCE}' AS is_hit,
       {hashed(_first("key"))} AS api_key_id,
       coalesce({money(text("costUSD"))},
         CASE WHEN {_BILLIONTHS} IS NOT NULL THEN ({_BILLIONTHS})::DECIMAL(38, 12) / 1000000000 END,
         {money(text("cost"))})::DECIMAL(38, 12) AS provider_reported_cost_usd,
       coalesce({_property("Helicone-Session-Id")}, {_property("session")}) AS session_id,
       {tried("response_body", "json_extract_string({}, '$.id')")} AS response_body_id,
       {_USAGE} AS usage_text, {number(_SEARCHED)} AS web_search,
       {given_tags(metadata=_first("properties"), tags="NULL::VARCHAR")} AS tag_entries
FROM records
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected requests into canonical columns."""
    written_5m = pl.coalesce(
        "written_5m", pl.col("written") - pl.col("cache_write_1h").fill_null(0), "written"
    )
    cached = pl.col("cache_read").fill_null(0) + pl.col("written").fill_null(
        pl.col("written_5m").fill_null(0) + pl.col("cache_write_1h").fill_null(0)
    )
    is_apart = (pl.col("provider") == "anthropic") | (
        (cached > 0) & (pl.col("total") == pl.col("prompt") + pl.col("completion") + cached)
    )
    is_apart = is_apart.fill_null(value=False)
    frame = frame.with_columns(
        prompt=pl.when(is_apart).then(pl.col("prompt") + cached).otherwise("prompt"),
        cache_write_5m=written_5m,
        is_unsure=~is_apart & (cached > 0),
    )
    frame = disjoint(frame, TokenRule(has_exclusive_variant=True))
    started, code = pl.col("started_at"), pl.col("code")
    is_cancelled = (code == _CANCELLED).fill_null(value=False)
    is_error = ((code >= _FIRST_ERROR_CODE) | ((code < 0) & ~is_cancelled)).fill_null(value=False)
    is_hit = pl.col("is_hit").fill_null(value=False)
    frame = with_tag_columns(frame)
    tags = {"environment": pl.col("tag_environment"), "feature": pl.col("tag_feature")}
    frame = with_map(frame, "tags", tags, pl.String, more="tag_entries")
    model = pl.coalesce("answering", "override", "asked")
    searched = searches(pl.col("web_search"), model=model, has_usage=pl.col("has_usage"))
    frame = with_map(frame, "other_meters", {"web_search": searched}, METER)
    done = frame.with_columns(
        *first_reason(
            (pl.col("request_id").is_null(), "missing_request_id", "request_id"),
            (started.is_null() & pl.col("has_start"), "bad_value", "request_created_at is no instant"),
            (started.is_null(), "missing_started_at", "request_created_at"),
            (
                pl.col("answered_at").is_null() & pl.col("has_end"),
                "bad_value",
                "response_created_at is no instant",
            ),
            (pl.col("bad_counts").is_not_null(), "bad_value", pl.col("bad_counts")),
            (pl.col("bad_durations").is_not_null(), "bad_value", pl.col("bad_durations")),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
        ),
        attempt_no=pl.lit(1, dtype=pl.Int32),
        provider=pl.col("provider").replace({"aws": "aws.bedrock"}),
        finished_at=pl.coalesce(
            pl.when(pl.col("answered_at") >= started).then("answered_at"), started + _milliseconds("delay")
        ),
        first_token_at=started + _milliseconds("first_token"),
        requested_model=pl.coalesce("asked", "answering"),
        routed_model=pl.coalesce("override", "asked", "answering"),
        served_model=pl.coalesce("answering", "override", "asked"),
        service_tier=pl.lit("default"),
        operation=pl.lit("chat"),
        status=pl.when(is_error)
        .then(pl.lit("error"))
        .when(is_cancelled)
        .then(pl.lit("cancelled"))
        .otherwise(pl.lit("ok")),
        error_class=pl.when(is_error).then(pl.concat_str(pl.lit("http_"), code)),
        usage_source=pl.when(pl.col("prompt").is_null() | pl.col("completion").is_null())
        .then(pl.lit("missing"))
        .when(pl.col("is_unsure") | pl.col("is_exclusive"))
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("provider")),
        unread_usage=unread_usage(
            "usage_text", "response_body.usage", _BODY_KNOWN, elsewhere=_BODY_ELSEWHERE
        ),
        is_gateway_cache_hit=is_hit,
        tenant=pl.coalesce("tag_tenant", "tenant"),
        team=pl.col("tag_team"),
        user_id=pl.coalesce("user_id", "tag_user_id"),
        session_id=pl.coalesce("session_id", "tag_session_id"),
        task_class=pl.col("tag_task_class"),
        # The provider's own id, where the answer is exported too: a gateway behind Helicone logs the same call.
        dedupe_key=pl.concat_str(
            pl.lit("id:"),
            pl.coalesce(
                pl.when(~is_hit & (pl.col("response_body_id") != "")).then("response_body_id"), "request_id"
            ),
        ),
    )
    return done.drop("tag_entries")


def _milliseconds(column: str) -> pl.Expr:
    return pl.duration(microseconds=(pl.col(column) * 1e3).round(0).cast(pl.Int64, strict=False))


_COLUMNS = [field for fields in _NAMES.values() for field in fields]

IMPORTER = Importer(
    kind="helicone_export",
    table="raw.requests",
    columns=dict.fromkeys(
        dict.fromkeys(["request_id", *_COLUMNS, "costUSD", "cost", "response_body"]), "VARCHAR"
    ),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(
        frozenset({"request_created_at", "response_status", "provider"}),
        frozenset({"request_created_at", "status", "provider"}),
    ),
    rank=16,
)
