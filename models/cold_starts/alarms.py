"""Alarms: hours in which a series started replicas faster than its baseline allows for."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from models.cold_starts.hours import HOURS, MICROSECONDS, hour_cells
from models.cold_starts.judgement import JudgedStarts, judge
from models.cold_starts.scan import discoveries
from models.cold_starts.series import StartSeries

P_VALUE_AT_MOST = 1.4e-5
"""A false alarm in a hundred series-months of 730 hours."""
FALSE_DISCOVERY_RATE = 0.05
BLOCK_DAYS = 28
"""Days that are judged by a walk from the same day on."""
WARM_DAYS = 84
"""A walk begins this long before its block: a fit, what it foretells and incidents to leave out have 28 days each."""
LOOKBACK_DAYS = BLOCK_DAYS + WARM_DAYS
"""Days before an hour that its judgement may look at."""


def burst_alarms(
    found: StartSeries, *, from_on: date, to_on: date, time_zone: str, known_from: datetime
) -> pl.DataFrame:
    """Return the alarmed starts of the hours that begin on business days in [from_on, to_on).

    An hour is judged by what was asked for until its end. In whatever order and by whatever ranges of days hours
    are judged, the result is the same: where the walk to a day begins depends on the day alone.

    Args:
        found: starts of these days and of the `LOOKBACK_DAYS` before, as far as there are any.
        from_on: first business day.
        to_on: business day after the last.
        time_zone: IANA reporting zone, in which rhythms repeat.
        known_from: when the records of starts begin; before it nothing is known.

    Returns:
        `series, hour` (since 1970), `onset_at, ended_at` (us since 1970) of the window, `p_value`,
        `expected_count, rate` (expected starts an hour), `history_days`.
    """
    known_on = known_from.astimezone(ZoneInfo(time_zone)).date()
    known_hour = int(known_from.timestamp()) // 3600
    parts: list[JudgedStarts] = []
    for walk_on, first_on, last_on in _walks(from_on, to_on, known_on=known_on):
        judged = judge(
            found,
            hour_cells(from_on=walk_on, to_on=last_on, time_zone=time_zone),
            known_day=max((known_on - walk_on).days, 0),
            known_hour=known_hour,
            from_day=(first_on - walk_on).days,
        )
        parts.append(judged.take(np.flatnonzero(judged.p_value <= P_VALUE_AT_MOST)))
    return _alarms(found, JudgedStarts.concatenate(parts), known_from=known_from)


def _walks(from_on: date, to_on: date, *, known_on: date) -> Iterator[tuple[date, date, date]]:
    """Yield where each walk begins, and the first day and the end of what it is wanted for."""
    first_on = from_on
    while first_on < to_on:
        walk_on = _walk_on(first_on, known_on)
        last_on = first_on
        while last_on < to_on and _walk_on(last_on, known_on) == walk_on:
            last_on += timedelta(days=1)
        yield min(walk_on, first_on), first_on, last_on
        first_on = last_on


def _walk_on(on: date, known_on: date) -> date:
    block = on.toordinal() // BLOCK_DAYS * BLOCK_DAYS
    return max(date.fromordinal(max(block - WARM_DAYS, 1)), known_on)


def _alarms(found: StartSeries, judged: JudgedStarts, *, known_from: datetime) -> pl.DataFrame:
    series, hour = found.series[judged.place], found.at[judged.place] // MICROSECONDS
    # Series and hours are the tests; each is represented by its smallest p-value.
    test = series * 2**32 + hour
    order = np.lexsort((judged.p_value, test))
    tests, first = np.unique(test[order], return_index=True)
    best = order[first]
    kept = discoveries(judged.p_value[best], hour[best], judged.live[best], rate=FALSE_DISCOVERY_RATE)
    rows = np.flatnonzero(kept[np.searchsorted(tests, test)])
    judged, hour = judged.take(rows), hour[rows]
    known = int(known_from.timestamp() * 1_000_000)
    return pl.DataFrame(
        {
            "series": pl.Series(series[rows], dtype=pl.UInt32),
            "hour": hour,
            "onset_at": found.at[judged.place - judged.size + 1],
            "ended_at": found.at[judged.place],
            "p_value": judged.p_value,
            "expected_count": judged.expected,
            "rate": judged.rate,
            "history_days": np.maximum(hour * MICROSECONDS - known, 0) / (HOURS * MICROSECONDS),
        }
    )
