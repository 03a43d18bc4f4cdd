"""One sort of all starts and ends, then cumulative integrals: busy time of replicas, shares of attempts.

With speed r(t) dollars a microsecond and W(t) the weights in flight, G(t) = integral of r/W, and an attempt of
weight w costs w (G(end) - G(start)). Weights and G are summed exactly (models.costs.limbs), so that a long sum of
small and large terms loses nothing and the order of simultaneous rows does not matter; only the division of each
segment and the conversions of exact sums are rounded, each to 1.1e-16 of its value, so that a share is within
6e-16 of itself plus 2**-50 picodollars a weight and segment: far below a picodollar.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from models.costs.limbs import Limbs
from models.costs.occupancy import Occupancy
from models.money import half_even

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
STAGE_BITS = 32
"""A stage and an instant in it are one integer: the stage above so many bits of microseconds."""
_WEIGHT_BITS = 80
_INTEGRAL_BITS = 50


@dataclass(frozen=True)
class Line:
    """The time line of all stages: moments in time order, each running to the next.

    A moment is the start of a placed row (the row's place in `order`), its end (that plus the number of rows), or
    an epoch.

    Attributes:
        order: placed rows by stage and start.
        key: stage and start of each, as one integer.
        moments: moments in time order.
        lasts: microseconds to the next moment.
        level: replicas that work from then on.
        flat: place of that in `Occupancy.levels`.
    """

    order: Ints
    key: Ints
    moments: Ints
    lasts: Ints
    level: Ints
    flat: Ints


def line_of(occupancy: Occupancy) -> Line:
    """Sort the placed attempts by stage and start, and the moments of theirs and of the epochs by stage and time."""
    placed, epochs = occupancy.placed, occupancy.epochs
    stage = placed.get_column("stage").to_numpy()
    # A radix sort, after which attempts that came by time are in order already.
    by_stage = np.argsort(
        stage.astype(np.uint16 if stage.max(initial=0) < 2**16 else np.int64), kind="stable"
    )
    key, order = _sorted(_key(placed, "starts")[by_stage])
    order = by_stage[order]
    ends = _key(placed, "ends")[order]
    at, moments = _sorted(np.concatenate([key, ends, _key(epochs, "starts")]))
    count = len(order)
    is_start, is_epoch = moments < count, moments >= 2 * count
    in_flight = np.cumsum(2 * is_start.view(np.int8) + is_epoch.view(np.int8) - 1, dtype=np.int64)
    epoch = np.maximum(np.cumsum(is_epoch) - 1, 0)
    level = np.minimum(in_flight, epochs.get_column("ready_count").to_numpy()[epoch])
    return Line(
        order=order,
        key=key,
        moments=moments,
        lasts=np.append(np.diff(at), 0),
        level=level,
        flat=epochs.get_column("flat").to_numpy()[epoch].astype(np.int64) + level,
    )


def _key(frame: pl.DataFrame, side: str) -> Ints:
    """Return the stage and an instant in it as one integer."""
    return frame.select((pl.col("stage") * 2**STAGE_BITS) + pl.col(side)).to_series().to_numpy()


def _sorted(keys: Ints) -> tuple[Ints, Ints]:
    """Return non-negative keys in order and where each stood; equal ones stay in the order given.

    Key and place sort as one integer where both fit. A stable sort takes less the more is in order already, which of
    ends that follow their starts is nearly all.
    """
    bits = len(keys).bit_length()
    if int(keys.max(initial=0)) >= 2 ** (63 - bits):
        order = np.argsort(keys, kind="stable")
        return keys[order], order
    packed = keys << bits
    packed |= np.arange(len(keys))
    packed.sort(kind="stable")
    return packed >> bits, packed & (2**bits - 1)


def with_serving(occupancy: Occupancy, line: Line) -> Occupancy:
    """Return the occupancy with `busy` and `serving_picodollars` on its ready slices.

    Serving is the slice's dollars x busy time / its length, rounded half-even once.
    """
    ready = occupancy.ready
    if occupancy.epochs.is_empty():
        nothing = (
            pl.lit(0, dtype=pl.Int64).alias("busy"),
            pl.lit(0, dtype=pl.Int128).alias("serving_picodollars"),
        )
        return replace(occupancy, ready=ready.with_columns(nothing))
    is_working = line.level > 0
    # Microseconds of a stage are far below 2**53, so that their sums as floats are exact.
    worked = np.bincount(
        line.flat[is_working], weights=line.lasts[is_working], minlength=len(occupancy.levels)
    ).astype(np.int64)
    places = occupancy.epochs.select("epoch", "slice", "flat").explode("slice").with_columns(
        (pl.col("flat") + 1 + pl.int_range(pl.len()).over("epoch")).cast(pl.Int64).alias("flat")
    )  # fmt: skip
    # The n-th replica of an epoch works whenever n or more do.
    busy = (
        places.with_columns(pl.Series("lasts", worked[places.get_column("flat").to_numpy()]))
        .with_columns(pl.col("lasts").cum_sum(reverse=True).over("epoch", order_by="flat"))
        .group_by("slice")
        .agg(pl.col("lasts").sum().alias("busy"))
    )
    length = pl.col("ends") - pl.col("starts")
    return replace(
        occupancy,
        ready=ready.join(busy, on="slice").with_columns(
            half_even(pl.col("picodollars") * pl.col("busy").cast(pl.Int128), length).alias(
                "serving_picodollars"
            )
        ),
    )


def shares(line: Line, occupancy: Occupancy, weight: Floats) -> Floats:
    """Return what each placed row costs in picodollars, unrounded: w (G(end) - G(start)); in the line's order.

    Args:
        line: the time line.
        occupancy: the epochs that it runs over.
        weight: of each placed row, in the line's order.
    """
    count = len(line.order)
    if not count:
        return np.empty(0, dtype=np.float64)
    is_end = line.moments >= count
    row = line.moments - np.where(is_end, count, 0)
    sign = np.where(is_end, -1, 1)
    epochs = np.flatnonzero(row >= count)
    row[epochs], sign[epochs] = 0, 0
    in_flight = Limbs.cut(weight, unit_bits=_WEIGHT_BITS).gather(row).times(sign).sums().floats()
    growth = np.zeros(len(row), dtype=np.float64)
    speed = occupancy.levels.to_numpy()[line.flat]
    np.divide(speed * line.lasts, in_flight, out=growth, where=line.level > 0)
    # Of each moment, what G has grown before it.
    grown = Limbs.cut(growth, unit_bits=_INTEGRAL_BITS)
    integral = grown.sums().minus(grown)
    place = np.empty(len(row), dtype=np.int64)
    place[line.moments] = np.arange(len(row))
    starts, ends = integral.gather(place[:count]), integral.gather(place[count : 2 * count])
    return ends.minus(starts).floats() * weight
