"""Hours as cells of business day x hour of day, in which rhythms repeat; in most zones a UTC hour is one cell."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from models.periods import business_day_bounds

HOURS = 24
MICROSECONDS = 3_600_000_000
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class HourCells:
    """UTC hours that begin on the business days of a range.

    Attributes:
        first_hour: hours since 1970 of the first.
        cell: per UTC hour: 24 x day number + hour of the day by the local clock. A clock that is set back has two
            UTC hours in one cell, one that is set forward none.
        day_count: business days.
    """

    first_hour: int
    cell: Ints
    day_count: int

    def exposure(self, *, since: int) -> Floats:
        """Return the UTC hours from one on (since 1970) that each cell has, as days x 24."""
        cells = self.cell[max(since - self.first_hour, 0) :]
        hours = np.bincount(cells, minlength=self.day_count * HOURS).reshape(self.day_count, HOURS)
        return hours.astype(np.float64)

    def cell_of(self, hour: Ints) -> Ints:
        """Return the cells of UTC hours since 1970; those before the first have the first cell."""
        return self.cell[np.maximum(hour - self.first_hour, 0)]


def hour_cells(*, from_on: date, to_on: date, time_zone: str) -> HourCells:
    """Return the cells of the business days in [from_on, to_on)."""
    first, last = (
        -int(-business_day_bounds(day, time_zone=time_zone)[0].timestamp() // 3600)
        for day in (from_on, to_on)
    )
    hours = pl.Series("at", np.arange(first, last, dtype=np.int64) * MICROSECONDS)
    local = hours.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(time_zone)
    epoch_day = (from_on - date(1970, 1, 1)).days
    cell = (local.dt.date().cast(pl.Int64) - epoch_day) * HOURS + local.dt.hour().cast(pl.Int64)
    return HourCells(first_hour=first, cell=cell.to_numpy(), day_count=(to_on - from_on).days)
