"""Time: UTC instants in microseconds, UTC hours, and business days in the reporting zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

HOUR = timedelta(hours=1)
SPAN_GAP = timedelta(hours=6)
"""Stale hours closer than this are one run; hours that are fresh in between cost less than a second run."""


def hour_of(instant: pl.Expr) -> pl.Expr:
    """Return the UTC hour that an instant lies in."""
    return instant.dt.truncate("1h")


def business_day_of(instant: pl.Expr, *, time_zone: str) -> pl.Expr:
    """Return the business date of a UTC instant in the reporting zone."""
    return instant.dt.convert_time_zone(time_zone).dt.date()


def business_day_bounds(day: date, *, time_zone: str) -> tuple[datetime, datetime]:
    """Return the UTC instants at which a business day starts (inclusive) and ends (exclusive)."""
    zone = ZoneInfo(time_zone)
    starts_at = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    following = day + timedelta(days=1)
    ends_at = datetime(following.year, following.month, following.day, tzinfo=zone).astimezone(UTC)
    return starts_at, ends_at


def floor_hour(instant: datetime) -> datetime:
    """Return the start of the UTC hour that an aware instant lies in."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def cut_points(starts_at: datetime, ends_at: datetime, *, time_zone: str) -> list[datetime]:
    """Return every instant in [starts_at, ends_at] at which accruals are cut: UTC hours and business days.

    Both ends are included. A +05:30 day begins inside an hour, so that hour has a third point.
    """
    points = {starts_at, ends_at}
    hour = floor_hour(starts_at) + HOUR
    while hour < ends_at:
        points.add(hour)
        hour += HOUR
    day = starts_at.astimezone(ZoneInfo(time_zone)).date()
    while (start := business_day_bounds(day, time_zone=time_zone)[0]) < ends_at:
        if start > starts_at:
            points.add(start)
        day += timedelta(days=1)
    return sorted(points)


def spans(hours: list[datetime]) -> list[tuple[datetime, datetime]]:
    """Join hours into half-open ranges, over gaps of a few hours."""
    found: list[tuple[datetime, datetime]] = []
    for hour in hours:
        if found and hour - found[-1][1] <= SPAN_GAP:
            found[-1] = (found[-1][0], hour + HOUR)
        else:
            found.append((hour, hour + HOUR))
    return found


def day_spans(days: list[date]) -> list[tuple[date, date]]:
    """Join dates into half-open ranges."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day == found[-1][1]:
            found[-1] = (found[-1][0], day + timedelta(days=1))
        else:
            found.append((day, day + timedelta(days=1)))
    return found
