"""Which attempts ran on a pool, by what a row says of itself; all others are priced by token."""

import polars as pl

from models.costs.rates import UNKNOWN
from models.schemas.vocabulary import CAPACITY_CHIP, NONE_DEPLOYMENT

CAPACITY_TIER = "provisioned"
SPILLOVER_TIER = "spillover"
ENGINES = (
    "vllm", "sglang", "ray_serve", "tgi", "huggingface_tgi", "text-generation-inference", "ollama", "ollama_chat",
    "triton", "tensorrt_llm", "nvidia_nim", "lmdeploy", "llamafile", "lm_studio", "xinference", "infinity", "kserve",
    "custom", "custom_openai", "self_hosted",
)  # fmt: skip
"""Providers of logs that name what serves the model, not who bills it: they fit every pool."""


def tied(
    attempts: pl.DataFrame, replicas: pl.DataFrame, models: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part attempts into those that ran on a pool, and the others; a gateway-cache hit ran nowhere.

    A row is on a pool by its `replica_id`, or by its route where some pool of that deployment fits what the row
    states: no provider other than the pool's, no tier that is not the pool's, and no served model that is
    token-priced at its stated provider. Pools of provisioned throughput have the tier `provisioned`, at which the
    model's token price does not hold; `spillover` is the tier of no pool. A replica that no event names is nobody's:
    its attempts are tied by their route.

    Args:
        attempts: rows of core.requests, providers canonical.
        replicas: `replica_id, deployment, provider, chip` of lifecycle events; NULL where an event does not say.
        models: ref.models, the names that are token-priced at each provider.

    Returns:
        Both parts; in the first `replica_id` is NULL where no event names it.
    """
    known = replicas.filter(pl.col("deployment").is_not_null(), pl.col("deployment") != NONE_DEPLOYMENT)
    has_replica = (
        pl.col("replica_id").is_in(known.get_column("replica_id").unique().to_list()).fill_null(value=False)
    )
    combination = ("route", "provider", "service_tier", "served_model", "routed_model")
    routed = (
        attempts.lazy()
        .select(combination)
        .unique()
        .join(_pools(known).lazy(), left_on="route", right_on="deployment", how="inner")
        .collect()
        .join(
            models.select(
                "provider", pl.col("alias").alias("priced_model"), pl.lit(value=True).alias("is_priced")
            ).unique(),
            left_on=["provider", pl.coalesce("served_model", "routed_model")],
            right_on=["provider", "priced_model"],
            how="left",
        )
        .filter(_fits())
        .select(*combination, pl.lit(value=True).alias("is_routed"))
        .unique()
    )
    marked = attempts.join(
        routed, on=list(combination), how="left", nulls_equal=True, maintain_order="left"
    ).with_columns(
        ((has_replica | pl.col("is_routed").fill_null(value=False)) & ~pl.col("is_gateway_cache_hit")).alias(
            "is_routed"
        )
    )
    on, off = (marked.filter(test).drop("is_routed") for test in (pl.col("is_routed"), ~pl.col("is_routed")))
    return on.with_columns(pl.when(has_replica).then("replica_id").alias("replica_id")), off


def _pools(replicas: pl.DataFrame) -> pl.DataFrame:
    """Return `deployment, pool_provider, is_capacity` of every pool; what no event of a replica states is NULL."""
    of_replica = replicas.group_by("deployment", "replica_id").agg(
        pl.col("provider").drop_nulls().unique().alias("pool_provider"),
        (pl.col("chip") == CAPACITY_CHIP).any().alias("is_capacity"),
    )
    return (
        of_replica.explode("pool_provider", empty_as_null=True)
        .select("deployment", "pool_provider", "is_capacity")
        .unique()
    )


def _fits() -> pl.Expr:
    """Return whether a row's provider, tier and model fit a pool."""
    stated, pool = pl.col("provider"), pl.col("pool_provider")
    is_any = stated.is_null() | stated.str.to_lowercase().is_in(ENGINES) | pool.is_null() | (pool == UNKNOWN)
    is_capacity, tier = pl.col("is_capacity"), pl.col("service_tier")
    is_tier = pl.when(is_capacity).then(tier.fill_null(CAPACITY_TIER) == CAPACITY_TIER).otherwise(
        tier.fill_null("") != SPILLOVER_TIER
    )  # fmt: skip
    # The token price of a model is what calls beside its provisioned capacity cost.
    is_elsewhere = pl.col("is_priced").fill_null(value=False) & ~is_capacity
    return (is_any | (stated == pool)) & is_tier & ~is_elsewhere
