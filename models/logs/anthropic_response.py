"""Anthropic's message objects, streams and batch results.

The three input counts are disjoint; `output_tokens` includes thinking. A message has no time of its own: it needs
`started_at` beside. In a stream the last `message_delta` is final; one that ends before it is estimated from its
text, at four characters a token, and counts as cancelled. Ids of Bedrock and Vertex copies name their provider.
Compaction and advisors are calls of their own, `#2` and so on (iterations.py).
Source: anthropic Python SDK 2.12.0.
"""

import polars as pl

from models.logs.cache_writes import split_writes
from models.logs.iterations import answered, iteration_calls
from models.logs.response_format import ResponseFormat
from models.logs.responses import response_importer
from models.logs.tokens import TokenRule

CHARACTERS_PER_TOKEN = 4
_TEXTS = ("text", "thinking", "partial_json")
_LENGTHS = " + ".join(f"coalesce(length(json_extract_string(e, '$.delta.{name}')), 0)" for name in _TEXTS)


_ITERATIONS = "$.usage.iterations"


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_aborted = pl.col("is_stream") & pl.col("stop").is_null() & pl.col("prompt").is_not_null()
    spoken = (pl.col("streamed_characters") + CHARACTERS_PER_TOKEN - 1) // CHARACTERS_PER_TOKEN
    return split_writes(frame).with_columns(
        completion=pl.when(is_aborted)
        .then(pl.max_horizontal("completion", spoken))
        .otherwise(pl.col("completion")),
        is_estimated=is_aborted,
        is_cancelled=is_aborted,
        tier=pl.when(pl.col("speed") == "fast").then(pl.lit("fast")).otherwise(pl.col("tier")),
        region=pl.when(pl.col("region") != "not_available").then(pl.col("region")),
        state=pl.when(pl.col("result_type") != "succeeded").then(pl.col("result_type")),
        sign_provider=pl.when(pl.col("response_id").str.starts_with("msg_bdrk_"))
        .then(pl.lit("aws.bedrock"))
        .when(pl.col("response_id").str.starts_with("msg_vrtx_"))
        .then(pl.lit("gcp.vertex_ai")),
    )


IMPORTER = response_importer(
    ResponseFormat(
        kind="anthropic_response",
        provider="anthropic",
        fields={
            "response_id": ("$.id",),
            "model": ("$.model",),
            "tier": ("$.usage.service_tier",),
            "speed": ("$.usage.speed",),
            "region": ("$.usage.inference_geo",),
            "stop": ("$.delta.stop_reason", "$.stop_reason"),
            "result_type": ("$.result.type",),
            "error_class": ("$.result.error.error.type", "$.result.error.type"),
        },
        counts={
            "prompt": ("$.usage.input_tokens",),
            "completion": ("$.usage.output_tokens",),
            "cache_read": ("$.usage.cache_read_input_tokens",),
            "written": ("$.usage.cache_creation_input_tokens",),
            "cache_write_5m": ("$.usage.cache_creation.ephemeral_5m_input_tokens",),
            "cache_write_1h": ("$.usage.cache_creation.ephemeral_1h_input_tokens",),
            "reasoning": ("$.usage.output_tokens_details.thinking_tokens",),
        },
        meters={
            "web_search": ("$.usage.server_tool_use.web_search_requests",),
            "web_fetch": ("$.usage.server_tool_use.web_fetch_requests",),
        },
        lists=(_ITERATIONS,),
        counts_sql={
            name: answered(path, iterations=_ITERATIONS)
            for name, path in (
                ("prompt", "$.usage.input_tokens"),
                ("completion", "$.usage.output_tokens"),
                ("cache_read", "$.usage.cache_read_input_tokens"),
                ("written", "$.usage.cache_creation_input_tokens"),
            )
        },
        calls_sql=iteration_calls("body"),
        columns_sql={
            # A message by itself is no stream, whatever it lacks.
            "is_stream": "len(events) > 0 AND TRY(json_type(held)) IS DISTINCT FROM 'OBJECT'",
            "streamed_characters": f"coalesce(list_sum(list_transform(events, lambda e: {_LENGTHS})), 0)::BIGINT",
        },
        rule=TokenRule(cache_in_prompt=False),
        nested={"response": "$", "result": "$.message"},
        beside=("result",),
        tiers={"standard": "default"},
        amend=_amend,
        signature=(
            frozenset({"id=msg_", "usage"}),
            frozenset({"type=message", "usage.cache_creation_input_tokens"}),
            frozenset({"type=message", "usage.input_tokens"}),
            frozenset({"custom_id", "result.type"}),
        ),
        rank=52,
    )
)
