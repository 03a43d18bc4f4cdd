"""Slots of time (UTC hours cut at business days) and the exact splitting of a whole into parts."""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from models.periods import business_day_of, cut_points, hour_of

MICROSECONDS_PER_HOUR = 3_600_000_000


def slots(*, from_hour: datetime, to_hour: datetime, time_zone: str) -> pl.DataFrame:
    """Return the window's slots in order: `slot, slot_started_at, slot_ended_at, hour, accrued_on`.

    A slot is a UTC hour, or the part of one on either side of a business day's start.
    """
    points = cut_points(from_hour, to_hour, time_zone=time_zone)
    instants = pl.Series("slot_started_at", points, dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame({"slot_started_at": instants[:-1], "slot_ended_at": instants[1:]}).select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("slot"),
        "slot_started_at",
        "slot_ended_at",
        hour_of(pl.col("slot_started_at")).alias("hour"),
        business_day_of(pl.col("slot_started_at"), time_zone=time_zone).alias("accrued_on"),
    )


def microseconds(instant: pl.Expr) -> pl.Expr:
    """Return an instant as Int64 microseconds since 1970."""
    return instant.dt.timestamp("us")


def half_even_parts(
    amounts: npt.NDArray[np.int64], parts: npt.NDArray[np.int64], wholes: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return amount x part / whole, rounded half to even, in 64 bits: the dividends may have 128.

    A quotient of doubles is off by at most its 2**-51. What it leaves of the dividend is then below
    amount x whole x 2**-51, which 64 bits hold though the product wrapped, and divides exactly.

    Args:
        amounts: not negative.
        parts: from 0 to the whole.
        wholes: above 0; amount x whole is below 2**113.
    """
    quotients = (amounts * (parts / wholes)).astype(np.int64)
    left = amounts * parts - quotients * wholes
    more, left = np.divmod(left, wholes)
    quotients += more
    left *= 2
    quotients += (left > wholes) | ((left == wholes) & (quotients % 2 == 1))
    return quotients
