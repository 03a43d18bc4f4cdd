"""What is usual: starts an hour by series and hour of the week, foretold for a day from the 28 days before it.

Sums over days and series are of whole numbers (counts, integer weights), so that neither the order of summation nor
what else is in the data changes a bit of the result.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.cold_starts.hours import HOURS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HISTORY_DAYS = 28
"""Trailing business days that a day is foretold from."""
WEEK = 7
LEVEL_HALF_LIFE_DAYS = 7.0
RHYTHM_HALF_LIFE_DAYS = 14.0
PRIOR_RATE = 0.3
"""Starts an hour of a series of which nothing is known, with the weight of a day."""
LEAST_SHAPE, MOST_SHAPE = 0.3, 10.0
"""Of the gamma that the levels of a fleet's series follow."""
DAY_SHAPE = 4.0
"""How far hours of the day are taken to differ from the level before they are seen: a gamma of this shape."""
WEEK_SHAPE = 8.0
"""How far hours of the week differ from the hour of the day."""
NEW_NORMAL_HOURS = 24
"""A series that spent this long of a week in incidents has a new normal: its hours count again."""
_UNIT = 1024.0


@dataclass(frozen=True)
class ExpectedDay:
    """A day as foretold.

    Attributes:
        rate: series x 24: expected starts an hour.
        shape: series x 24: of the gamma that says how sure that is.
        live: series that started something in the 28 days before.
    """

    rate: Floats
    shape: Floats
    live: int


class StartHistory:
    """The last 28 days: starts and hours by cell, without those of incidents. Days are stored in order."""

    def __init__(self, series_count: int) -> None:
        shape = (HISTORY_DAYS, series_count, HOURS)
        self._day = np.full(HISTORY_DAYS, -1, dtype=np.int64)
        self._counts = np.zeros(shape)
        self._is_gap = np.zeros(shape, dtype=np.bool_)
        self._exposure = np.zeros((HISTORY_DAYS, HOURS))
        self._sums, self._squares, self._gaps = (np.zeros(shape[:2]) for _ in range(3))

    def store(self, day: int, counts: Floats, exposure: Floats) -> None:
        """Store a day: starts (series x 24) and hours that the records cover (24)."""
        place = day % HISTORY_DAYS
        self._day[place] = day
        self._counts[place], self._exposure[place] = counts, exposure
        self._is_gap[place], self._gaps[place] = False, 0.0
        self._sums[place], self._squares[place] = counts.sum(axis=1), (counts * counts).sum(axis=1)

    def leave_out(self, day: Ints, series: Ints, slot: Ints) -> None:
        """Leave out cells of incidents, but of series that have a new normal."""
        week = np.flatnonzero((self._day >= 0) & (self._day > self._day.max() - WEEK))
        is_short = self._gaps[np.ix_(week, series)].sum(axis=0) < NEW_NORMAL_HOURS
        place, series, slot = (day % HISTORY_DAYS)[is_short], series[is_short], slot[is_short]
        self._is_gap[place, series, slot] = True
        self._gaps[place, series] = self._is_gap[place, series].sum(axis=1)
        self._counts[place, series, slot] = 0.0
        counts = self._counts[place, series]
        self._sums[place, series] = counts.sum(axis=1)
        self._squares[place, series] = (counts * counts).sum(axis=1)

    def is_left_out(self, day: int, series: Ints, slot: Ints) -> npt.NDArray[np.bool_]:
        """Return, for each pair of series and hour of a day, whether the cell is left out."""
        is_gap: npt.NDArray[np.bool_] = self._is_gap[day % HISTORY_DAYS, series, slot]
        return is_gap

    def forecast(self, day: int) -> ExpectedDay:
        """Foretell a day.

        The level (half-life a week) is drawn to the fleet's, the hour of the day (half-life two weeks) to the
        level, the hour of the week to the hour of the day.
        """
        age = np.where(self._day >= 0, day - self._day, 0)
        counts = self._sums.sum(axis=0)
        shape, rate, live = _fleet(counts, float(self._exposure[age > 0].sum()))
        # Starts of busy hours come together: so many of them witness as one.
        witness = 1.0 / (_UNIT * np.maximum((self._squares.sum(axis=0) + 1.0) / (counts + 1.0), 1.0))
        weights = _weights(age, LEVEL_HALF_LIFE_DAYS)
        level_shape = shape + (weights @ self._sums) * witness
        level = level_shape / (shape / rate + self._hours(weights).sum(axis=1) * witness)
        daily, sure = self._drawn(level[:, None], DAY_SHAPE, _weights(age, RHYTHM_HALF_LIFE_DAYS), witness)
        weekly, sure = self._drawn(daily, WEEK_SHAPE, _weights(age, np.inf, step=WEEK), witness)
        # Early on the level is the least sure of the three.
        return ExpectedDay(rate=weekly, shape=1.0 / (1.0 / sure + 1.0 / level_shape[:, None]), live=live)

    def _drawn(
        self, prior: Floats, prior_shape: float, weights: Floats, witness: Floats
    ) -> tuple[Floats, Floats]:
        days, series, hours = self._counts.shape
        counts = (weights @ self._counts.reshape(days, series * hours)).reshape(series, hours)
        shape = prior_shape + counts * witness[:, None]
        return shape / (prior_shape / prior + self._hours(weights) * witness[:, None]), shape

    def _hours(self, weights: Floats) -> Floats:
        """Return the weighted hours of each cell, series x 24."""
        hours = np.repeat((weights @ self._exposure)[None], self._counts.shape[1], axis=0)
        gappy = np.flatnonzero(self._gaps.any(axis=0))
        hours[gappy] -= np.einsum("d,dh,dsh->sh", weights, self._exposure, self._is_gap[:, gappy])
        return hours


def _fleet(counts: Floats, hours: float) -> tuple[float, float, int]:
    """Fit a gamma to the levels of the series that started something: shape, rate in starts an hour; their number."""
    live = int((counts > 0).sum())
    total, pairs = float(counts.sum()), float((counts * (counts - 1.0)).sum())
    rate = (total + PRIOR_RATE * HOURS) / (live * hours + HOURS)
    # Between series, E[rate^2] - E[rate]^2; with few series the prior's shape of one decides.
    known = max(live * hours, 1.0)
    spread = max(pairs / (known * max(hours, 1.0)) - (total / known) ** 2, 0.0)
    shape = (live + 3.0) / (live * spread / (rate * rate) + 3.0)
    return min(max(shape, LEAST_SHAPE), MOST_SHAPE), rate, live


def _weights(age: Ints, half_life: float, *, step: int = 1) -> Floats:
    """Return integer weights of days by age; those of age 0 and, with a step, those between have none."""
    return np.where((age > 0) & (age % step == 0), np.round(_UNIT * 2.0 ** (-age / half_life)), 0.0)
