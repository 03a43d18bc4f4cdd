"""Amazon Bedrock's model invocation logs: InvokeModel and Converse, streamed or not.

Input, cache reads and cache writes are disjoint; output includes reasoning. The log's own counts come first, those of
the response body (where it is delivered) next; the body alone splits writes by lifetime. `started_at` is the log's
`timestamp`, to the second. A provisioned or imported model is paid by the hour: its tier is `provisioned`.
Source: elastic/integrations aws_bedrock, botocore 1.44 bedrock-runtime.
"""

import polars as pl

from models.logs.bedrock_shape import COUNTS, COUNTS_SQL, RULE, SECONDS, TIER
from models.logs.cache_writes import split_writes
from models.logs.streams import events_of, merged
from models.logs.tokens import disjoint, total_tokens
from models.records import (
    LONGEST_SECONDS,
    METER,
    Importer,
    bad_numbers,
    bad_quantities,
    first_reason,
    instant,
    integer,
    number,
    text,
    with_map,
)

_INPUT = (
    "STRUCT(inputTokenCount VARCHAR, cacheReadInputTokenCount VARCHAR, cacheWriteInputTokenCount VARCHAR)"
)
_OUTPUT = "STRUCT(outputTokenCount VARCHAR, outputVideoDurationSeconds VARCHAR, outputBodyJson VARCHAR)"
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
        path for paths in (*COUNTS.values(), *SECONDS.values(), TIER, ("$.model",)) for path in paths
    )
)


def _in_body(paths: tuple[str, ...]) -> str:
    return "coalesce(" + ", ".join(f"m[{_PATHS.index(path) + 1}]" for path in paths) + ", NULL)"


_NUMBERS = {
    name: f"coalesce({_LOGGED[name]}, {_in_body(paths)})" if name in _LOGGED else _in_body(paths)
    for name, paths in COUNTS.items()
} | {name: f"CASE WHEN has_split THEN {sql} END" for name, sql in COUNTS_SQL.items()}
_SECONDS = {name: _in_body(paths) for name, paths in SECONDS.items()}
_ARN = "TRY(coalesce(json_extract_string(identity, '$.arn'), json_extract_string(identity, '$[0].arn')))"
_METADATA = """map_entries(TRY(from_json(requestMetadata, '"MAP(VARCHAR, VARCHAR)"')))"""
_SELECT = f"""
WITH bodies AS NOT MATERIALIZED (
  SELECT *, "output".outputBodyJson AS held, {_ARN} AS arn FROM records
),
merged AS NOT MATERIALIZED (
  SELECT *, CASE WHEN held[1] = '[' THEN TRY({merged(events_of("held"))})::VARCHAR ELSE held END AS body FROM bodies
),
parsed AS NOT MATERIALIZED (
  SELECT *, TRY(json_extract_string(body, [{", ".join(f"'{path}'" for path in _PATHS)}])) AS m,
         contains(body, 'cacheDetails') OR contains(body, '"cache_creation"') AS has_split
  FROM merged
)
SELECT line_number, 1::INTEGER AS record_number, {text("schemaType")} AS schema_type,
       {text("requestId")} AS request_id, {instant("timestamp")} AS started_at,
       {text("timestamp")} IS NOT NULL AS has_start,
       held IS NOT NULL AND m IS NULL AS is_body_odd,
       {text("accountId")} AS tenant, {text("region")} AS region, {text("inferenceRegion")} AS inference_region,
       {text("operation")} AS method, {text("modelId")} AS model_id, {_in_body(("$.model",))} AS body_model,
       {text("errorCode")} AS error_class, lower({text("status")}) AS raw_status,
       {_in_body(TIER)} AS tier, TRY(json_extract_string(performanceConfig, '$.latency')) AS latency,
       nullif(regexp_extract(arn, ':assumed-role/([^/]+)/', 1), '') AS team,
       nullif(regexp_extract(arn, '(?:assumed-role/[^/]+|user)/(.+)$', 1), '') AS user_id,
       {_METADATA} AS request_metadata,
       {", ".join(f"{integer(value)} AS {name}" for name, value in _NUMBERS.items())},
       {", ".join(f"{number(value)} AS seconds_{name}" for name, value in _SECONDS.items())},
       {number('"output".outputVideoDurationSeconds')} AS video_seconds,
       {bad_numbers(_NUMBERS)} AS bad_counts,
       {bad_quantities(_SECONDS, at_most=LONGEST_SECONDS * 1000)} AS bad_durations,
       {bad_quantities({"outputVideoDurationSeconds": '"output".outputVideoDurationSeconds'})} AS bad_meters
FROM parsed
"""
_GEO = r"^(?:us-gov|us|eu|apac|ap|jp|au|ca|sa|global)\."
_HOURLY = "(?:provisioned-model|imported-model|custom-model-deployment)/"


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected log records into canonical columns."""
    frame = disjoint(split_writes(frame), RULE)
    model_id = pl.col("model_id")
    # The last part of an ARN names a foundation model or a system profile; ids of other resources are opaque.
    named = model_id.str.extract(r":(?:foundation-model|inference-profile)/(.+)$")
    is_arn = model_id.str.starts_with("arn:")
    served = pl.when(is_arn).then(named).otherwise(model_id).str.replace(_GEO, "")
    is_hourly = model_id.str.contains(_HOURLY)
    tier = (
        pl.when(is_hourly)
        .then(pl.lit("provisioned"))
        .when(
            (pl.col("latency") == "optimized")
            & pl.col("tier").is_in(["default", "standard"]).fill_null(value=True)
        )
        .then(pl.lit("optimized"))
        .otherwise(pl.coalesce(pl.col("tier").replace("standard", "default"), pl.lit("default")))
    )
    is_embedding = model_id.str.contains("embed")
    is_whole = (pl.col("prompt").is_not_null() & pl.col("completion").is_not_null()) | is_embedding
    failed = pl.col("error_class").is_not_null() | pl.col("raw_status").is_in(["error", "failed", "failure"])
    tags = {
        "inference_region": pl.col("inference_region"),
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
            *(
                (pl.col(name).is_not_null(), "bad_value", pl.col(name))
                for name in ("bad_counts", "bad_durations", "bad_meters")
            ),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
            (
                (pl.col("total") != total_tokens()).fill_null(value=False),
                "tokens_do_not_add_up",
                "totalTokens",
            ),
        ),
        attempt_no=pl.lit(1, dtype=pl.Int32),
        finished_at=pl.col("started_at") + _milliseconds("seconds_total"),
        first_token_at=pl.col("started_at") + _milliseconds("seconds_first"),
        provider=pl.lit("aws.bedrock"),
        route=model_id,
        requested_model=model_id,
        routed_model=model_id,
        served_model=pl.coalesce(served, "body_model", model_id),
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


IMPORTER = Importer(
    kind="bedrock_invocation_log",
    table="raw.requests",
    columns={**dict.fromkeys(_TEXTS, "VARCHAR"), "input": _INPUT, "output": _OUTPUT},
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(frozenset({"schemaType=ModelInvocationLog"}),),
    rank=10,
)
