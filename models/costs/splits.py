"""Split the serving dollars of stages over the attempts placed in them, exact to the picodollar."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.costs.occupancy import Occupancy
from models.costs.quotas import by_quota
from models.costs.timeline import STAGE_BITS, Line, shares
from models.costs.weights import PoolRule, UnitWeights

Ints = npt.NDArray[np.int64]
_FRACTION_BITS = 20
"""Shares are cumulated in 2**-20 of a picodollar."""


@dataclass(frozen=True)
class Slices:
    """What each unit costs, exact per stage: `stage` is one that it worked in, NONE where there is none."""

    picodollars: Ints
    worked: Ints
    price_stage: Ints
    is_met: npt.NDArray[np.bool_]
    is_priced: npt.NDArray[np.bool_]
    price_ids: pl.Series


_NONE = -1


def split(
    occupancy: Occupancy, line: Line, weighed: UnitWeights, attempts: pl.DataFrame, rules: list[PoolRule]
) -> Slices:
    """Split each stage's serving dollars over the units placed in it: order, cumulate, round, difference."""
    stages = (
        occupancy.ready.sort("starts", "slice")
        .group_by("stage")
        .agg(
            pl.col("serving_picodollars").sum().cast(pl.Int64).alias("whole"),
            pl.col("picodollars").is_not_null().any().alias("is_priced"),
            pl.col("price_id").drop_nulls().first(),
        )
        .sort("stage")
    )
    count = occupancy.units.height
    placed_unit = occupancy.placed.get_column("unit").to_numpy()
    rate = weighed.rate[placed_unit[line.order]]
    rank = _rounding_order(occupancy, line, rate)
    row = line.order[rank]
    unit = placed_unit[row]
    share = shares(line, occupancy, rate)[rank]
    # Stages are numbered from 0, each with a ready slice, and ranks change only within one.
    stage = line.key >> STAGE_BITS
    whole = stages.get_column("whole").to_numpy()[stage]
    lasts = (occupancy.placed.get_column("ends") - occupancy.placed.get_column("starts")).to_numpy()[row]
    if any(each.quotas for each in rules) and "tenant" in attempts.columns:
        share = by_quota(
            share,
            stage=stage,
            pool=occupancy.units.get_column("pool").to_numpy()[unit],
            tenant=attempts.get_column("tenant").gather(occupancy.units.get_column("request").gather(unit)),
            work=weighed.rate[unit] * lasts,
            whole=whole,
            quotas=[each.quotas or None for each in rules],
        )
    amount = _rounded(share, stage=stage, whole=whole)
    picodollars, worked = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    np.add.at(picodollars, unit, amount)
    np.add.at(worked, unit, lasts)
    is_met, is_priced = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    is_met[unit] = True
    is_priced[unit[stages.get_column("is_priced").to_numpy()[stage]]] = True
    price_stage = np.full(count, _NONE, dtype=np.int64)
    has_price = stages.get_column("price_id").is_not_null().to_numpy()[stage]
    # Written backwards, so that the price of a unit's first stage stays.
    price_stage[unit[has_price][::-1]] = stage[has_price][::-1]
    return Slices(picodollars, worked, price_stage, is_met, is_priced, stages.get_column("price_id"))


def _rounded(share: npt.NDArray[np.float64], *, stage: Ints, whole: Ints) -> Ints:
    """Round shares to whole picodollars so that those of a stage sum to its whole; stages lie together."""
    begins = np.append(True, stage[1:] != stage[:-1])[: len(stage)]
    ends = np.append(begins[1:], True)[: len(stage)]
    first, run = np.flatnonzero(begins), np.cumsum(begins) - 1
    full = share.astype(np.int64)
    parts = ((share - full) * 2.0**_FRACTION_BITS).astype(np.int64)
    rounded = _sums(parts, first, run) + 2 ** (_FRACTION_BITS - 1) >> _FRACTION_BITS
    rounded += _sums(full, first, run)
    # The last unit of a stage closes it on the whole.
    rounded = np.where(ends, whole, np.minimum(rounded, whole))
    return rounded - np.where(begins, 0, np.append(0, rounded[:-1])[: len(stage)])


def _sums(values: Ints, first: Ints, run: Ints) -> Ints:
    """Return running sums that begin anew with each run."""
    sums = np.cumsum(values)
    return sums - (sums[first] - values[first])[run]


def _rounding_order(occupancy: Occupancy, line: Line, rate: npt.NDArray[np.float64]) -> Ints:
    """Return the line's order with ties by identity, so that the order of the input does not matter.

    Args:
        occupancy: the placed rows.
        line: their order.
        rate: of each placed row, in the line's order.
    """
    rank = np.arange(len(line.order))
    same = np.append(False, line.key[1:] == line.key[:-1])[: len(rank)]
    tied = np.flatnonzero(same | np.append(same[1:], False)[: len(rank)])
    if len(tied):
        rows = line.order[tied]
        at = occupancy.units.get_column("row").gather(occupancy.placed.get_column("unit").gather(rows))
        rank[tied] = (
            pl.DataFrame(
                {
                    "rank": tied,
                    "key": line.key[tied],
                    "source": occupancy.identity.get_column("source").gather(at),
                    "request_id": occupancy.identity.get_column("request_id").gather(at),
                    "ends": occupancy.placed.get_column("ends").gather(rows),
                    "rate": rate[tied],
                }
            )
            .sort("key", "source", "request_id", "ends", "rate")
            .get_column("rank")
            .to_numpy()
        )
    return rank
