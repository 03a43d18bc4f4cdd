"""Service tiers: the names of the one that a provider serves unless it is asked for another."""

import polars as pl

DEFAULT_TIER = "default"
BATCH_TIER = "batch"
_DEFAULT_NAMES = (
    "", "default", "standard", "on_demand", "on-demand", "ondemand", "auto", "spillover", "payg", "paygo",
    "pay_as_you_go", "pay-as-you-go", "global_standard", "globalstandard",
)  # fmt: skip
"""In lower case, with those billed at the plain rate. The macro `is_default_tier` knows the same.

What spills over from provisioned throughput is served by, and costs the price of, the standard deployment (Azure,
"Manage traffic with spillover for provisioned deployments",
https://learn.microsoft.com/azure/foundry/openai/how-to/spillover-traffic-management).
"""


def is_default_tier(tier: str | None) -> bool:
    """Tell whether a tier is the default one, however it is spelled; a tier that is not stated is."""
    return (tier or "").lower() in _DEFAULT_NAMES


def with_default_named(tier: pl.Expr) -> pl.Expr:
    """Return tiers, those that mean the default one by its own name; NULL stays."""
    return pl.when(tier.str.to_lowercase().is_in(_DEFAULT_NAMES)).then(pl.lit(DEFAULT_TIER)).otherwise(tier)
