"""Gemini's response objects (GenerateContentResponse), of the Gemini API and of Vertex AI.

Vertex gives `createTime`; the Gemini API gives no time and needs `started_at` beside. `trafficType` is told by
Vertex alone. Of a stream the last `usageMetadata` counts.
Source: google-genai Python SDK 3.4.0.
"""

import polars as pl

from models.logs.gemini_shape import COUNTS, COUNTS_SQL, LISTS, RULE, TIERS, both, complete
from models.logs.response_format import ResponseFormat
from models.logs.responses import response_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_vertex = pl.col("traffic").is_not_null()
    return complete(frame).with_columns(
        tier=pl.coalesce("traffic", "tier"),
        sign_provider=pl.when(is_vertex).then(pl.lit("gcp.vertex_ai")),
    )


IMPORTER = response_importer(
    ResponseFormat(
        kind="gemini_response",
        provider="gcp.gemini",
        fields={
            "response_id": ("$.responseId", "$.response_id"),
            "model": ("$.modelVersion", "$.model_version"),
            "created": ("$.createTime", "$.create_time"),
            "traffic": both("trafficType"),
            "tier": both("serviceTier"),
        },
        counts=COUNTS,
        counts_sql=COUNTS_SQL,
        lists=LISTS,
        meters={"tool_use_prompt": both("toolUsePromptTokenCount")},
        rule=RULE,
        tiers=TIERS,
        amend=_amend,
        signature=(frozenset({"usageMetadata"}), frozenset({"usage_metadata"})),
        rank=31,
    )
)
