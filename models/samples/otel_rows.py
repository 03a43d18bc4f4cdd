"""Calls as an OpenTelemetry SDK exports them: OTLP JSON lines of several spans.

Source: the GenAI semantic conventions (gen_ai.*). Part of the gateway's calls are seen again by the SDK of the
calling app, and one app calls its provider without the gateway.
"""

from datetime import date

import numpy as np
import polars as pl

from models.samples.json_text import json_text
from models.samples.lanes import ANTHROPIC, SHAPES
from models.samples.traffic import call_times, generator, hex_ids, instants, lengths, uuids

SPANS_PER_LINE = 4
DIRECT_SHARE = 0.03
DIRECT_MODEL = "claude-haiku-4-5"
DIRECT_APP = "notebook-assistant"
_ATTRIBUTE = '<"key":"{}","value":<"{}":"{}">>'


def direct_calls(day: date, *, number: int, count: int, seed: int) -> pl.DataFrame:
    """Return the calls of the app that bypasses the gateway: ids, instants and tokens as in `day_of_calls`."""
    rng = generator(seed, number, 1)
    shape = SHAPES["conversation"]
    started = call_times(rng, count, day=day, until_hour=23.9)
    prompt = lengths(rng, count, shape.prompt, at_most=shape.prompt_at_most)
    answer = lengths(rng, count, shape.answer, at_most=shape.answer_at_most)
    first = started + ((ANTHROPIC.first_token_seconds + prompt / 40_000) * 1e6).astype(np.int64)
    finished = first + (answer / ANTHROPIC.tokens_per_second * 1e6).astype(np.int64)
    return pl.DataFrame(
        {
            "request_id": "msg_" + uuids(rng, count),
            "started_at": instants(started),
            "first_token_at": instants(first),
            "finished_at": instants(finished),
            "prompt_tokens": prompt,
            "cached_tokens": prompt
            * rng.uniform(0, 0.8, size=count)
            * rng.integers(0, 2, size=count)
            // 64
            * 64,
            "written_tokens": np.zeros(count, dtype=np.int64),
            "completion_tokens": answer,
            "reasoning_tokens": np.zeros(count, dtype=np.int64),
        }
    ).with_columns(
        pl.col("cached_tokens").cast(pl.Int64),
        otel_provider=pl.lit(ANTHROPIC.otel),
        model=pl.lit(DIRECT_MODEL),
        is_embedding=pl.lit(value=False),
        tenant=pl.lit("harbor"),
        service=pl.lit(DIRECT_APP),
    )


def sdk_copies(calls: pl.DataFrame) -> pl.DataFrame:
    """Return the gateway's calls that the calling app's SDK saw too."""
    return calls.filter("is_seen_by_sdk").with_columns(
        service=pl.col("route").str.replace("_", "-", literal=True) + "-api"
    )


def otel_lines(calls: pl.DataFrame, *, rng: np.random.Generator) -> pl.Series:
    """Return calls as lines, each an export request of up to SPANS_PER_LINE spans of one service."""
    if calls.is_empty():
        return pl.Series("line", [], dtype=pl.String)
    attributes = [
        json_text(_ATTRIBUTE, pl.lit(key), pl.lit(kind), value)
        for key, kind, value in (
            ("gen_ai.operation.name", "stringValue", _operation()),
            ("gen_ai.provider.name", "stringValue", pl.col("otel_provider")),
            ("gen_ai.request.model", "stringValue", pl.col("model")),
            ("gen_ai.response.model", "stringValue", pl.col("model")),
            ("gen_ai.response.id", "stringValue", pl.col("request_id")),
            ("tenant.id", "stringValue", pl.col("tenant")),
            ("gen_ai.usage.input_tokens", "intValue", pl.col("prompt_tokens")),
            ("gen_ai.usage.cache_read.input_tokens", "intValue", pl.col("cached_tokens")),
            ("gen_ai.usage.cache_creation.input_tokens", "intValue", pl.col("written_tokens")),
            ("gen_ai.usage.output_tokens", "intValue", pl.col("completion_tokens")),
            ("gen_ai.usage.reasoning.output_tokens", "intValue", pl.col("reasoning_tokens")),
        )
    ]
    seconds = (pl.col("first_token_at") - pl.col("started_at")).dt.total_microseconds() / 1e6
    span = json_text(
        '<"traceId":"{}","spanId":"{}","parentSpanId":"","name":"{} {}","kind":3,"startTimeUnixNano":"{}",'
        '"endTimeUnixNano":"{}","status":<"code":1>,"attributes":[{},<"key":"gen_ai.response.time_to_first_chunk",'
        '"value":<"doubleValue":{}>>]>',
        "trace_id",
        "span_id",
        _operation(),
        "model",
        pl.col("started_at").dt.epoch("ns"),
        pl.col("finished_at").dt.epoch("ns"),
        pl.concat_str(attributes, separator=","),
        seconds,
    )
    line = json_text(
        '<"resourceSpans":[<"resource":<"attributes":[<"key":"service.name","value":<"stringValue":"{}">>]>,'
        '"scopeSpans":[<"scope":<"name":"opentelemetry.instrumentation.openai_v2","version":"2.1b0">,'
        '"spans":[{}]>]>]>',
        "service",
        "spans",
    )
    return (
        calls.with_columns(
            hex_ids(rng, calls.height, digits=32).alias("trace_id"),
            hex_ids(rng, calls.height, digits=16).alias("span_id"),
        )
        .select("service", "started_at", "request_id", span=span)
        .sort("started_at", "request_id")
        .with_columns(batch=pl.int_range(pl.len()).over("service") // SPANS_PER_LINE)
        .group_by("service", "batch", maintain_order=True)
        .agg(spans=pl.col("span").str.join(","))
        .select(line.alias("line"))
        .get_column("line")
    )


def _operation() -> pl.Expr:
    return pl.when("is_embedding").then(pl.lit("embeddings")).otherwise(pl.lit("chat"))
