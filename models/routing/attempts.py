"""Attempts as the judge needs them: narrow, in place of strings small codes, with class of work and what was down."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import polars as pl

from models.money import picodollars_from_usd
from models.routing.policy import TaskRule
from models.routing.uptime import down_keys
from models.schemas.vocabulary import INPUT_CLASSES, OUTPUT_CLASSES, TOKEN_CLASSES, TOKEN_COLUMNS

IDENTITY = ("source", "request_id", "started_at")
_DIMENSIONS = (
    "provider", "region", "route", "requested_model", "model", "model_family", "chip", "deployment", "commitment",
    "tenant", "service_tier", "task_class", "status", "price_state", "cost_basis",
)  # fmt: skip
_NAMES = ("logical_request_id", "session_id", "prefix_hash")
_PLAIN = (
    "started_at", "accrued_on", "attempt_no", "is_fallback", "is_first_accrual", "effective_usd", "meters_usd",
    "allocation_weight",
)  # fmt: skip
COLUMNS = (*dict.fromkeys((*IDENTITY, *_NAMES, *_DIMENSIONS, *_PLAIN)), *TOKEN_COLUMNS)
"""Columns of core.request_costs that the judge reads."""


def attempts_of(costs: pl.LazyFrame, rules: Mapping[datetime, tuple[TaskRule, ...]]) -> pl.DataFrame:
    """Return one row per attempt, gateway-cache hits left out.

    Dimensions become categories, and columns of tokens and names that hold nothing are left out. Adds `position`
    (row of the costs), `is_guessed` and `guess_confidence` of the class of work, `down`, and integer picodollars:
    `cost` (all of the attempt's slices; NULL when unpriced) and `meters`.
    """
    optional = [*TOKEN_COLUMNS, *_NAMES]
    counts = costs.select(
        *(pl.col(name).max().alias(name) for name in TOKEN_COLUMNS),
        *(pl.col(name).count() for name in _NAMES),
    ).collect()
    used = [name for name in optional if counts.get_column(name)[0]]
    attempts = (
        costs.with_row_index("position")
        .filter(pl.col("attempt_no").is_null() | (pl.col("attempt_no") > 0))
        .select(
            "position",
            *_PLAIN,
            *used,
            *(pl.col(name).cast(pl.Categorical) for name in _DIMENSIONS),
            cost=picodollars_from_usd(pl.col("effective_usd")).cast(pl.Int64),
            meters=picodollars_from_usd(pl.col("meters_usd").fill_null(0)).cast(pl.Int64),
        )
        .drop("effective_usd", "meters_usd")
        .collect()
    )
    if not attempts.get_column("is_first_accrual").all():
        attempts = _whole(costs, attempts)
    attempts = _guessed(attempts, rules)
    return attempts.with_columns(down_keys(attempts))


def tokens_of(columns: Iterable[str], classes: Iterable[str] = TOKEN_CLASSES) -> pl.Expr:
    """Return the sum of some token classes, of which only columns that hold something are there."""
    present = set(columns)
    found = [pl.col(f"{name}_tokens").fill_null(0) for name in classes if f"{name}_tokens" in present]
    return pl.sum_horizontal(found) if found else pl.lit(0, dtype=pl.Int64)


def identities(costs: pl.LazyFrame, positions: pl.Series) -> pl.DataFrame:
    """Return `position, source, request_id` of some rows of the costs, in order of position."""
    return (
        costs.select("source", "request_id")
        .with_row_index("position")
        .filter(pl.col("position").is_in(positions.implode()))
        .collect()
    )


def _whole(costs: pl.LazyFrame, attempts: pl.DataFrame) -> pl.DataFrame:
    """Add the cost and weight of an attempt's later slices to its first."""
    pooled = (
        costs.select(*IDENTITY, "cost_basis").with_row_index("position").filter(pl.col("cost_basis") == "gpu")
    )
    named = attempts.lazy().join(pooled.select("position", "source", "request_id"), on="position").collect()
    later = (
        named.filter(~pl.col("is_first_accrual"))
        .group_by(IDENTITY)
        .agg(
            pl.col("cost").sum().alias("later_cost"), pl.col("allocation_weight").sum().alias("later_weight")
        )
    )
    more = (
        named.filter("is_first_accrual")
        .join(later, on=IDENTITY)
        .select("position", "later_cost", "later_weight")
    )
    return (
        attempts.filter("is_first_accrual")
        .join(more, on="position", how="left", maintain_order="left")
        .with_columns(
            cost=pl.col("cost") + pl.col("later_cost").fill_null(0),
            allocation_weight=pl.col("allocation_weight") + pl.col("later_weight").fill_null(0),
        )
        .drop("later_cost", "later_weight")
    )


def _guessed(attempts: pl.DataFrame, rules: Mapping[datetime, tuple[TaskRule, ...]]) -> pl.DataFrame:
    """Guess the class of attempts whose log names none, by the first rule that fits."""
    if not any(rules.values()) or not attempts.get_column("task_class").null_count():
        return attempts.with_columns(is_guessed=pl.lit(value=False), guess_confidence=pl.lit(1.0))
    into, out = (tokens_of(attempts.columns, classes) for classes in (INPUT_CLASSES, OUTPUT_CLASSES))
    task_class, confidence = pl.lit(None, dtype=pl.String), pl.lit(None, dtype=pl.Float64)
    starts = sorted(rules)
    # Later branches are tried first, so the first rule of the last document is put on last.
    for position, start in enumerate(starts):
        holds = pl.col("started_at") >= start
        if position + 1 < len(starts):
            holds &= pl.col("started_at") < starts[position + 1]
        for rule in reversed(rules[start]):
            fits = holds
            if rule.input_tokens_at_most is not None:
                fits &= into <= rule.input_tokens_at_most
            if rule.output_tokens_at_most is not None:
                fits &= out <= rule.output_tokens_at_most
            if rule.uses_tools is not None:
                fits &= (pl.col("meters") > 0) == rule.uses_tools
            task_class = pl.when(fits).then(pl.lit(rule.task_class)).otherwise(task_class)
            confidence = pl.when(fits).then(pl.lit(rule.confidence)).otherwise(confidence)
    is_unnamed = pl.col("task_class").is_null()
    return attempts.with_columns(
        task_class=pl.coalesce(pl.col("task_class").cast(pl.String), task_class).cast(pl.Categorical),
        is_guessed=is_unnamed & task_class.is_not_null(),
        guess_confidence=pl.when(is_unnamed).then(confidence.fill_null(1.0)).otherwise(1.0),
    )
