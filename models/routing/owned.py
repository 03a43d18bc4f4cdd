"""Owned GPU pools as alternatives: idle capacity that is free while it lasts, and what growing would cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.money import picodollars_from_usd
from models.routing.attempts import tokens_of
from models.routing.offers import Offer
from models.schemas.vocabulary import INPUT_CLASSES, OUTPUT_CLASSES, TOKEN_CLASSES
from models.tiers import DEFAULT_TIER

POOL = ("provider", "region", "chip", "deployment", "commitment")
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
MINUTE = 60_000_000
"""Microseconds of a minute."""


@dataclass(frozen=True)
class OwnedPools:
    """The pools of a fleet.

    Attributes:
        idle: when they had room: their dimensions, `minute` and `idle_gpu_seconds`.
        measured: one row per pool over the trailing seven days: its dimensions, `model, model_family, billed_usd,
            serving_usd, serving_gpu_seconds`, the `allocation_weight` of its requests, and the `input_weight` and
            `output_weight` of a token in it.
    """

    idle: pl.DataFrame
    measured: pl.DataFrame


def pool_offers(owned: OwnedPools, *, valid_from: datetime) -> list[Offer]:
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
class SpareCapacity:
    """What a pool could have served for nothing, at its measured speed.

    Attributes:
        pool: its dimensions and model.
        minutes: microseconds since 1970 at which each minute with room begins, ascending.
        room: weighted tokens that each of them has room for.
        of_token: what an input and an output token weigh there.
    """

    pool: Mapping[str, Any]
    minutes: Ints
    room: Floats
    of_token: tuple[float, float]


def spare_capacity(owned: OwnedPools) -> list[SpareCapacity]:
    """Return the room of every pool that was ready with nothing to do in some minute, in the order of pools.

    Speed is the pool's own: weighted tokens per serving GPU-second over the trailing days. It is what the pool did,
    not the most that it could do, so that room is never overstated by batching that did not happen.
    """
    speeds = owned.measured.filter(pl.col("serving_gpu_seconds") > 0, pl.col("allocation_weight") > 0).select(
        *POOL,
        "input_weight",
        "output_weight",
        "model",
        (pl.col("allocation_weight").cast(pl.Float64) / pl.col("serving_gpu_seconds").cast(pl.Float64)).alias(
            "speed"
        ),
    )
    pools = (
        owned.idle.filter(pl.col("idle_gpu_seconds") > 0)
        .select(*POOL, pl.col("minute").dt.timestamp("us"), pl.col("idle_gpu_seconds").cast(pl.Float64))
        .join(speeds.filter(pl.col("model").is_not_null()), on=POOL)
        .sort("minute")
        .group_by(*POOL, "model", "input_weight", "output_weight")
        .agg("minute", pl.col("idle_gpu_seconds") * pl.col("speed"))
        .sort(POOL)
    )
    return [
        SpareCapacity(
            {name: row[name] for name in (*POOL, "model")},
            np.array(row["minute"], dtype=np.int64),
            np.array(row["idle_gpu_seconds"], dtype=np.float64),
            (row["input_weight"], row["output_weight"]),
        )
        for row in pools.iter_rows(named=True)
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
    rows: Rows, at: Ints, weights: Floats, spare: SpareCapacity, taken: Flags
) -> tuple[Rows, SpareCapacity]:
    """Let attempts claim a pool's room of the minute in which they began, in their order, until it is used up.

    Args:
        rows: candidates in time order.
        at: when every attempt began, in microseconds since 1970.
        weights: weighted tokens of every attempt.
        spare: the pool's room.
        taken: marks attempts that have claimed room; written to.

    Returns:
        The rows that fit, and what is left after them.
    """
    rows = rows[~taken[rows]]
    minute = at[rows] // MINUTE * MINUTE
    place = np.searchsorted(spare.minutes, minute)
    is_ready = place < len(spare.minutes)
    is_ready[is_ready] = spare.minutes[place[is_ready]] == minute[is_ready]
    rows, place = rows[is_ready], place[is_ready]
    asked = np.cumsum(weights[rows])
    # What was asked for before the minute began.
    before = np.concatenate([np.zeros(1), asked])[np.searchsorted(place, place)]
    is_fitting = asked - before <= spare.room[place]
    fitting = rows[is_fitting]
    taken[fitting] = True
    used = np.bincount(place[is_fitting], weights=weights[fitting], minlength=len(spare.room))
    return fitting, replace(spare, room=spare.room - used)
