"""Response bodies of Amazon Bedrock: Converse, Claude, Titan, Llama and the shapes of others; streams' last events.

Input, cache read and cache write are disjoint; output includes reasoning.
Source: botocore 1.44 bedrock-runtime, recorded responses.
"""

from collections.abc import Callable

import polars as pl

from models.json_fields import json_field
from models.logs.response_format import Paths
from models.logs.tokens import TokenRule
from models.records import entry_sum

RULE = TokenRule(cache_in_prompt=False)
NAMED_ARN = r"^arn:.*:(?:foundation-model|inference-profile)/(.+)$"
"""An ARN whose last part names what is priced; ids of application profiles and other resources are opaque."""
PROVISIONED = r"(?:provisioned-model|imported-model|custom-model-deployment)/|^\d-month-commitment/"
"""Models that are paid by the hour."""
_METRICS = '$."amazon-bedrock-invocationMetrics"'

COUNTS: Paths = {
    "prompt": (
        "$.usage.inputTokens",
        "$.metadata.usage.inputTokens",
        "$.usage.input_tokens",
        "$.usage.prompt_tokens",
        f"{_METRICS}.inputTokenCount",
        "$.inputTextTokenCount",
        "$.prompt_token_count",
    ),
    "completion": (
        "$.usage.outputTokens",
        "$.metadata.usage.outputTokens",
        "$.usage.output_tokens",
        "$.usage.completion_tokens",
        f"{_METRICS}.outputTokenCount",
        "$.results[0].tokenCount",
        "$.generation_token_count",
    ),
    "total": ("$.usage.totalTokens", "$.metadata.usage.totalTokens", "$.usage.total_tokens"),
    "cache_read": (
        "$.usage.cacheReadInputTokens",
        "$.usage.cacheReadInputTokenCount",
        "$.metadata.usage.cacheReadInputTokens",
        "$.usage.cache_read_input_tokens",
        f"{_METRICS}.cacheReadInputTokenCount",
    ),
    "written": (
        "$.usage.cacheWriteInputTokens",
        "$.usage.cacheWriteInputTokenCount",
        "$.metadata.usage.cacheWriteInputTokens",
        "$.usage.cache_creation_input_tokens",
        f"{_METRICS}.cacheWriteInputTokenCount",
    ),
    "reasoning": ("$.usage.output_tokens_details.thinking_tokens",),
}
SECONDS: Paths = {
    "total": ("$.metrics.latencyMs", "$.metadata.metrics.latencyMs", f"{_METRICS}.invocationLatency"),
    "first": (f"{_METRICS}.firstByteLatency",),
}
TIER = ("$.serviceTier.type", "$.metadata.serviceTier.type")
LATENCY = ("$.performanceConfig.latency", "$.metadata.performanceConfig.latency")


def tier_of(tier: pl.Expr, latency: pl.Expr) -> pl.Expr:
    """Return what chooses a price: the service tier, else `optimized` for latency that was."""
    plain = pl.coalesce(tier.replace("standard", "default"), pl.lit("default"))
    is_optimized = (latency.str.to_lowercase() == "optimized") & (plain == "default")
    return pl.when(is_optimized).then(pl.lit("optimized")).otherwise(plain)


_DETAILS = ("$.usage.cacheDetails", "$.metadata.usage.cacheDetails")
_CREATION = "$.usage.cache_creation.ephemeral_{}_input_tokens"
LISTS = (*_DETAILS, *(_CREATION.format(ttl) for ttl in ("5m", "1h")))
"""Paths that cache writes by lifetime are read from."""


def counts_sql(read: Callable[[str], str]) -> dict[str, str]:
    """Return the SQL of cache writes by lifetime.

    Args:
        read: returns the SQL of a path of the body.
    """
    listed = f"coalesce({', '.join(map(read, _DETAILS))})"
    return {
        f"cache_write_{ttl}": f"coalesce({entry_sum(listed, counts=('inputTokens',), where=('ttl', ttl))}, "
        f"{read(_CREATION.format(ttl))})"
        for ttl in ("5m", "1h")
    }


COUNTS_SQL = counts_sql(lambda path: json_field("m", path))
"""Cache writes by lifetime, over the fields `m` of a body."""
