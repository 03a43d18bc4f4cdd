"""Voyage's embeddings and rerankings: one total, no id and no time. Source: recorded responses of its API."""

import polars as pl

from models.logs.openai_shape import openai_shaped
from models.logs.responses import response_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_rerank = pl.col("model").str.starts_with("rerank").fill_null(value=False)
    return frame.with_columns(object=pl.when(is_rerank).then(pl.lit("rerank")).otherwise(pl.col("object")))


IMPORTER = response_importer(
    openai_shaped(
        "voyage_response",
        "voyage_ai",
        counts={"prompt": ("$.usage.total_tokens",)},
        operations={"rerank": "rerank"},
        operation="embedding",
        amend=_amend,
        signature=(frozenset({"object=list", "model=voyage", "usage"}),),
        rank=54,
    )
)
