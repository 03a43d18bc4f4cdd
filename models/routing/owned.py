"""Owned GPU pools as alternatives: idle capacity that is free while it lasts, and what growing would cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.money import picodollars_from_usd
from models.routing.attempts import tokens_of
from models.routing.offers import DEFAULT_TIER, Offer
from models.schemas.vocabulary import INPUT_CLASSES, OUTPUT_CLASSES, TOKEN_CLASSES

POOL = ("provider", "region", "chip", "deployment", "commitment")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Owned:
    """The pools of a fleet.

    Attributes:
        hours: core.pool_hours of the judged days.
        measured: one row per pool over the trailing seven days: its dimensions, `model, model_family, billed_usd,
            serving_usd, serving_gpu_seconds`, the `allocation_weight` of its requests, and the `input_weight` and
            `output_weight` of a token in it.
    """

    hours: pl.DataFrame
    measured: pl.DataFrame


def pool_offers(owned: Owned, *, valid_from: datetime) -> list[Offer]:
    """Return what growing each pool would cost: its trailing available rate a weighted token.

    A pool without traffic, without a price or of several models offers nothing.
    """
    rows = owned.measured.filter(
        pl.col("model").is_not_null(), pl.col("allocation_weight") > 0, pl.col("billed_usd").is_not_null()
    ).with_columns(picodollars_from_usd(pl.col("billed_usd")).cast(pl.Float64).alias("billed"))
    found: list[Offer] = []
    for row in rows.sort(POOL).iter_rows(named=True):
        rate = row["billed"] / float(row["allocation_weight"])
        rates = dict.fromkeys(INPUT_CLASSES, round(rate * row["input_weight"])) | dict.fromkeys(
            OUTPUT_CLASSES, round(rate * row["output_weight"])
        )
        found.append(
            Offer(
                provider=row["provider"],
                region=row["region"],
                model=row["model"],
                family=row["model_family"] or row["model"],
                chip=row["chip"],
                tier=DEFAULT_TIER,
                valid_from=valid_from,
                valid_to=None,
                above=None,
                up_to=None,
                # No cache is assumed on a pool that did not serve the request.
                rates={name: rates[name] for name in TOKEN_CLASSES if not name.startswith("cache")},
                deployment=row["deployment"],
            )
        )
    return found


@dataclass(frozen=True)
class Spare:
    """What a pool could have served in an hour for nothing: weighted tokens, at its measured speed.

    `of_token` is what an input and an output token weigh there.
    """

    pool: Mapping[str, Any]
    hour: datetime
    weight: float
    of_token: tuple[float, float]


def spare_capacity(owned: Owned) -> list[Spare]:
    """Return the spare weighted tokens of every pool-hour that was billed while it idled, in time order.

    Speed is the pool's own: weighted tokens per serving GPU-second over the trailing days. It is what the pool did,
    not the most that it could do, so that spare capacity is never overstated by batching that did not happen.
    """
    speeds = owned.measured.filter(pl.col("serving_gpu_seconds") > 0, pl.col("allocation_weight") > 0).select(
        *POOL,
        "input_weight",
        "output_weight",
        pl.col("model").alias("measured_model"),
        (pl.col("allocation_weight").cast(pl.Float64) / pl.col("serving_gpu_seconds").cast(pl.Float64)).alias(
            "speed"
        ),
    )
    hours = (
        owned.hours.filter(pl.col("idle_gpu_seconds") > 0)
        .group_by(*POOL, "pool_hour")
        .agg(pl.col("idle_gpu_seconds").sum().cast(pl.Float64).alias("idle"))
        .join(speeds, on=POOL)
        .filter(pl.col("measured_model").is_not_null())
        .sort("pool_hour", *POOL)
    )
    return [
        Spare(
            {name: row[name] for name in POOL} | {"model": row["measured_model"]},
            row["pool_hour"],
            row["idle"] * row["speed"],
            (row["input_weight"], row["output_weight"]),
        )
        for row in hours.iter_rows(named=True)
    ]


def weights_of(attempts: pl.DataFrame, of_token: tuple[float, float]) -> Floats:
    """Return the weighted tokens of attempts as a pool that has nothing of them cached would count them.

    Args:
        attempts: attempts with their tokens.
        of_token: what an input and an output token weigh there.
    """
    total = [tokens_of(attempts.columns, classes) for classes in (INPUT_CLASSES, OUTPUT_CLASSES)]
    found = attempts.select(
        pl.max_horizontal(total[0] * of_token[0] + total[1] * of_token[1], 1.0).cast(pl.Float64)
    ).to_series()
    return found.to_numpy()


def claim(
    rows: npt.NDArray[np.intp], weights: Floats, spare: float, taken: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.intp], float]:
    """Let attempts claim spare capacity in their order, each once, until it is used up.

    Args:
        rows: candidates in time order.
        weights: weighted tokens of every attempt.
        spare: what is left.
        taken: marks attempts that have claimed capacity; written to.

    Returns:
        The rows that fit, and what is left after them.
    """
    free = rows[~taken[rows]]
    fitting = free[: int(np.searchsorted(np.cumsum(weights[free]), spare, side="right"))]
    taken[fitting] = True
    return fitting, spare - float(weights[fitting].sum())


def first_of(pools: Sequence[Spare]) -> dict[datetime, list[Spare]]:
    """Return the spare pools of each hour."""
    found: dict[datetime, list[Spare]] = {}
    for pool in pools:
        found.setdefault(pool.hour, []).append(pool)
    return found
