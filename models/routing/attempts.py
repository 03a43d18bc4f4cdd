"""Attempts as the judge needs them: narrow, with tier, class of work and what was down around them."""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from models.money import picodollars_from_usd
from models.routing.offers import DEFAULT_TIER, DEFAULT_TIERS
from models.routing.policy import TaskRule
from models.routing.uptime import down_keys
from models.schemas.vocabulary import INPUT_TOKEN_COLUMNS, OUTPUT_TOKEN_COLUMNS, TOKEN_COLUMNS

IDENTITY = ("source", "request_id", "started_at")
COLUMNS = (
    *IDENTITY, "logical_request_id", "accrued_on", "provider", "region", "route", "requested_model", "model",
    "model_family", "chip", "deployment", "commitment", "tenant", "service_tier", "task_class", "session_id",
    "prefix_hash", "status", "attempt_no", "is_fallback", "is_first_accrual", *TOKEN_COLUMNS, "effective_usd",
    "meters_usd", "allocation_weight", "price_state", "cost_basis",
)  # fmt: skip
"""Columns of core.request_costs that the judge reads."""


def attempts_of(costs: pl.LazyFrame, rules: Mapping[datetime, tuple[TaskRule, ...]]) -> pl.DataFrame:
    """Return one row per attempt, gateway-cache hits left out.

    Adds `tier`, `model_family` (the model where the book knows none), `is_guessed` and `guess_confidence` of the
    class of work, `down`, and integer picodollars: `cost` (all of the attempt's slices; NULL when unpriced) and
    `meters`.
    """
    narrow = (
        costs.select(COLUMNS).filter(pl.col("attempt_no").is_null() | (pl.col("attempt_no") > 0)).collect()
    )
    attempts = narrow if narrow.get_column("is_first_accrual").all() else _whole(narrow)
    tier = pl.col("service_tier").fill_null(DEFAULT_TIER)
    attempts = attempts.with_columns(
        tier=pl.when(tier.is_in(DEFAULT_TIERS)).then(pl.lit(DEFAULT_TIER)).otherwise(tier),
        model_family=pl.coalesce("model_family", "model"),
        cost=picodollars_from_usd(pl.col("effective_usd")).cast(pl.Int64),
        meters=picodollars_from_usd(pl.col("meters_usd").fill_null(0)).cast(pl.Int64),
    )
    attempts = _guessed(attempts, rules)
    return attempts.with_columns(down_keys(attempts))


def _whole(narrow: pl.DataFrame) -> pl.DataFrame:
    """Add the cost and weight of an attempt's later slices to its first."""
    later = (
        narrow.filter(~pl.col("is_first_accrual"))
        .group_by(IDENTITY)
        .agg(
            pl.col("effective_usd").sum().alias("later_usd"),
            pl.col("allocation_weight").sum().alias("later_weight"),
        )
    )
    return (
        narrow.filter("is_first_accrual")
        .join(later, on=IDENTITY, how="left", maintain_order="left")
        .with_columns(
            effective_usd=pl.col("effective_usd") + pl.col("later_usd").fill_null(0),
            allocation_weight=pl.col("allocation_weight") + pl.col("later_weight").fill_null(0),
        )
        .drop("later_usd", "later_weight")
    )


def _guessed(attempts: pl.DataFrame, rules: Mapping[datetime, tuple[TaskRule, ...]]) -> pl.DataFrame:
    """Guess the class of attempts whose log names none, by the first rule that fits."""
    named = attempts.with_columns(is_guessed=pl.lit(value=False), guess_confidence=pl.lit(1.0))
    if not any(rules.values()) or not attempts.get_column("task_class").null_count():
        return named
    sizes = {
        "input": pl.sum_horizontal(pl.col(name).fill_null(0) for name in INPUT_TOKEN_COLUMNS),
        "output": pl.sum_horizontal(pl.col(name).fill_null(0) for name in OUTPUT_TOKEN_COLUMNS),
    }
    task_class, confidence = pl.lit(None, dtype=pl.String), pl.lit(None, dtype=pl.Float64)
    starts = sorted(rules)
    # Later branches are tried first, so the first rule of the last document is put on last.
    for position, start in enumerate(starts):
        ends = starts[position + 1] if position + 1 < len(starts) else None
        holds = pl.col("started_at") >= start
        if ends is not None:
            holds &= pl.col("started_at") < ends
        for rule in reversed(rules[start]):
            fits = holds
            if rule.input_tokens_at_most is not None:
                fits &= sizes["input"] <= rule.input_tokens_at_most
            if rule.output_tokens_at_most is not None:
                fits &= sizes["output"] <= rule.output_tokens_at_most
            if rule.uses_tools is not None:
                fits &= (pl.col("meters") > 0) == rule.uses_tools
            task_class = pl.when(fits).then(pl.lit(rule.task_class)).otherwise(task_class)
            confidence = pl.when(fits).then(pl.lit(rule.confidence)).otherwise(confidence)
    is_unnamed = pl.col("task_class").is_null()
    return named.with_columns(
        task_class=pl.coalesce("task_class", task_class),
        is_guessed=is_unnamed & task_class.is_not_null(),
        guess_confidence=pl.when(is_unnamed).then(confidence.fill_null(1.0)).otherwise(1.0),
    )
