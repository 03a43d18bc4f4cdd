"""OpenTelemetry GenAI spans as OTLP JSON lines, old and new attribute names.

`input_tokens` includes cache reads and writes, `output_tokens` includes reasoning; an older instrumentation of a
cache-exclusive provider is recognised by its negative remainder. Spans that are no inference (tools, agents,
workflows) are ignored: they may repeat summed usage. Where a span has both names, the new one counts.
Source: open-telemetry/semantic-conventions (gen_ai), traceloop/openllmetry, OpenInference.
"""

import polars as pl

from models.logs.tokens import TokenRule, disjoint
from models.records import Importer, first_reason

KIND = "otel_genai"

_VALUE = (
    "STRUCT(stringValue VARCHAR, intValue VARCHAR, doubleValue VARCHAR, boolValue VARCHAR, "
    'arrayValue STRUCT("values" STRUCT(stringValue VARCHAR)[]))'
)
_ATTRIBUTES = f'STRUCT("key" VARCHAR, "value" {_VALUE})[]'
_SPAN = (
    'STRUCT(traceId VARCHAR, spanId VARCHAR, parentSpanId VARCHAR, "name" VARCHAR, kind VARCHAR, '
    f"startTimeUnixNano VARCHAR, endTimeUnixNano VARCHAR, status STRUCT(code VARCHAR), attributes {_ATTRIBUTES})"
)
_RESOURCE_SPANS = f"STRUCT(resource STRUCT(attributes {_ATTRIBUTES}), scopeSpans STRUCT(spans {_SPAN}[])[])[]"

_NAMES: dict[str, tuple[str, ...]] = {
    "operation_name": ("gen_ai.operation.name", "llm.request.type"),
    "provider": ("gen_ai.provider.name", "gen_ai.system"),
    "requested_model": ("gen_ai.request.model", "llm.request.model", "llm.model_name"),
    "response_model": ("gen_ai.response.model", "llm.response.model"),
    "response_id": ("gen_ai.response.id",),
    "prompt": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "llm.token_count.prompt",
    ),
    "completion": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "llm.token_count.completion",
    ),
    "cache_read": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cache_write_5m": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "audio_input": ("gen_ai.usage.audio.input_tokens",),
    "audio_output": ("gen_ai.usage.audio.output_tokens",),
    "image_input": ("gen_ai.usage.image.input_tokens",),
    "video_input": ("gen_ai.usage.video.input_tokens",),
    "first_chunk": ("gen_ai.response.time_to_first_chunk",),
    "session_id": ("gen_ai.conversation.id", "session.id"),
    "agent": ("gen_ai.agent.name",),
    "tier": (
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "openai.request.service_tier",
        "gen_ai.openai.request.service_tier",
    ),
    "error_class": ("error.type",),
    "route": ("nanodollar.route",),
    "task_class": ("nanodollar.task_class",),
    "tenant": ("nanodollar.tenant", "tenant.id"),
}
_RESOURCE_NAMES: dict[str, tuple[str, ...]] = {
    "service": ("service.name",),
    "region": ("cloud.region",),
}
_NUMBERS = (
    "prompt",
    "completion",
    "cache_read",
    "cache_write_5m",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "video_input",
)
_INFERENCE = (
    "chat",
    "text_completion",
    "generate_content",
    "embeddings",
    "completion",
    "embedding",
    "responses",
)


def _map(attributes: str) -> str:
    pairs = (
        f"list_transform({attributes}, lambda a: {{'k': a.\"key\", 'v': coalesce(a.\"value\".stringValue, "
        'a."value".intValue, a."value".doubleValue, a."value".boolValue)})'
    )
    # A key written twice keeps its first value: a map refuses doubles.
    return (
        f"map_from_entries(list_filter({pairs}, lambda e, i: e.k IS NOT NULL AND "
        f'list_position(list_transform({attributes}, lambda a: a."key"), e.k) = i))'
    )


def _pick(attributes: str, names: tuple[str, ...]) -> str:
    return "coalesce(" + ", ".join(f"{attributes}['{name}']" for name in names) + ")"


_SELECT = f"""
WITH resources AS (
  SELECT line_number, unnest(resourceSpans) AS r FROM records
),
scopes AS (
  SELECT line_number, {_map("r.resource.attributes")} AS resource, unnest(r.scopeSpans) AS s FROM resources
),
spans AS (
  SELECT line_number, resource, unnest(s.spans) AS span FROM scopes
),
flat AS (
  SELECT line_number, row_number() OVER (PARTITION BY line_number)::INTEGER AS record_number, resource, span,
         {_map("span.attributes")} AS a
  FROM spans
)
SELECT line_number, record_number, span.traceId AS trace_id, span.spanId AS span_id,
       nullif(span.parentSpanId, '') AS parent_id, span."name" AS span_name,
       TRY_CAST(span.startTimeUnixNano AS HUGEINT) AS started_ns, TRY_CAST(span.endTimeUnixNano AS HUGEINT) AS ended_ns,
       span.status.code AS status_code,
       {", ".join(f"{_pick('a', names)} AS {name}" for name, names in _NAMES.items())},
       {", ".join(f"{_pick('resource', names)} AS {name}" for name, names in _RESOURCE_NAMES.items())}
FROM flat
"""


def canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected spans into canonical columns; `is_ignored` marks spans that are no inference."""
    operation = pl.col("operation_name").str.to_lowercase()
    number = {name: pl.col(name).cast(pl.Float64, strict=False) for name in _NUMBERS}
    bad = pl.concat_list(
        pl.when(
            pl.col(name).is_not_null() & (value.is_null() | (value != value.floor()) | ~value.is_finite())
        )
        .then(pl.lit(name))
        .otherwise(None)
        for name, value in number.items()
    ).list.drop_nulls()
    frame = frame.with_columns(
        is_ignored=~operation.is_in(_INFERENCE).fill_null(value=False)
        & ~(operation.is_null() & (pl.col("prompt").is_not_null() | pl.col("completion").is_not_null())),
        bad=bad,
    ).with_columns(value.cast(pl.Int64, strict=False).alias(name) for name, value in number.items())
    frame = disjoint(frame, TokenRule(has_exclusive_variant=True))
    started = pl.from_epoch((pl.col("started_ns") // 1000).cast(pl.Int64, strict=False), time_unit="us")
    ended = pl.from_epoch((pl.col("ended_ns") // 1000).cast(pl.Int64, strict=False), time_unit="us")
    started, ended = started.dt.replace_time_zone("UTC"), ended.dt.replace_time_zone("UTC")
    wait = pl.col("first_chunk").cast(pl.Float64, strict=False)
    is_error = pl.col("status_code").is_in(["2", "STATUS_CODE_ERROR"]).fill_null(value=False) | (
        pl.col("error_class").is_not_null()
    )
    span_key = pl.concat_str("trace_id", pl.lit(":"), "span_id")
    return frame.with_columns(
        *first_reason(
            (pl.col("span_id").is_null() & pl.col("response_id").is_null(), "missing_request_id", "spanId"),
            (pl.col("started_ns").fill_null(0) <= 0, "missing_started_at", "startTimeUnixNano"),
            (pl.col("bad").list.len() > 0, "bad_value", pl.col("bad").list.join(",")),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
        ),
        request_id=pl.coalesce("response_id", span_key),
        logical_request_id=pl.lit(None, dtype=pl.String),
        attempt_no=pl.lit(1, dtype=pl.Int32),
        started_at=started,
        finished_at=ended,
        first_token_at=started + pl.duration(microseconds=(wait * 1e6).cast(pl.Int64)),
        routed_model=pl.col("requested_model"),
        served_model=pl.coalesce("response_model", "requested_model"),
        service_tier=pl.coalesce("tier", pl.lit("default")),
        team=pl.col("service"),
        operation=pl.when(operation.str.starts_with("embedding"))
        .then(pl.lit("embedding"))
        .when(operation == "text_completion")
        .then(pl.lit("completion"))
        .otherwise(pl.lit("chat")),
        status=pl.when(is_error).then(pl.lit("error")).otherwise(pl.lit("ok")),
        usage_source=pl.when(~pl.col("has_usage"))
        .then(pl.lit("missing"))
        .when(pl.col("is_exclusive"))
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("provider")),
        is_gateway_cache_hit=pl.lit(value=False),
        tag_entries=pl.concat_list(
            pl.struct(key=pl.lit(key), value=pl.col(column))
            for key, column in (("agent", "agent"), ("span", "span_name"))
        ),
        dedupe_key=pl.when(pl.col("response_id").is_not_null())
        .then(pl.concat_str(pl.lit("id:"), "response_id"))
        .otherwise(pl.concat_str(pl.lit("span:"), span_key)),
    )


IMPORTER = Importer(
    kind=KIND,
    table="raw.requests",
    columns={"resourceSpans": _RESOURCE_SPANS},
    select=_SELECT,
    canonical=canonical,
    formats=("jsonl",),
    signature=(frozenset({"resourceSpans"}),),
)
