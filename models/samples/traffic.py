"""When calls come and how long they are: day and week rhythm, token lengths, ids. Not who serves them."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from models.samples.lanes import Mixture

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MICROSECONDS_PER_HOUR = 3_600_000_000
_WEEK = np.array([1.1, 1.15, 1.15, 1.1, 1.0, 0.45, 0.4])
"""Weight of Monday to Sunday."""
_DAY = np.array(
    [2, 1.5, 1.2, 1, 1, 1.3, 2, 3.5, 5.5, 7.5, 8.5, 8.5, 7.5, 8, 8.5, 8, 7.5, 6.5, 5, 4.2, 3.8, 3.4, 3, 2.5]
)
"""Weight of the UTC hours of a day."""


def generator(seed: int, day: int, part: int) -> np.random.Generator:
    """Return the random numbers of one part of one day (day 0 is the one before the first)."""
    return np.random.default_rng([seed, day, part])


def load_of(day: date, hour: int) -> float:
    """Return how busy a UTC hour is, from 0 to 1 in the busiest hour of the week."""
    return float(_DAY[hour] / _DAY.max() * _WEEK[day.weekday()] / _WEEK.max())


def calls_per_day(starts_on: date, *, days: int, requests_per_day: int) -> list[int]:
    """Split `days * requests_per_day` calls over the days by the week's rhythm; they sum exactly."""
    weights = np.array([_WEEK[(starts_on + timedelta(days=day)).weekday()] for day in range(days)])
    ends = np.rint(np.cumsum(weights) / weights.sum() * days * requests_per_day).astype(np.int64)
    return [int(count) for count in np.diff(ends, prepend=0)]


def microseconds_of(instant: datetime) -> int:
    """Return the microseconds since the epoch of an aware instant."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def call_times(rng: np.random.Generator, count: int, *, day: date, until_hour: float = 24.0) -> Ints:
    """Return `count` sorted instants of a day in microseconds since the epoch, busiest at noon."""
    hours = np.arange(24)
    room = np.clip(until_hour - hours, 0.0, 1.0)
    weights = _DAY * room
    hour = rng.choice(hours, size=count, p=weights / weights.sum())
    offset = (hour + rng.random(count) * room[hour]) * MICROSECONDS_PER_HOUR
    # Logs keep milliseconds: what is planted is what can be read back.
    times: Ints = microseconds_of(midnight(day)) + offset.astype(np.int64) // 1000 * 1000
    times.sort()
    return times


def lengths(rng: np.random.Generator, count: int, mixture: Mixture, *, at_most: int) -> Ints:
    """Draw token counts from a lognormal mixture, at least 1; none at all where it has no component."""
    if not mixture:
        return np.zeros(count, dtype=np.int64)
    weights, medians, sigmas = (np.array(values) for values in zip(*mixture, strict=True))
    component = rng.choice(len(weights), size=count, p=weights)
    drawn = medians[component] * np.exp(sigmas[component] * rng.standard_normal(count))
    counts: Ints = np.clip(drawn, 1, at_most).astype(np.int64)
    return counts


def hex_ids(rng: np.random.Generator, count: int, *, digits: int) -> pl.Series:
    """Return `count` random hexadecimal strings."""
    raw = rng.bytes(count * digits // 2).hex().encode()
    return pl.Series("id", np.frombuffer(raw, dtype=f"S{digits}"), dtype=pl.Binary).cast(pl.String)


def uuids(rng: np.random.Generator, count: int) -> pl.Series:
    """Return `count` random ids that look like UUIDs of version 4."""
    if count == 0:
        return pl.Series("id", [], dtype=pl.String)
    digits = pl.col("id").str
    spelled = pl.format(
        "{}-{}-4{}-8{}-{}", digits.slice(0, 8), digits.slice(8, 4), digits.slice(13, 3), digits.slice(17, 3),
        digits.slice(20, 12),
    )  # fmt: skip
    return pl.DataFrame({"id": hex_ids(rng, count, digits=32)}).select(spelled.alias("id"))["id"]


def instants(microseconds: Ints) -> pl.Series:
    """Return instants in UTC from microseconds since the epoch."""
    return pl.Series("at", microseconds).cast(pl.Datetime("us", "UTC"))
