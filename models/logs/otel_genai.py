"""OpenTelemetry GenAI spans as OTLP JSON lines, old and new attribute names.

`input_tokens` includes cache reads and writes, `output_tokens` includes reasoning; an older instrumentation of a
cache-exclusive provider is recognised by its negative remainder. Spans that are no inference (tools, agents,
workflows) are ignored: they may repeat summed usage; so is an export without spans. Where a span has both names, the
new one counts. Source: open-telemetry/semantic-conventions (gen_ai), opentelemetry-proto.
"""

import polars as pl

from models.logs.otel_attributes import COUNTS, FIELDS, SECONDS, pick_attributes
from models.logs.tokens import TokenRule, disjoint, total_tokens
from models.records import Importer, first_reason, with_map, with_numbers

_VALUE = "STRUCT(stringValue VARCHAR, intValue VARCHAR, doubleValue VARCHAR, boolValue VARCHAR)"
_ATTRIBUTES = f'STRUCT("key" VARCHAR, "value" {_VALUE})[]'
_SPAN = (
    "STRUCT(traceId VARCHAR, spanId VARCHAR, kind VARCHAR, "
    f"startTimeUnixNano VARCHAR, endTimeUnixNano VARCHAR, status STRUCT(code VARCHAR), attributes {_ATTRIBUTES})"
)
_RESOURCE_SPANS = f"STRUCT(resource STRUCT(attributes {_ATTRIBUTES}), scopeSpans STRUCT(spans {_SPAN}[])[])[]"
_RESOURCE_NAMES = {
    "service": "service.name",
    "region": "cloud.region",
    "environment": "deployment.environment.name",
    "old_environment": "deployment.environment",
    "pod": "k8s.pod.name",
    "instance": "service.instance.id",
}
_RESOURCE = ", ".join(
    f'list_filter(r.resource.attributes, lambda a: a."key" = \'{key}\')[1]."value".stringValue AS {name}'
    for name, key in _RESOURCE_NAMES.items()
)
_ENTRY = (
    '{\'k\': a."key", \'v\': coalesce(a."value".stringValue, a."value".intValue, a."value".doubleValue, '
    'a."value".boolValue)}'
)
# A line without spans yields one row, so that it is not lost.
_SELECT = f"""
WITH resources AS NOT MATERIALIZED (
  SELECT line_number, unnest(CASE WHEN len(resourceSpans) > 0 THEN resourceSpans ELSE [NULL] END) AS r
  FROM records WHERE resourceSpans IS NOT NULL
),
scopes AS NOT MATERIALIZED (
  SELECT line_number, {_RESOURCE},
         unnest(CASE WHEN len(r.scopeSpans) > 0 THEN r.scopeSpans ELSE [NULL] END) AS s
  FROM resources
),
spans AS NOT MATERIALIZED (
  SELECT line_number, {", ".join(_RESOURCE_NAMES)}, coalesce(len(s.spans), 0) = 0 AS is_empty,
         unnest(CASE WHEN len(s.spans) > 0 THEN s.spans ELSE [NULL] END) AS span
  FROM scopes
)
SELECT line_number, {", ".join(_RESOURCE_NAMES)}, is_empty,
       span.traceId AS trace_id, span.spanId AS span_id, span.kind AS span_kind,
       span.startTimeUnixNano AS started, span.endTimeUnixNano AS ended, span.status.code AS status_code,
       list_transform(span.attributes, lambda a: {_ENTRY}) AS attributes
FROM spans
"""
_INFERENCE = (
    "chat",
    "text_completion",
    "generate_content",
    "embeddings",
    "completion",
    "embedding",
    "responses",
)
_FIRST_NS, _LAST_NS = 946_684_800 * 10**9, 4_102_444_800 * 10**9
_SERVER = ("2", "SPAN_KIND_SERVER")


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected spans into canonical columns; `is_ignored` marks spans that are no inference."""
    held = {name: dtype for name, dtype in frame.collect_schema().items() if name != "attributes"}
    frame = frame.map_batches(
        pick_attributes,
        predicate_pushdown=False,
        projection_pushdown=False,
        schema=pl.Schema({**held, **dict.fromkeys(FIELDS, pl.String())}),
    )
    row = pl.int_range(pl.len(), dtype=pl.Int32)
    is_first = (pl.col("line_number") != pl.col("line_number").shift()).fill_null(value=True)
    first = pl.when(is_first).then(row).forward_fill()
    frame = frame.with_columns(record_number=row - first + 1)
    operation = pl.col("operation_name").str.to_lowercase()
    is_observed = pl.col("observation_type").is_in(["generation", "embedding"])
    is_counted = pl.col("prompt").is_not_null() | pl.col("completion").is_not_null()
    is_inference = (
        operation.is_in(_INFERENCE) | (operation.is_null() & (is_observed | is_counted))
    ).fill_null(value=False)
    is_broken = pl.col("span_id").is_null() & ~pl.col("is_empty")
    frame = with_numbers(
        frame.with_columns(is_ignored=~is_inference & ~is_broken),
        COUNTS,
        SECONDS,
    )
    frame = disjoint(frame, TokenRule(has_exclusive_variant=True))
    started, ended = _instant("started"), _instant("ended")
    is_error = pl.col("status_code").is_in(["2", "STATUS_CODE_ERROR"]).fill_null(value=False) | (
        pl.col("error_class").is_not_null() | (pl.col("level") == "ERROR").fill_null(value=False)
    )
    kind = (
        pl.when(operation.str.starts_with("embedding") | (pl.col("observation_type") == "embedding"))
        .then(pl.lit("embedding"))
        .when(operation == "text_completion")
        .then(pl.lit("completion"))
        .otherwise(pl.lit("chat"))
    )
    is_whole = (pl.col("prompt").is_not_null() & pl.col("completion").is_not_null()) | (kind == "embedding")
    # Some sum what they were told, some all classes.
    adds_up = (pl.col("total") == total_tokens()) | (
        pl.col("total") == pl.col("prompt") + pl.col("completion")
    )
    span_key = pl.concat_str("trace_id", pl.lit(":"), "span_id")
    tags = {
        "agent": pl.col("agent"),
        "workflow": pl.col("workflow"),
        "environment": pl.coalesce("environment", "old_environment"),
    }
    return with_map(frame, "tags", tags, pl.String).with_columns(
        *first_reason(
            (pl.col("span_id").is_null() & pl.col("response_id").is_null(), "missing_request_id", "spanId"),
            (
                pl.col("started").is_null() | (pl.col("started") == "0"),
                "missing_started_at",
                "startTimeUnixNano",
            ),
            (started.is_null(), "bad_value", "startTimeUnixNano is no instant"),
            (ended.is_null() & (pl.col("ended") != "0"), "bad_value", "endTimeUnixNano is no instant"),
            (pl.col("bad").is_not_null(), "bad_value", pl.col("bad")),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
            (~adds_up.fill_null(value=True), "tokens_do_not_add_up", "total_tokens"),
        ),
        request_id=pl.coalesce("response_id", span_key),
        attempt_no=pl.lit(1, dtype=pl.Int32),
        started_at=started,
        finished_at=ended,
        first_token_at=started
        + pl.duration(microseconds=(pl.col("first_chunk") * 1e6).round(0).cast(pl.Int64, strict=False)),
        routed_model=pl.col("requested_model"),
        requested_model=pl.coalesce("requested_model", "response_model"),
        served_model=pl.coalesce("response_model", "requested_model"),
        replica_id=pl.when(pl.col("span_kind").is_in(_SERVER)).then(pl.coalesce("pod", "instance")),
        service_tier=pl.coalesce("tier", pl.lit("default")),
        team=pl.col("service"),
        operation=kind,
        status=pl.when(is_error).then(pl.lit("error")).otherwise(pl.lit("ok")),
        usage_source=pl.when(~pl.col("has_usage") | ~is_whole)
        .then(pl.lit("missing"))
        .when(pl.col("is_exclusive"))
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("provider")),
        is_gateway_cache_hit=pl.lit(value=False),
        dedupe_key=pl.when(pl.col("response_id").is_not_null())
        .then(pl.concat_str(pl.lit("id:"), "response_id"))
        .otherwise(pl.concat_str(pl.lit("span:"), span_key)),
    )


def _instant(column: str) -> pl.Expr:
    nanoseconds = pl.col(column).cast(pl.Int64, strict=False)
    nanoseconds = pl.when(nanoseconds.is_between(_FIRST_NS, _LAST_NS)).then(nanoseconds)
    return pl.from_epoch(nanoseconds // 1000, time_unit="us").dt.replace_time_zone("UTC")


IMPORTER = Importer(
    kind="otel_genai",
    table="raw.requests",
    columns={"resourceSpans": _RESOURCE_SPANS},
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(frozenset({"resourceSpans"}),),
    rank=11,
)
