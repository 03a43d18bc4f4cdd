"""How clustered starts are beyond the rate of their hour: what the starts of 28 days saw before them, per window."""

from collections import deque
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from models.cold_starts.baseline import HISTORY_DAYS
from models.cold_starts.series import WINDOW_MINUTES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PRIOR_CLUSTER = 0.3
"""Starts that a start brings along within any window, where nothing is known."""
FLEET_STARTS = 30.0
"""Starts of the fleet at which what it shows weighs as much as that."""
SERIES_SHAPE = 0.5
"""How far series differ from what the fleet lets expect: a gamma of this shape."""
PRIOR_CLUMP = 3.0
"""Starts that count as one witness, because they came together, where nothing is known."""
PRIOR_CLUMPS = 10.0
"""Clumps of a series at which its own spread weighs as much as the usual one."""
DOUBT = 1.6
"""Standard errors added to the spread, so that a short or clumped history does not pass for a calm one."""
MOST_LEVEL = 2.0
"""Clustering that grows with the rate is not carried beyond hours this much busier than those it was seen in."""
LEAST_CLUSTER = 0.01
_TINY = 1e-9
_FINE, _COARSE = float(2**20), float(2**10)


@dataclass(frozen=True)
class PrecedingStarts:
    """What starts saw before them: one row per series or per start that is judged, windows as columns.

    Attributes:
        starts: how many (one column).
        before: earlier starts within the window before each of them, summed.
        pairs: n (n - 1) of those n, summed.
        clumps: the squares of what `before` sums to in an hour, summed over hours.
        told: expected starts within the window before each, summed.
        told_squares: their squares, summed.
    """

    starts: Floats
    before: Floats
    pairs: Floats
    clumps: Floats
    told: Floats
    told_squares: Floats

    def of(self, series: Ints) -> "PrecedingStarts":
        return PrecedingStarts(*(getattr(self, item.name)[series] for item in fields(self)))

    @property
    def beyond(self) -> Floats:
        return self.before - self.told

    @property
    def usual(self) -> Floats:
        return self.told / np.maximum(self.starts, _TINY)


class Ledger:
    """What the starts of the last 28 days saw, by series, in whole numbers; days are added in order."""

    def __init__(self, series_count: int) -> None:
        windows = len(WINDOW_MINUTES)
        self._totals = [np.zeros((series_count, width), dtype=np.int64) for width in (1, *([windows] * 5))]
        self._days: deque[tuple[Ints, list[Ints]]] = deque()

    def seen(self) -> PrecedingStarts:
        starts, before, pairs, clumps, told, squares = self._totals
        return PrecedingStarts(
            starts=starts.astype(np.float64),
            before=before.astype(np.float64),
            pairs=pairs.astype(np.float64),
            clumps=clumps.astype(np.float64),
            told=told / _FINE,
            told_squares=squares / _COARSE,
        )

    def add(self, series: Ints, hour: Ints, earlier: Ints, expected: Floats) -> None:
        """Add a day, and drop what is older than 28.

        Args:
            series: of each start, in order.
            hour: of each start, in order within its series.
            earlier: starts x windows: earlier starts within the window.
            expected: starts x windows: what the foretold rates give.
        """
        is_first = np.diff(series, prepend=-1) != 0
        first = np.flatnonzero(is_first)
        hours = np.flatnonzero(is_first | (np.diff(hour, prepend=-1) != 0))
        if len(first):
            by_hour = np.add.reduceat(earlier, hours, axis=0) ** 2
            parts = [
                np.ones((len(series), 1), dtype=np.int64),
                earlier,
                earlier * (earlier - 1),
                by_hour,
                fixed(expected, _FINE),
                fixed(expected * expected, _COARSE),
            ]
            at = [first, first, first, np.searchsorted(hours, first), first, first]
            sums = [np.add.reduceat(part, where, axis=0) for part, where in zip(parts, at, strict=True)]
        else:
            sums = [total[:0] for total in self._totals]
        self._days.append((series[first], sums))
        self._move(series[first], sums, 1)
        if len(self._days) > HISTORY_DAYS:
            self._move(*self._days.popleft(), -1)

    def _move(self, series: Ints, sums: list[Ints], sign: int) -> None:
        for total, part in zip(self._totals, sums, strict=True):
            total[series] += sign * part


def fixed(values: Floats, unit: float) -> Ints:
    """Return values in fixed point, so that sums of them do not depend on their order."""
    return np.rint(values * unit).astype(np.int64)


def fleet_clustering(seen: PrecedingStarts, *, known_days: int) -> tuple[Floats, Floats]:
    """Split the fleet's clustering, by window, into a part per start and a part per start that the rate gives.

    Least squares over series, both parts at least 0: starts asked for in groups show in the first, hours that are
    busier than foretold in the second. While 28 days are not full, the first is not taken to be less than the usual.

    Args:
        seen: of all series.
        known_days: days of records.
    """
    one = np.broadcast_to(seen.starts, seen.told.shape)
    moments = (one, seen.told, seen.told * seen.usual, seen.beyond, seen.beyond * seen.usual)
    count, usual, squared, beyond, product = (fixed(part, _COARSE).sum(axis=0) / _COARSE for part in moments)
    count, beyond = count + FLEET_STARTS, beyond + FLEET_STARTS * PRIOR_CLUSTER
    both = count * squared - usual * usual
    is_line = both > _TINY
    alone = (beyond * squared - product * usual) / np.where(is_line, both, 1.0)
    ratio = (product * count - beyond * usual) / np.where(is_line, both, 1.0)
    is_flat = ~is_line | (ratio < 0)
    is_steep = is_line & (alone < 0)
    alone = np.where(is_flat, np.maximum(beyond / count, 0.0), np.maximum(alone, 0.0))
    ratio = np.where(
        is_flat, 0.0, np.where(is_steep, np.maximum(product, 0.0) / np.maximum(squared, _TINY), ratio)
    )
    missing = max(1.0 - known_days / HISTORY_DAYS, 0.0)
    return np.maximum(alone, PRIOR_CLUSTER * missing), ratio


@dataclass(frozen=True)
class Clustering:
    """Of each judged start, by window, given its expected starts in the window.

    Attributes:
        mean: earlier starts that it is to see.
        spread: the variance of the gamma that they are Poisson about.
    """

    mean: Floats
    spread: Floats


def own_clustering(
    mine: PrecedingStarts, expected: Floats, shape: Floats, *, alone: Floats, ratio: Floats
) -> Clustering:
    """Draw a series' clustering to what the fleet's lets expect, and apply it to the hours that are judged.

    Args:
        mine: what the starts of the series saw.
        expected: starts x windows: what the foretold rates give.
        shape: of the gamma that says how sure the rate is.
        alone: the fleet's clustering per start.
        ratio: the fleet's clustering per start that the rate gives.
    """
    usual = np.where(mine.starts > 0, np.maximum(mine.usual, _TINY), np.maximum(expected, _TINY))
    told = alone + ratio * usual
    clump = (mine.clumps + PRIOR_CLUMP**2) / (mine.before + PRIOR_CLUMP)
    sure = SERIES_SHAPE + np.maximum(mine.beyond, 0.0) / clump
    cluster = sure / (SERIES_SHAPE / np.maximum(told, LEAST_CLUSTER) + mine.starts / clump)
    # Part of it comes with every start, part grows with the rate; in busier hours than usual all of it is taken to.
    share = np.maximum(alone, _TINY) / np.maximum(told, _TINY)
    level = np.minimum(expected / usual, MOST_LEVEL)
    mean = expected + cluster * (share * np.maximum(level, 1.0) + (1.0 - share) * level)
    relative = _relative_spread(
        mine, usual, base=cluster * share, growth=cluster * (1.0 - share), clump=clump
    )
    unsure = expected / shape[:, None]
    spread = np.maximum(mean**2 * relative, cluster**2 / sure) + expected * unsure
    return Clustering(mean=mean + unsure, spread=spread)


def _relative_spread(
    mine: PrecedingStarts, usual: Floats, *, base: Floats, growth: Floats, clump: Floats
) -> Floats:
    """Return how far past starts saw other numbers than expected: the variance of a gamma of mean one, from above.

    Args:
        mine: what the starts of the series saw.
        usual: what the rate gave them, on average.
        base: the clustering of its own.
        growth: the clustering with the rate, at the usual rate.
        clump: starts that count as one witness.
    """
    slope = 1.0 + growth / usual
    squares = mine.starts * base**2 + 2.0 * base * slope * mine.told + slope**2 * mine.told_squares
    typical = (base + slope * usual) ** 2
    weight = PRIOR_CLUMPS * clump * typical
    prior = (base**2 + growth**2) / typical
    relative = np.maximum((mine.pairs + weight * (1.0 + prior)) / (squares + weight) - 1.0, 0.0)
    return relative + DOUBT * (1.0 + relative) / np.sqrt(mine.before / clump + PRIOR_CLUMPS)
