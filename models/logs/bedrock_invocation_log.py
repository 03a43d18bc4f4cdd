"""Amazon Bedrock's model invocation logs: InvokeModel and Converse, streamed or not.

Input, cache reads and cache writes are disjoint; output includes reasoning. The log's own counts come first, those of
the response body (where it is delivered) next; the body alone splits writes by lifetime. `started_at` is the log's
`timestamp`, to the second. A provisioned or imported model is paid by the hour: its tier is `provisioned`.
Source: elastic/integrations aws_bedrock, botocore 1.44 bedrock-runtime.
"""

from itertools import chain

import polars as pl

from models.json_fields import json_field, json_struct
from models.logs.bedrock_shape import (
    COUNTS,
    LATENCY,
    LISTS,
    NAMED_ARN,
    PROVISIONED,
    RULE,
    SECONDS,
    TIER,
    counts_sql,
    tier_of,
)
from models.logs.cache_writes import split_writes
from models.logs.dimensions import given_tags
from models.logs.streams import events_of, merged
from models.logs.tokens import disjoint, total_tokens
from models.logs.unread import unread_usage
from models.records import (
    METER,
    MOST_QUANTITY,
    Importer,
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
    "prompt": """"input"['inputTokenCount']""",
    "completion": """"output"['outputTokenCount']""",
    "cache_read": """"input"['cacheReadInputTokenCount']""",
    "written": """"input"['cacheWriteInputTokenCount']""",
}
_READ = list(
    dict.fromkeys(
        [*chain.from_iterable((*COUNTS.values(), *SECONDS.values(), TIER, LATENCY)), *LISTS, "$.model"]
    )
)
_OBJECTS = {
    "usage": ("$.metadata.usage", "$.usage"),
    "invocation_metrics": ('$."amazon-bedrock-invocationMetrics"',),
}
"""Objects of counts in a body, which stay texts: fields that no rule reads are seen in them."""


def _inside(path: str) -> tuple[str, str] | None:
    """Return the object of counts that a path leads into, and the path inside it."""
    return next(
        (
            (name, path.removeprefix(f"{top}."))
            for name, tops in _OBJECTS.items()
            for top in tops
            if path.startswith(f"{top}.")
        ),
        None,
    )


def _field(path: str) -> str:
    """SQL of a path of the body."""
    inside = _inside(path)
    return json_field("m", path) if inside is None else json_field(*inside)


_PATHS = [*chain.from_iterable(_OBJECTS.values()), *(path for path in _READ if _inside(path) is None)]
_IN_OBJECTS = {
    name: frozenset(
        inside[1] for path in _READ if (inside := _inside(path)) is not None and inside[0] == name
    )
    for name in _OBJECTS
}
_METERS = {
    "video_seconds": """"output"['outputVideoDurationSeconds']""",
    "image_generation": """"output"['outputImageCount']""",
}
_SIDES = {
    "input": ("inputContentType", "inputBodyJson", "inputBodyS3Path", "inputTokenCount", "cacheReadInputTokenCount",
              "cacheWriteInputTokenCount"),
    "output": ("outputContentType", "outputBodyJson", "outputBodyS3Path", "outputTokenCount",
               "outputVideoDurationSeconds", "outputImageCount"),
}  # fmt: skip
"""The log's own fields of each side; other numbers there are shown as not read."""


def _in_body(paths: tuple[str, ...]) -> str:
    return f"coalesce({', '.join(dict.fromkeys(map(_field, paths)))}, NULL)"


def _unread_of(side: str) -> str:
    """SQL of a side's numbers above 0 that are not read, as an object of counts."""
    known = ", ".join(f"'{name}'" for name in _SIDES[side])
    is_odd = f"""e."key" NOT IN ({known}) AND TRY_CAST(e."value" AS DOUBLE) > 0"""
    odd = f"""list_filter(map_entries("{side}"), lambda e: {is_odd})"""
    counts = f"""list_transform({odd}, lambda e: to_json(e."key")::VARCHAR || ':1')"""
    found = f"'{{' || array_to_string({counts}, ',') || '}}'"
    # Most records have known fields only: those are told by their number.
    held = " + ".join(f"""("{side}"['{name}'] IS NOT NULL)::INT""" for name in _SIDES[side])
    return f"""CASE WHEN cardinality("{side}") > {held} THEN {found} END"""


_COUNTS = {
    name: f"coalesce({_LOGGED[name]}, {_in_body(paths)})" if name in _LOGGED else _in_body(paths)
    for name, paths in COUNTS.items()
} | counts_sql(_field)
_SECONDS = {f"milliseconds_{name}": _in_body(paths) for name, paths in SECONDS.items()}
_LATENCY = f"coalesce(TRY(json_extract_string(performanceConfig, '$.latency')), {_in_body(LATENCY)})"
_ARN = "coalesce(TRY(json_extract_string(identity, '$.arn')), TRY(json_extract_string(identity, '$[0].arn')))"
_METADATA = given_tags(metadata="requestMetadata", tags="NULL")
"""Of the caller's own metadata, which may hold anything, the known names; the project names more."""


_TEXT_OF = {
    name: f"coalesce({', '.join(json_field('m', path) for path in tops)}, NULL)"
    for name, tops in _OBJECTS.items()
}
_TEXTS_SQL = ", ".join(f"{sql} AS {name}_text" for name, sql in _TEXT_OF.items())
_OPENED_SQL = ", ".join(
    f"{json_struct(f'{name}_text', sorted(inner))} AS {name}" for name, inner in _IN_OBJECTS.items()
)
_SELECT = f"""
WITH holding AS NOT MATERIALIZED (SELECT *, "output"['outputBodyJson'] AS held FROM records),
bodies AS NOT MATERIALIZED (
  SELECT *, CASE WHEN held[1] = '[' THEN ({merged(events_of("held"))})::VARCHAR ELSE held END AS body FROM holding
),
parsed AS NOT MATERIALIZED (SELECT *, {json_struct("body", _PATHS)} AS m FROM bodies),
found AS NOT MATERIALIZED (SELECT *, {_TEXTS_SQL} FROM parsed),
opened AS NOT MATERIALIZED (SELECT *, {_OPENED_SQL} FROM found)
SELECT line_number, 1::INTEGER AS record_number, {text("schemaType")} AS schema_type,
       {text("requestId")} AS request_id, {instant("timestamp")} AS started_at,
       {text("timestamp")} IS NOT NULL AS has_start, held IS NOT NULL AND m IS NULL AS is_body_odd,
       {text("accountId")} AS tenant, {text("region")} AS region, {text("inferenceRegion")} AS inference_region,
       {text("operation")} AS method, {text("modelId")} AS model_id, {_in_body(("$.model",))} AS body_model,
       {text("errorCode")} AS error_class, lower({text("status")}) AS raw_status,
       {_in_body(TIER)} AS tier, {_LATENCY} AS latency,
       {_ARN} AS arn, {_METADATA} AS request_metadata,
       {", ".join(f"{value} AS {name}" for name, value in (_COUNTS | _SECONDS | _METERS).items())},
       {", ".join(f"{_unread_of(side)} AS {side}_text" for side in _SIDES)},
       {", ".join(f"{name}_text" for name in _OBJECTS)}
FROM opened
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected log records into canonical columns."""
    arn = pl.col("arn")
    frame = with_numbers(
        frame,
        _COUNTS,
        (*_SECONDS, *_METERS),
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
    frame = with_map(frame, "other_meters", {name: pl.col(name) for name in _METERS}, METER)
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
        unread_usage=pl.concat_str(
            *(unread_usage(f"{name}_text", name, known) for name, known in _IN_OBJECTS.items()),
            *(unread_usage(f"{side}_text", side, frozenset()) for side in _SIDES),
            separator=",",
            ignore_nulls=True,
        ).replace("", None),
        is_gateway_cache_hit=pl.lit(value=False),
        dedupe_key=pl.concat_str(pl.lit("id:"), "request_id"),
    )


def _milliseconds(column: str) -> pl.Expr:
    return pl.duration(microseconds=(pl.col(column) * 1e3).round(0).cast(pl.Int64, strict=False))


IMPORTER = Importer(
    kind="bedrock_invocation_log",
    table="raw.requests",
    columns=dict.fromkeys(_TEXTS, "VARCHAR") | dict.fromkeys(_SIDES, "MAP(VARCHAR, VARCHAR)"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(frozenset({"schemaType=ModelInvocationLog"}),),
    rank=10,
)
