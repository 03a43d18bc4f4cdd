"""Langfuse's observations: blob-storage exports, ClickHouse rows (snake case) and the public API (camel case).

Generations and embeddings are calls; observations of other types may repeat their sums and are ignored, so are deleted
rows. Keys of `usage_details` are disjoint, unless a caller wrote totals beside their parts. Where the client sent no
usage, Langfuse counted text with a tokenizer of its own: that is estimated. Costs are Langfuse's own or the client's.
Source: langfuse/langfuse, ClickHouse migrations, API definition, blob-storage export.
"""

import polars as pl

from models.logs.langfuse_shape import NAMES, inclusive
from models.logs.tokens import TokenRule, disjoint, total_tokens
from models.records import (
    Importer,
    bad_numbers,
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

_FIELDS = {
    "id": "id",
    "trace_id": "traceId",
    "project_id": "projectId",
    "environment": "environment",
    "type": "type",
    "start_time": "startTime",
    "end_time": "endTime",
    "completion_start_time": "completionStartTime",
    "level": "level",
    "provided_model_name": "providedModelName",
    "model": "model",
    "model_parameters": "modelParameters",
    "usage_details": "usageDetails",
    "provided_usage_details": "providedUsageDetails",
    "usage": "usage",
    "cost_details": "costDetails",
    "total_cost": "totalCost",
    "usage_pricing_tier_name": "usagePricingTierName",
    "metadata": "metadata",
    "prompt_name": "promptName",
    "user_id": "userId",
    "session_id": "sessionId",
    "release": "release",
    "trace_name": "traceName",
    "is_deleted": "isDeleted",
}
"""A field in snake case, and in camel case."""
_INSTANTS = ("start_time", "end_time", "completion_start_time")
_TAGS = ("environment", "release", "prompt_name", "trace_name", "usage_pricing_tier_name")
_TEXTS = ("trace_id", "project_id", "type", "level", "user_id", "session_id", *_TAGS)
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "ls_provider")
KEPT_PATHS = {
    "metadata": ("ls_provider", "user_api_key_hash"),
    **dict.fromkeys(("model_parameters", "modelParameters"), ("service_tier",)),
    "usage": ("input", "output", "total", "unit"),
}
"""What is kept of fields that hold more than is read, where observations are pulled from the API."""


def _first(name: str) -> str:
    camel = _FIELDS[name]
    return f'"{name}"' if camel == name else f'coalesce("{name}", "{camel}")'


def _map(field: str) -> str:
    return tried(field, """from_json({}, '"MAP(VARCHAR, VARCHAR)"')""")


def _extracted(name: str, path: str) -> str:
    return tried(_first(name), f"json_extract_string({{}}, '{path}')")


def _held(names: tuple[str, ...]) -> str:
    return "coalesce(" + ", ".join(f"usage_map['{name}']" for name in names) + ", NULL)"


_KNOWN = ", ".join(f"'{key}'" for keys in NAMES.values() for key in keys)
_UNKNOWN = f"list_filter(map_entries(usage_map), lambda e: NOT list_contains([{_KNOWN}], e.key))"


def _others(side: str) -> str:
    """SQL of the sum of the keys of one side that NAMES lacks, as text."""
    chosen = f"list_filter({_UNKNOWN}, lambda e: starts_with(e.key, '{side}_'))"
    numbers = f"list_transform({chosen}, lambda e: {integer('e.value')})"
    return (
        f"CASE WHEN list_has_any(list_transform({numbers}, lambda n: n IS NULL), [true]) THEN 'no number' "
        f"ELSE list_sum({numbers})::VARCHAR END"
    )


_COUNTS = {name: _held(keys) for name, keys in NAMES.items()} | {
    "other_input": _others("input"),
    "other_output": _others("output"),
}
# The older `usage` counts tokens unless its unit says otherwise.
_OLD = (
    f"""CASE WHEN coalesce({_extracted("usage", "$.unit")}, 'TOKENS') = 'TOKENS' THEN {_first("usage")} END"""
)
_PROVIDERS = ", ".join(
    _extracted("metadata", f'{where}."{name}"') for where in ("$", "$.attributes") for name in _PROVIDER
)
_SELECT = f"""
WITH named AS NOT MATERIALIZED (
  SELECT *, coalesce(nullif({_first("usage_details")}, '{{}}'), {_OLD}) AS details FROM records
),
counted AS NOT MATERIALIZED (SELECT *, {_map("details")} AS usage_map FROM named)
SELECT line_number, 1::INTEGER AS record_number, {text("id")} AS request_id,
       {", ".join(f"{text(_first(name))} AS {name}" for name in _TEXTS)},
       {", ".join(f"{instant(_first(name))} AS {name}" for name in _INSTANTS)},
       {", ".join(f"{text(_first(name))} IS NOT NULL AS has_{name}" for name in _INSTANTS)},
       {text(f"coalesce({_first('provided_model_name')}, model)")} AS model,
       {_extracted("model_parameters", "$.service_tier")} AS tier,
       coalesce({_PROVIDERS}) AS provider, TRY_CAST({_first("is_deleted")} AS INTEGER) = 1 AS is_deleted,
       {hashed(text(_extracted("metadata", "$.user_api_key_hash")))} AS api_key_id,
       {_map(_first("provided_usage_details"))} = MAP {{}}::MAP(VARCHAR, VARCHAR) AS is_estimated,
       {money(f"coalesce({text(_first('total_cost'))}, {_map(_first('cost_details'))}['total'])")}
         AS provider_reported_cost_usd,
       details IS NOT NULL AND usage_map IS NULL AS is_odd,
       {", ".join(f"{integer(value)} AS {name}" for name, value in _COUNTS.items())},
       {bad_numbers(_COUNTS)} AS bad_counts,
       list_transform(list_filter({_UNKNOWN}, lambda e: NOT regexp_matches(e.key, '^(in|out)put_')),
         lambda e: {{'key': e.key, 'value': {number("e.value")}}}) AS meter_entries
FROM counted
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected observations into canonical columns; `is_ignored` marks what is no call."""
    counts = {name: pl.col(name) for name in _COUNTS}
    prompt, completion = inclusive(counts)
    frame = disjoint(frame.with_columns(prompt=prompt, completion=completion), TokenRule())
    kind = pl.col("type").str.to_lowercase()
    is_embedding = (kind == "embedding").fill_null(value=False)
    is_whole = (pl.col("prompt").is_not_null() & pl.col("completion").is_not_null()) | is_embedding
    unreadable = pl.any_horizontal(pl.col(f"has_{name}") & pl.col(name).is_null() for name in _INSTANTS)
    is_error = (pl.col("level") == "ERROR").fill_null(value=False)
    is_early = pl.col("end_time") < pl.col("start_time")
    tags = {name.removeprefix("usage_"): pl.col(name) for name in _TAGS}
    return with_map(frame, "tags", tags, pl.String).with_columns(
        *first_reason(
            (pl.col("request_id").is_null(), "missing_request_id", "id"),
            (unreadable, "bad_value", "a time is no instant"),
            (pl.col("start_time").is_null(), "missing_started_at", "start_time"),
            (pl.col("is_odd"), "bad_value", "usage_details"),
            (pl.col("bad_counts").is_not_null(), "bad_value", pl.col("bad_counts")),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
            ((pl.col("total") != total_tokens()).fill_null(value=False), "tokens_do_not_add_up", "total"),
        ),
        is_ignored=(~kind.is_in(["generation", "embedding"])).fill_null(value=False)
        | pl.col("is_deleted").fill_null(value=False),
        logical_request_id=pl.col("trace_id"),
        attempt_no=pl.lit(1, dtype=pl.Int32),
        started_at=pl.col("start_time"),
        # Two clocks may put an end before the start: then it is not known.
        finished_at=pl.when(~is_early).then("end_time"),
        first_token_at=pl.col("completion_start_time"),
        requested_model=pl.col("model"),
        routed_model=pl.col("model"),
        served_model=pl.col("model"),
        service_tier=pl.coalesce("tier", pl.lit("default")),
        team=pl.col("project_id"),
        operation=pl.when(is_embedding).then(pl.lit("embedding")).otherwise(pl.lit("chat")),
        status=pl.when(is_error).then(pl.lit("error")).otherwise(pl.lit("ok")),
        error_class=pl.when(is_error).then(pl.lit("error")),
        usage_source=pl.when(~pl.col("has_usage") | ~is_whole)
        .then(pl.lit("missing"))
        .when(pl.col("is_estimated").fill_null(value=False))
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("provider")),
        is_gateway_cache_hit=pl.lit(value=False),
        dedupe_key=pl.concat_str(pl.lit("id:"), "request_id"),
    )


IMPORTER = Importer(
    kind="langfuse_export",
    table="raw.requests",
    columns=dict.fromkeys(dict.fromkeys([*_FIELDS, *_FIELDS.values()]), "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(
        frozenset({"usage_details", "trace_id", "start_time"}),
        frozenset({"usageDetails", "traceId", "startTime"}),
    ),
    rank=15,
)
