"""OpenRouter's chat completions: OpenAI's shape with `cost` in `usage`, and the provider that was chosen.

Source: openrouter Python SDK 1.3.84.
"""

import polars as pl

from models.json_fields import json_field
from models.logs.openai_shape import openai_shaped
from models.logs.responses import response_importer
from models.records import money

_COST = "$.usage.cost"


def gateway_tags() -> dict[str, pl.Expr]:
    """Return the tags that every call through OpenRouter has; what is no amount and no truth value is left out."""
    is_amount = pl.col("tag_upstream_cost_usd").cast(pl.Float64, strict=False).is_not_null()
    return {
        "tag_gateway": pl.lit("openrouter"),
        "tag_upstream_cost_usd": pl.when(is_amount).then("tag_upstream_cost_usd"),
        "tag_is_byok": pl.when(pl.col("tag_is_byok").is_in(["true", "false"])).then("tag_is_byok"),
    }


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.with_columns(
        beside_provider=pl.coalesce("upstream", "beside_provider"),
        beside_requested_model=pl.coalesce("beside_requested_model", "beside_routed_model", "model"),
        model=pl.col("model").str.replace(r":[a-z]+$", ""),
        **gateway_tags(),
    )


IMPORTER = response_importer(
    openai_shaped(
        "openrouter_response",
        "openrouter",
        fields={"upstream": ("$.provider",)},
        counts={"video_input": ("$.usage.prompt_tokens_details.video_tokens",)},
        meters={
            "accepted_prediction": ("$.usage.completion_tokens_details.accepted_prediction_tokens",),
            "rejected_prediction": ("$.usage.completion_tokens_details.rejected_prediction_tokens",),
        },
        lists=(_COST,),
        columns_sql={"provider_reported_cost_usd": money(json_field("m", _COST))},
        tags={
            "gateway": (),
            "upstream_cost_usd": ("$.usage.cost_details.upstream_inference_cost",),
            "is_byok": ("$.usage.is_byok",),
        },
        signature=(
            frozenset({"id=gen-", "choices", "usage"}),
            frozenset({"provider", "choices", "usage.cost"}),
        ),
        amend=_amend,
        rank=50,
    )
)
