"""Langfuse's observations: blob-storage exports, ClickHouse rows (snake case) and the public API (camel case).

Generations and embeddings are calls; observations of other types may repeat their sums and are ignored, so are deleted
rows. Keys of `usage_details` are disjoint, unless a caller wrote totals beside their parts. Where the client sent no
usage, Langfuse counted text with a tokenizer of its own: that is estimated. Costs are Langfuse's own or the client's.
Source: langfuse/langfuse, ClickHouse migrations, API definition, blob-storage export.
"""

import polars as pl

from models.logs.cache_writes import split_writes
from models.logs.dimensions import given_tags, with_tag_columns
from models.logs.fees import searches
from models.logs.langfuse_shape import inclusive, pick_details
from models.logs.picking import opened
from models.logs.served_by import sole_owner
from models.logs.spans import with_parents
from models.logs.tokens import TokenRule, disjoint, total_tokens
from models.logs.totals import hidden_thoughts
from models.logs.usage_names import COUNTS
from models.records import (
    METER,
    MOST_QUANTITY,
    Importer,
    first_reason,
    hashed,
    instant,
    money,
    text,
    tried,
    with_map,
    with_numbers,
)

_FIELDS = {
    "id": "id",
    "trace_id": "traceId",
    "parent_observation_id": "parentObservationId",
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
    "tags": "tags",
    "is_deleted": "isDeleted",
}
"""A field in snake case, and in camel case."""
_INSTANTS = ("start_time", "end_time", "completion_start_time")
_TAGS = ("environment", "release", "prompt_name", "trace_name", "usage_pricing_tier_name")
_TEXTS = ("trace_id", "parent_observation_id", "project_id", "type", "level", "user_id", "session_id", *_TAGS)
_PROVIDER = (
    "gen_ai.provider.name",
    "gen_ai.system",
    "ls_provider",
    "ai.model.provider",
    "custom_llm_provider",
)
_SPAN_ID, _TRACE_ID = "^[0-9a-f]{16}$", "^[0-9a-f]{32}$"
_LITELLM_ID = r"^time-[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]+_(.+)$"
"""LiteLLM names its generation by the time and the response's id."""
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


_COUNTS = (*COUNTS, "other_input", "other_output")
# The older `usage` counts tokens unless its unit says otherwise.
_OLD = (
    f"""CASE WHEN coalesce({_extracted("usage", "$.unit")}, 'TOKENS') = 'TOKENS' THEN {_first("usage")} END"""
)
_PROVIDERS = ", ".join(
    _extracted("metadata", f'{where}."{name}"') for where in ("$", "$.attributes") for name in _PROVIDER
)
_RESPONSE_IDS = ", ".join(
    text(_extracted("metadata", f'{where}."{name}"'))
    for where in ("$.attributes", "$")
    for name in ("gen_ai.response.id", "ai.response.id")
)
_MORE = pl.List(pl.Struct({"key": pl.String, "value": pl.Float64}))
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
       coalesce({_RESPONSE_IDS}) AS response_id,
       list_transform(map_entries(usage_map), lambda e: {{'k': e.key, 'v': e.value}}) AS usage_entries,
       {given_tags(metadata=_first("metadata"), tags="tags")} AS tag_entries
FROM counted
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected observations into canonical columns; `is_ignored` marks what is no call."""
    held = {name: dtype for name, dtype in frame.collect_schema().items() if name != "usage_entries"}
    texts = [(name, pl.String()) for name in (*_COUNTS, "prompt_key")]
    frame = frame.map_batches(
        _counted,
        predicate_pushdown=False,
        projection_pushdown=False,
        schema=pl.Schema([*held.items(), *texts, ("more", _MORE)]),
    )
    frame = split_writes(with_numbers(frame, _COUNTS))
    prompt, completion = inclusive({name: pl.col(name) for name in _COUNTS}, pl.col("prompt_key"))
    counted = pl.col("prompt") + pl.col("completion")
    frame = frame.with_columns(counted=counted, prompt=prompt, completion=completion)
    thoughts = hidden_thoughts(
        pl.col("total") - pl.col("prompt") - pl.col("completion"),
        model=pl.col("model"),
        reasoning=pl.col("reasoning"),
    )
    frame = frame.with_columns(
        completion=pl.col("completion") + thoughts.fill_null(0), reasoning=pl.coalesce(thoughts, "reasoning")
    )
    frame = disjoint(frame, TokenRule())
    kind = pl.col("type").str.to_lowercase()
    is_embedding = (kind == "embedding").fill_null(value=False)
    is_whole = (pl.col("prompt").is_not_null() & pl.col("completion").is_not_null()) | is_embedding
    unreadable = pl.any_horizontal(pl.col(f"has_{name}") & pl.col(name).is_null() for name in _INSTANTS)
    is_error = (pl.col("level") == "ERROR").fill_null(value=False)
    is_early = pl.col("end_time") < pl.col("start_time")
    tags = {name.removeprefix("usage_"): pl.col(name) for name in _TAGS}
    tags["environment"] = pl.coalesce("environment", pl.col("tag_environment"))
    tags["feature"] = pl.col("tag_feature")
    tags["cache_write_split"] = pl.when("is_split_assumed").then(pl.lit("assumed"))
    is_generation = kind.is_in(["generation", "embedding"]).fill_null(value=True)
    frame = with_parents(
        frame.with_columns(
            span_id=pl.col("request_id"), parent_id=pl.col("parent_observation_id"), is_usable=is_generation
        )
    )
    frame = frame.with_columns(provider=pl.coalesce("provider", sole_owner(pl.col("model"))))
    frame = with_map(with_tag_columns(frame), "tags", tags, pl.String, more="tag_entries")
    is_too_much = pl.element().struct.field("value").abs() > MOST_QUANTITY
    frame = frame.with_columns(
        is_beyond=pl.col("more").list.eval(is_too_much).list.any(),
        more=pl.col("more").list.filter(~is_too_much.fill_null(value=False)),
    )
    searched = searches(pl.col("web_search"), model=pl.col("model"), has_usage=pl.col("has_usage"))
    frame = with_map(frame, "other_meters", {"web_search": searched}, METER, more="more")
    done = frame.with_columns(
        *first_reason(
            (pl.col("request_id").is_null(), "missing_request_id", "id"),
            (unreadable, "bad_value", "a time is no instant"),
            (pl.col("start_time").is_null(), "missing_started_at", "start_time"),
            (pl.col("is_odd"), "bad_value", "usage_details"),
            (pl.col("bad").is_not_null(), "bad_value", pl.col("bad")),
            (
                pl.col("is_beyond").fill_null(value=False),
                "bad_value",
                "usage_details: a count is out of range",
            ),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
            (
                ((pl.col("total") != total_tokens()) & (pl.col("total") != pl.col("counted"))).fill_null(
                    value=False
                ),
                "tokens_do_not_add_up",
                "total",
            ),
        ),
        is_ignored=(~kind.is_in(["generation", "embedding"])).fill_null(value=False)
        | pl.col("is_deleted").fill_null(value=False),
        parent_span_id=pl.col("parent_span_id"),
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
        tenant=pl.col("tag_tenant"),
        team=pl.coalesce(pl.col("tag_team"), "project_id"),
        user_id=pl.coalesce("user_id", pl.col("tag_user_id")),
        session_id=pl.coalesce("session_id", pl.col("tag_session_id")),
        task_class=pl.col("tag_task_class"),
        operation=pl.when(is_embedding).then(pl.lit("embedding")).otherwise(pl.lit("chat")),
        status=pl.when(is_error).then(pl.lit("error")).otherwise(pl.lit("ok")),
        error_class=pl.when(is_error).then(pl.lit("error")),
        usage_source=pl.when(~pl.col("has_usage") | ~is_whole)
        .then(pl.lit("missing"))
        .when(pl.col("is_estimated").fill_null(value=False))
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("provider")),
        is_gateway_cache_hit=pl.lit(value=False),
        dedupe_key=pl.when(pl.col("request_id").str.contains(_LITELLM_ID))
        .then(pl.concat_str(pl.lit("id:"), pl.col("request_id").str.extract(_LITELLM_ID, 1)))
        .when(pl.col("response_id").is_not_null())
        .then(pl.concat_str(pl.lit("id:"), "response_id"))
        # Langfuse keeps the ids of spans that it was sent: a collector's file may hold the same span.
        .when(pl.col("request_id").str.contains(_SPAN_ID) & pl.col("trace_id").str.contains(_TRACE_ID))
        .then(pl.concat_str(pl.lit("span:"), "trace_id", pl.lit(":"), "request_id"))
        .otherwise(pl.concat_str(pl.lit("id:"), "request_id")),
    )
    return done.drop("tag_entries", "more")


def _counted(observations: pl.DataFrame) -> pl.DataFrame:
    """Return observations with their counts, as texts, in place of `usage_entries`."""
    entries = observations.select(row=pl.int_range(pl.len()), entry="usage_entries")
    entries = entries.explode("entry").unnest("entry").filter(pl.col("v").is_not_null())
    found = pick_details(opened(entries), observations.height)
    return observations.drop("usage_entries").with_columns(found.get_columns())


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
