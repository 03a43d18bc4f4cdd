"""Amazon Bedrock's model invocation logs: InvokeModel and Converse, streamed or not.

Input, cache reads and cache writes are disjoint; output includes reasoning. The log's own counts come first, those of
the response body (where it is delivered) next; the body alone splits writes by lifetime. `started_at` is the log's
`timestamp`, to the second. A provisioned or imported model is paid by the hour: its tier is `provisioned`.
Source: elastic/integrations aws_bedrock, botocore 1.44 bedrock-runtime.
"""

from itertools import chain

import polars as pl

from models.json_fields import json_field, json_struct, json_type
from models.logs.bedrock_shape import (
    COUNTS,
    COUNTS_SQL,
    LATENCY,
    LISTS,
    NAMED_ARN,
    PROVISIONED,
    RULE,
    SECONDS,
    TIER,
    tier_of,
)
from models.logs.cache_writes import split_writes
from models.logs.dimensions import given_tags
from models.logs.streams import events_of, merged
from models.logs.tokens import disjoint, total_tokens
from models.records import (
    METER,
    MOST_QUANTITY,
    Importer,
    Reading,
    first_reason,
    instant,
    text,
    with_map,
    with_numbers,
)

_TEXTS = (
    "schemaType",
    "timestamp",
    "accountId",
    "identity",
    "region",
    "inferenceRegion",
    "requestId",
    "operation",
    "modelId",
    "errorCode",
    "status",
    "performanceConfig",
    "requestMetadata",
)
_LOGGED = {
    "prompt": '"input".inputTokenCount',
    "completion": '"output".outputTokenCount',
    "cache_read": '"input".cacheReadInputTokenCount',
    "written": '"input".cacheWriteInputTokenCount',
}
_PATHS = list(
    dict.fromkeys(
        [*chain.from_iterable((*COUNTS.values(), *SECONDS.values(), TIER, LATENCY)), *LISTS, "$.model"]
    )
)
_INPUT = (
    "STRUCT(inputTokenCount VARCHAR, cacheReadInputTokenCount VARCHAR, cacheWriteInputTokenCount VARCHAR)"
)
_OUTPUT = "STRUCT(outputTokenCount VARCHAR, outputVideoDurationSeconds VARCHAR, outputBodyJson {})"


def _in_body(paths: tuple[str, ...]) -> str:
    return "coalesce(" + ", ".join(json_field("m", path) for path in paths) + ", NULL)"


_COUNTS = {
    name: f"coalesce({_LOGGED[name]}, {_in_body(paths)})" if name in _LOGGED else _in_body(paths)
    for name, paths in COUNTS.items()
} | COUNTS_SQL
_SECONDS = {f"milliseconds_{name}": _in_body(paths) for name, paths in SECONDS.items()}
_LATENCY = f"coalesce(TRY(json_extract_string(performanceConfig, '$.latency')), {_in_body(LATENCY)})"
_ARN = "coalesce(TRY(json_extract_string(identity, '$.arn')), TRY(json_extract_string(identity, '$[0].arn')))"
_METADATA = given_tags(metadata="requestMetadata", tags="NULL")
"""Of the caller's own metadata, which may hold anything, the known names; the project names more."""


def _select(parsed: str, *, is_odd: str) -> str:
    return f"""
SELECT line_number, 1::INTEGER AS record_number, {text("schemaType")} AS schema_type,
       {text("requestId")} AS request_id, {instant("timestamp")} AS started_at,
       {text("timestamp")} IS NOT NULL AS has_start, {is_odd} AS is_body_odd,
       {text("accountId")} AS tenant, {text("region")} AS region, {text("inferenceRegion")} AS inference_region,
       {text("operation")} AS method, {text("modelId")} AS model_id, {_in_body(("$.model",))} AS body_model,
       {text("errorCode")} AS error_class, lower({text("status")}) AS raw_status,
       {_in_body(TIER)} AS tier, {_LATENCY} AS latency,
       {_ARN} AS arn, {_METADATA} AS request_metadata,
       {", ".join(f"{value} AS {name}" for name, value in (_COUNTS | _SECONDS).items())},
       "output".outputVideoDurationSeconds AS video_seconds
FROM ({parsed})
"""


_BODIES = f"""
SELECT *, CASE WHEN held[1] = '[' THEN ({merged(events_of("held"))})::VARCHAR ELSE held END AS body
FROM (SELECT *, "output".outputBodyJson AS held FROM records)
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected log records into canonical columns."""
    arn = pl.col("arn")
    frame = with_numbers(
        frame,
        _COUNTS,
        (*_SECONDS, "video_seconds"),
        at_most=MOST_QUANTITY,
    )
    frame = disjoint(split_writes(frame), RULE)
    model_id = pl.col("model_id")
    # The geography before a profile's name (`us.`, `global.`) chooses its price, and stays in the name.
    served = pl.coalesce(model_id.str.extract(NAMED_ARN, 1), model_id)
    is_hourly = model_id.str.contains(PROVISIONED)
    tier = (
        pl.when(is_hourly).then(pl.lit("provisioned")).otherwise(tier_of(pl.col("tier"), pl.col("latency")))
    )
    is_embedding = model_id.str.contains("embed")
    is_whole = (pl.col("prompt").is_not_null() & pl.col("completion").is_not_null()) | is_embedding
    failed = pl.col("error_class").is_not_null() | pl.col("raw_status").is_in(["error", "failed", "failure"])
    tags = {
        "inference_region": pl.col("inference_region"),
        "body_model": pl.when(served.str.starts_with("arn:")).then("body_model"),
        "cache_write_split": pl.when("is_split_assumed").then(pl.lit("assumed")),
    }
    metadata = pl.col("request_metadata")
    frame = with_map(frame, "tags", tags, pl.String, more="request_metadata")
    frame = with_map(frame, "other_meters", {"video_seconds": pl.col("video_seconds")}, METER)
    return frame.with_columns(
        *first_reason(
            (
                (pl.col("schema_type") != "ModelInvocationLog").fill_null(value=True),
                "unknown_shape",
                "schemaType",
            ),
            (pl.col("request_id").is_null(), "missing_request_id", "requestId"),
            (pl.col("started_at").is_null() & pl.col("has_start"), "bad_value", "timestamp is no instant"),
            (pl.col("started_at").is_null(), "missing_started_at", "timestamp"),
            (pl.col("is_body_odd"), "bad_value", "output.outputBodyJson"),
            (pl.col("bad").is_not_null(), "bad_value", pl.col("bad")),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
            (
                (pl.col("total") != total_tokens()).fill_null(value=False),
                "tokens_do_not_add_up",
                "totalTokens",
            ),
        ),
        team=arn.str.extract(r":assumed-role/([^/]+)/", 1),
        user_id=arn.str.extract(r":(?:assumed-role/[^/]+|user)/(.+)$", 1),
        attempt_no=pl.lit(1, dtype=pl.Int32),
        finished_at=pl.col("started_at") + _milliseconds("milliseconds_total"),
        first_token_at=pl.col("started_at") + _milliseconds("milliseconds_first"),
        provider=pl.lit("aws.bedrock"),
        route=model_id,
        requested_model=model_id,
        routed_model=model_id,
        served_model=pl.coalesce(served, "body_model"),
        service_tier=tier,
        operation=pl.when(is_embedding).then(pl.lit("embedding")).otherwise(pl.lit("chat")),
        task_class=metadata.list.filter(pl.element().struct.field("key") == "task_class")
        .list.first()
        .struct.field("value"),
        status=pl.when(failed.fill_null(value=False)).then(pl.lit("error")).otherwise(pl.lit("ok")),
        usage_source=pl.when(pl.col("has_usage") & is_whole)
        .then(pl.lit("provider"))
        .otherwise(pl.lit("missing")),
        is_gateway_cache_hit=pl.lit(value=False),
        dedupe_key=pl.concat_str(pl.lit("id:"), "request_id"),
    )


def _milliseconds(column: str) -> pl.Expr:
    return pl.duration(microseconds=(pl.col(column) * 1e3).round(0).cast(pl.Int64, strict=False))


_COLUMNS = {**dict.fromkeys(_TEXTS, "VARCHAR"), "input": _INPUT}

IMPORTER = Importer(
    kind="bedrock_invocation_log",
    table="raw.requests",
    columns=_COLUMNS | {"output": _OUTPUT.format("VARCHAR")},
    select=_select(
        f"SELECT *, {json_struct('body', _PATHS)} AS m FROM ({_BODIES})",
        is_odd="held IS NOT NULL AND m IS NULL",
    ),
    # Bodies of streams are lists: a block that holds one is read by the other way.
    fast=Reading(
        columns=_COLUMNS | {"output": _OUTPUT.format(json_type(_PATHS))},
        select=_select('SELECT *, "output".outputBodyJson AS m FROM records', is_odd="false"),
    ),
    canonical=_canonical,
    formats=("jsonl",),
    signature=(frozenset({"schemaType=ModelInvocationLog"}),),
    rank=10,
)
