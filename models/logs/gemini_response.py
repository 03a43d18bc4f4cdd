"""Gemini's response objects (GenerateContentResponse), of the Gemini API and of Vertex AI.

Vertex gives `createTime`; the Gemini API gives no time and needs `started_at` beside. `trafficType` is told by
Vertex alone. Of a stream the last `usageMetadata` counts. A line of batch results names itself by `key` (the Gemini
API, which gives no time) or `processed_time` (Vertex AI), and is of the tier `batch`. A prompt that was grounded counts
one search up to Gemini 2.5, and each distinct query from 3 on.
Source: google-genai Python SDK 3.4.0.
"""

import polars as pl

from models.logs.gemini_shape import COUNTS, COUNTS_SQL, LISTS, METERS_SQL, RULE, TIERS, both, complete
from models.logs.response_format import ResponseFormat
from models.logs.responses import response_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_vertex = pl.col("traffic").is_not_null() | pl.col("processed").is_not_null()
    return complete(frame).with_columns(
        tier=pl.when(pl.col("processed").is_not_null())
        .then(pl.lit("batch"))
        .otherwise(pl.coalesce("traffic", "tier")),
        state=pl.when(
            pl.col("processed").is_not_null() & pl.col("batch_status").str.contains("[a-zA-Z]")
        ).then(pl.lit("failed")),
        sign_provider=pl.when(is_vertex).then(pl.lit("gcp.vertex_ai")),
    )


IMPORTER = response_importer(
    ResponseFormat(
        kind="gemini_response",
        provider="gcp.gemini",
        fields={
            "response_id": ("$.responseId", "$.response_id"),
            "model": ("$.modelVersion", "$.model_version"),
            "created": ("$.createTime", "$.create_time", "$.processed_time"),
            "batch_key": ("$.key",),
            "processed": ("$.processed_time",),
            "batch_status": ("$.status",),
            "traffic": both("trafficType"),
            "tier": both("serviceTier"),
        },
        counts=COUNTS,
        counts_sql=COUNTS_SQL,
        lists=LISTS,
        meters={"tool_use_prompt": both("toolUsePromptTokenCount")},
        meters_sql=METERS_SQL,
        beside=("processed_time", "key", "status"),
        rule=RULE,
        tiers=TIERS,
        amend=_amend,
        signature=(
            frozenset({"usageMetadata"}),
            frozenset({"usage_metadata"}),
            frozenset({"processed_time", "request", "response"}),
        ),
        rank=31,
    )
)
