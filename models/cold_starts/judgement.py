"""Walk through days in order: forecast each from those before it, judge its starts, leave its incidents out later."""

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from models.cold_starts.baseline import ExpectedDay, StartHistory
from models.cold_starts.clusters import Ledger, PrecedingStarts, fleet_clustering, own_clustering
from models.cold_starts.hours import HOURS, MICROSECONDS, HourCells
from models.cold_starts.scan import LEAST_STARTS, expected_in_windows, least_chances, p_values
from models.cold_starts.series import StartSeries

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PAST_P_VALUE = 1e-4
"""The hours of windows this rare or rarer are no part of later baselines: they hide more than they tell."""
SHORT_DAYS = 14
"""While the records are shorter, p-values are divided by the known share of these days."""


@dataclass(frozen=True)
class JudgedStarts:
    """Starts that end a window too full for its hour.

    Attributes:
        place: which starts.
        p_value: of the best window that ends with each.
        size: starts in that window.
        expected: starts that the rate alone gives it.
        rate: starts that the baseline expects in its hour.
        live: series that started something in the 28 days before.
    """

    place: Ints
    p_value: Floats
    size: Ints
    expected: Floats
    rate: Floats
    live: Ints

    def after(self, known_days: int) -> "JudgedStarts":
        """Weaken what short records say."""
        share = min(max(known_days / SHORT_DAYS, 1.0 / SHORT_DAYS), 1.0)
        return replace(self, p_value=np.minimum(self.p_value / share, 1.0))

    def take(self, rows: Ints) -> "JudgedStarts":
        return JudgedStarts(*(getattr(self, item.name)[rows] for item in fields(self)))

    @staticmethod
    def concatenate(parts: "list[JudgedStarts]") -> "JudgedStarts":
        return JudgedStarts(
            *(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(JudgedStarts))
        )


def judge(
    found: StartSeries, cells: HourCells, *, known_day: int, known_hour: int, from_day: int
) -> JudgedStarts:
    """Return the starts from a day on that are rare, `PAST_P_VALUE` or less before short records count.

    Args:
        found: starts; those outside of the cells' days are not judged.
        cells: the days to walk through.
        known_day: number of the day on which the records begin.
        known_hour: hour since 1970 in which they begin.
        from_day: number of the first day that is wanted.
    """
    hour = found.at // MICROSECONDS
    inside = np.flatnonzero((hour >= cells.first_hour) & (hour < cells.first_hour + len(cells.cell)))
    day = cells.cell_of(hour[inside]) // HOURS
    # By day; within a day by series and time, as they are.
    order = np.argsort(day, kind="stable")
    inside, day = inside[order], day[order]
    cuts = np.searchsorted(day, np.arange(cells.day_count + 1))
    exposure = cells.exposure(since=known_hour)
    past, ledger = StartHistory(found.names.height), Ledger(found.names.height)
    judged: list[JudgedStarts] = []
    yesterday = past.forecast(0)
    for number in range(cells.day_count):
        today = past.forecast(number)
        places = inside[cuts[number] : cuts[number + 1]]
        series, slots = found.series[places], cells.cell_of(hour[places]) % HOURS
        expected = _expected(found, cells, places, (yesterday, today), number)
        rare = _rare(found, places, slots, expected, today, ledger.seen(), known_days=number - known_day)
        counts = np.bincount(series * HOURS + slots, minlength=found.names.height * HOURS)
        past.store(number, counts.reshape(-1, HOURS).astype(np.float64), exposure[number])
        past.leave_out(*_cells_of_windows(found, cells, rare))
        # Nothing foretold the first two days of the records (the first may be a part of one).
        is_counted = ~past.is_left_out(number, series, slots) & (number >= known_day + 2)
        ledger.add(
            series[is_counted], slots[is_counted], found.counts[places[is_counted]] - 1, expected[is_counted]
        )
        if number >= from_day:
            judged.append(rare.after(number - known_day))
        yesterday = today
    return JudgedStarts.concatenate(judged)


def _expected(
    found: StartSeries, cells: HourCells, places: Ints, fits: tuple[ExpectedDay, ExpectedDay], number: int
) -> Floats:
    """Return starts x windows: expected starts in the windows that end with each start, from two days' rates."""
    at = cells.cell_of((found.at[places] // MICROSECONDS)[:, None] - np.arange(3))
    series, slot = found.series[places][:, None], at % HOURS
    rates = np.where(at // HOURS < number, fits[0].rate[series, slot], fits[1].rate[series, slot])
    return expected_in_windows(rates, (found.at[places] % MICROSECONDS) / MICROSECONDS)


def _rare(
    found: StartSeries,
    places: Ints,
    slots: Ints,
    expected: Floats,
    usual: ExpectedDay,
    seen: PrecedingStarts,
    *,
    known_days: int,
) -> JudgedStarts:
    """Judge the starts of a day."""
    series = found.series[places]
    rate = usual.rate[series, slots]
    # Most windows are not rare even if starts are not clustered: they need no closer look.
    full = np.flatnonzero(found.counts[places, -1] >= LEAST_STARTS)
    kept = full[least_chances(found.counts[places[full]], rate[full], expected[full]) <= PAST_P_VALUE]
    alone, ratio = fleet_clustering(seen, known_days=known_days)
    clustering = own_clustering(
        seen.of(series[kept]),
        expected[kept],
        usual.shape[series[kept], slots[kept]],
        alone=alone,
        ratio=ratio,
    )
    counts = found.counts[places[kept]]
    p_value, best = p_values(counts, rate[kept], clustering, of_interest=PAST_P_VALUE)
    rare = np.flatnonzero(p_value <= PAST_P_VALUE)
    kept, best = kept[rare], best[rare]
    return JudgedStarts(
        place=places[kept],
        p_value=p_value[rare],
        size=counts[rare, best],
        expected=expected[kept, best],
        rate=rate[kept],
        live=np.full(len(kept), usual.live),
    )


def _cells_of_windows(found: StartSeries, cells: HourCells, rare: JudgedStarts) -> tuple[Ints, Ints, Ints]:
    """Return day, series and hour of the day of the cells that the windows touch."""
    first = found.at[rare.place - rare.size + 1] // MICROSECONDS
    last = found.at[rare.place] // MICROSECONDS
    # A window is at most two hours long: it touches three hours.
    touched = cells.cell_of(np.minimum(first[:, None] + np.arange(3), last[:, None])).reshape(-1)
    series = np.repeat(found.series[rare.place], 3)
    key = np.unique(series * (cells.day_count * HOURS) + touched)
    cell = key % (cells.day_count * HOURS)
    return cell // HOURS, key // (cells.day_count * HOURS), cell % HOURS
