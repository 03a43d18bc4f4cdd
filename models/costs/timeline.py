"""One sort of all starts and ends, then cumulative integrals: busy time of replicas, shares of attempts.

With speed r(t) dollars a microsecond and W(t) the weights in flight, G(t) = integral of r/W, and an attempt of
weight w costs w (G(end) - G(start)). Weights and G are summed as 128-bit integers, so that a long sum of small
and large terms loses nothing and the order of simultaneous rows does not matter; only one division per segment
is a float (relative error 2e-16).
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from models.costs.intervals import half_even
from models.costs.occupancy import Occupancy

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_OFFSET = 2**32
_WEIGHT_SCALE = 2.0**80
_INTEGRAL_SCALE = 2.0**50


@dataclass(frozen=True)
class Line:
    """The time line of all stages: moments in time order, each running to the next.

    A moment is the start of a placed row (its number), its end (that plus `count`), or an epoch.

    Attributes:
        count: placed rows.
        order: moments in time order.
        lasts: microseconds to the next moment.
        level: replicas that work from then on.
        flat: place of that in `Occupancy.levels`.
    """

    count: int
    order: Ints
    lasts: Ints
    level: Ints
    flat: Ints

    def places(self) -> tuple[Ints, Ints]:
        """Return where each placed row's start and end stand in the time order."""
        place = np.empty(len(self.order), dtype=np.int64)
        place[self.order] = np.arange(len(self.order))
        return place[: self.count], place[self.count : 2 * self.count]


def line_of(occupancy: Occupancy) -> Line:
    """Sort the moments of the placed attempts and of the epochs."""
    placed, epochs = occupancy.placed, occupancy.epochs
    at = np.concatenate(
        [
            frame.get_column("stage").to_numpy() * _OFFSET + frame.get_column(side).to_numpy()
            for frame, side in ((placed, "starts"), (placed, "ends"), (epochs, "starts"))
        ]
    ).astype(np.int64)
    order = pl.Series(at).arg_sort().to_numpy().astype(np.int64)
    more = np.zeros(len(at), dtype=np.int64)
    more[: placed.height], more[placed.height : 2 * placed.height] = 1, -1
    epoch = np.maximum(np.cumsum(order >= 2 * placed.height) - 1, 0)
    level = np.minimum(np.cumsum(more[order]), epochs.get_column("ready_count").to_numpy()[epoch])
    sorted_at = at[order]
    return Line(
        count=placed.height,
        order=order,
        lasts=np.append(np.diff(sorted_at), 0),
        level=level,
        flat=epochs.get_column("flat").to_numpy()[epoch].astype(np.int64) + level,
    )


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
    """Return what each placed row costs in picodollars, unrounded: w (G(end) - G(start)).

    Args:
        line: the time line.
        occupancy: the epochs that it runs over.
        weight: of each placed row.
    """
    if not line.count:
        return np.empty(0, dtype=np.float64)
    fixed = (pl.Series(weight) * _WEIGHT_SCALE).cast(pl.Int128)
    back = pl.select(pl.lit(fixed) * -1).to_series()
    none = pl.Series([0], dtype=pl.Int128).new_from_index(0, len(line.order) - 2 * line.count)
    change = pl.concat([fixed, back, none]).gather(line.order)
    weights = change.cum_sum().cast(pl.Float64).to_numpy() / _WEIGHT_SCALE
    is_working = line.level > 0
    speed = occupancy.levels.to_numpy()[line.flat]
    growth = np.zeros(len(line.order), dtype=np.float64)
    np.divide(speed * line.lasts, weights, out=growth, where=is_working)
    grown = pl.Series(growth * _INTEGRAL_SCALE).cast(pl.Int128)
    integral = grown.cum_sum() - grown
    starts, ends = line.places()
    return (
        (integral.gather(ends) - integral.gather(starts)).cast(pl.Float64).to_numpy()
        / _INTEGRAL_SCALE
        * weight
    )
