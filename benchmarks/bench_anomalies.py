"""Minutes from the onset of a planted rise in spend to the first judgement that tells it, by its size.

Ten weeks of hourly spend of a fleet that is busy by day and on weekdays, with a tenth of noise. At an hour of the last
week spend rises to a multiple, until the end of its day. It is told when an hour has closed and what the day has cost
so far lies above the range of the whole day (`spend_so_far_is_usual`), else when the day is built after its end
(`mart.spend_anomalies`). The peer is the day's judgement alone, as finance tools make it.
"""

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ONSETS = 60
_DAYS = 70
_LAST = date(2026, 11, 18)
_MULTIPLES = (1.5, 2.0, 3.0, 5.0, 10.0)
_HOUR_CLOSES, _DAY_IS_BUILT = 5, 90
"""Minutes after the end of an hour, and of a day, at which the schedules judge it."""


def main() -> None:
    """Print a row a multiple: how many were told on their day, and the minutes to it."""
    import numpy as np

    print(
        f"Minutes to detect a planted rise, {ONSETS} onsets each (median, 90 % within; the day's judgement alone):"
    )
    for multiple in _MULTIPLES:
        rng = np.random.default_rng(17)
        waits, alone, same_day, found = [], [], 0, 0
        for _ in range(ONSETS):
            onset = int(rng.integers(0, 24))
            day = _LAST - timedelta(days=int(rng.integers(0, 7)))
            hours = _spend(rng, day)
            for hour in range(onset, 24):
                hours[day][hour] *= multiple
            told = _told_at(hours, day, onset)
            by_day = (24 - onset) * 60 + _DAY_IS_BUILT if _is_unusual(hours, day, 24) else None
            if by_day is not None:
                alone.append(by_day)
            if told is not None:
                same_day += 1
            wait = told if told is not None else by_day
            if wait is not None:
                found += 1
                waits.append(wait)
        print(
            f"  x{multiple:<4}: told on the first day {found}/{ONSETS}, before its end {same_day}/{ONSETS}; "
            f"{np.median(waits):.0f} and {np.quantile(waits, 0.9):.0f} minutes "
            f"({np.median(alone):.0f} and {np.quantile(alone, 0.9):.0f})"
        )


def _spend(rng: "np.random.Generator", last: date) -> dict[date, list[float]]:
    days = {}
    for back in range(_DAYS):
        on = last - timedelta(days=back)
        level = (100.0 if on.weekday() < 5 else 30.0) * (1 + 0.1 * rng.standard_normal())
        shape = [0.4 if hour < 7 or hour > 20 else 1.5 for hour in range(24)]
        days[on] = [level * part / sum(shape) for part in shape]
    return days


def _told_at(hours: dict[date, list[float]], day: date, onset: int) -> int | None:
    """Return the minutes from the onset until an hour has closed after which the day costs too much."""
    for hour in range(onset, 24):
        if _is_unusual(hours, day, hour + 1):
            return (hour + 1 - onset) * 60 + _HOUR_CLOSES
    return None


def _is_unusual(hours: dict[date, list[float]], day: date, until: int) -> bool:
    import polars as pl

    from models.finance.anomalies import unusual_days
    from models.money import USD

    daily = pl.DataFrame(
        [
            {
                "scope_kind": "total",
                "scope": "total",
                "accrued_on": on,
                "usd": Decimal(f"{sum(spent[:until] if on == day else spent):.6f}"),
            }
            for on, spent in hours.items()
        ],
        schema={"scope_kind": pl.String, "scope": pl.String, "accrued_on": pl.Date, "usd": USD},
    )
    rows = unusual_days(daily, first=day, last=day + timedelta(days=1))
    return not rows.filter(pl.col("spend_usd") > pl.col("high_usd")).is_empty()
