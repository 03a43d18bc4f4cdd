"""Cohere's response objects: chat (v1 and v2), generate, embed, rerank.

The bill counts `billed_units`, which leave out the chat template that `tokens` includes; they are read where they
are there. Rerank counts search units. Responses name no model and no time: both are read beside.
Source: recorded responses of its API.
"""

import polars as pl

from models.logs.response_format import ResponseFormat
from models.logs.responses import response_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_rerank = pl.col("meter_search_units").is_not_null() & pl.col("prompt").is_null()
    return frame.with_columns(object=pl.when(is_rerank).then(pl.lit("rerank")).otherwise(pl.col("object")))


IMPORTER = response_importer(
    ResponseFormat(
        kind="cohere_response",
        provider="cohere",
        fields={"response_id": ("$.id", "$.response_id", "$.generation_id"), "object": ("$.response_type",)},
        counts={
            side: tuple(
                f"$.{usage}.{unit}.{field}"
                for unit in ("billed_units", "tokens")
                for usage in ("usage", "meta")
            )
            for side, field in (("prompt", "input_tokens"), ("completion", "output_tokens"))
        },
        meters={
            "search_units": ("$.meta.billed_units.search_units",),
            "classifications": ("$.meta.billed_units.classifications",),
            "billed_images": ("$.meta.billed_units.images",),
        },
        amend=_amend,
        operations={"rerank": "rerank", "embeddings_floats": "embedding", "embeddings_by_type": "embedding"},
        signature=(
            frozenset({"usage.billed_units"}),
            frozenset({"meta.billed_units"}),
        ),
        rank=54,
    )
)
