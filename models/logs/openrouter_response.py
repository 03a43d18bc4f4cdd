"""OpenRouter's chat completions: OpenAI's shape with `cost` in `usage`, and the provider that was chosen.

OpenRouter bills the call, so it is the provider; the one that it chose is a tag. Where the caller brought a key of
that provider's (`is_byok`), that provider bills, what `upstream_inference_cost` says. A name that ends in `:free` has a
price of its own (none); `:nitro`, `:floor` and `:exacto` choose among providers and are no part of the model.
Source: openrouter Python SDK 1.3.84, openrouter.ai/docs/use-cases/usage-accounting.
"""

import polars as pl

from models.json_fields import json_field
from models.logs.openai_shape import openai_shaped
from models.logs.responses import response_importer
from models.records import money

_COST = "$.usage.cost"
_WAY = r":(nitro|floor|exacto|online)$"


def billed_call(reported: str) -> dict[str, pl.Expr]:
    """Return who billed a call through OpenRouter, for which model and how much, and the tags that every call has.

    What is no amount and no truth value is left out of the tags.

    Args:
        reported: column of what OpenRouter charged.
    """
    upstream_cost = pl.col("tag_upstream_cost_usd").cast(pl.Float64, strict=False)
    is_amount = upstream_cost.is_not_null()
    is_byok = (pl.col("tag_is_byok") == "true").fill_null(value=False)
    # OpenRouter calls Vertex AI by the name Google, and the Gemini API Google AI Studio.
    upstream = pl.coalesce("upstream", "beside_provider").replace("Google", "vertex_ai")
    paid_upstream = pl.col("tag_upstream_cost_usd").cast(pl.Decimal(38, 12), strict=False)
    # With a key of one's own OpenRouter charges a fee, and the provider the inference.
    charged = (
        pl.when(is_byok)
        .then(paid_upstream + pl.col(reported).fill_null(0))
        .when(pl.col("model").str.ends_with(":free"))
        .then(pl.col(reported).fill_null(0))
        .otherwise(reported)
    )
    return {
        "beside_provider": pl.when(is_byok & upstream.is_not_null())
        .then(upstream)
        .otherwise(pl.lit("openrouter")),
        "model": pl.col("model").str.replace(_WAY, ""),
        "provider_reported_cost_usd": charged,
        "is_cost_billed": charged.is_not_null(),
        "tag_gateway": pl.lit("openrouter"),
        "tag_upstream_provider": upstream,
        "tag_upstream_cost_usd": pl.when(is_amount).then("tag_upstream_cost_usd"),
        "tag_is_byok": pl.when(pl.col("tag_is_byok").is_in(["true", "false"])).then("tag_is_byok"),
    }


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.with_columns(
        beside_requested_model=pl.coalesce("beside_requested_model", "beside_routed_model", "model"),
        **billed_call("provider_reported_cost_usd"),
    )


IMPORTER = response_importer(
    openai_shaped(
        "openrouter_response",
        "openrouter",
        fields={"upstream": ("$.provider",)},
        columns_sql={"provider_reported_cost_usd": money(json_field("m", _COST))},
        tags={
            "gateway": (),
            "upstream_provider": (),
            "upstream_cost_usd": ("$.usage.cost_details.upstream_inference_cost",),
            "is_byok": ("$.usage.is_byok",),
        },
        # What a search cost is in `cost` alone.
        meters={"web_search": ("$.usage.server_tool_use.web_search_requests",)},
        signature=(
            frozenset({"id=gen-", "choices", "usage"}),
            frozenset({"provider", "choices", "usage.cost"}),
        ),
        amend=_amend,
        rank=50,
    )
)
