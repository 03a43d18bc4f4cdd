"""What a computed table is declared by: what it reads, how far, and how a closed period of it is corrected."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from models.finance.restatements import Restated
from models.periods import HOUR, business_day_bounds
from models.schemas import table
from pipelines.project import Project

if TYPE_CHECKING:
    from pipelines.steps.inputs import Inputs

Frames = dict[str, pl.DataFrame]
"""Rows by table, such as `core.requests`."""
Grain = Literal["hourly", "daily"]
NOTHING = timedelta(0)


@dataclass(frozen=True)
class Window:
    """The range [start, end) that a step computes, and what it takes for now.

    Hourly steps have whole UTC hours, daily ones whole business days of the reporting zone.
    """

    start: datetime
    end: datetime
    now: datetime
    time_zone: str

    @staticmethod
    def of_days(from_on: date, to_on: date, *, now: datetime, time_zone: str) -> "Window":
        """Return the window of the business days [from_on, to_on)."""
        start, end = (business_day_bounds(day, time_zone=time_zone)[0] for day in (from_on, to_on))
        return Window(start, end, now, time_zone)

    @property
    def from_on(self) -> date:
        """The first business day."""
        return self.start.astimezone(ZoneInfo(self.time_zone)).date()

    @property
    def to_on(self) -> date:
        """The business day after the last."""
        return self.end.astimezone(ZoneInfo(self.time_zone)).date()

    @property
    def hours(self) -> list[datetime]:
        """Every hour of the window."""
        return [self.start + HOUR * step for step in range(int((self.end - self.start) / HOUR))]

    @property
    def days(self) -> list[date]:
        """Every business day of the window."""
        return [self.from_on + timedelta(days=step) for step in range((self.to_on - self.from_on).days)]

    @property
    def span(self) -> dict[str, datetime]:
        """The bounds as parameters `$start` and `$end` of a query."""
        return {"start": self.start, "end": self.end}


@dataclass(frozen=True)
class Read:
    """A table that a step reads, and how far before and after its own hour or business day."""

    table: str
    before: timedelta | Callable[[Project], timedelta] = NOTHING
    after: timedelta | Callable[[Project], timedelta] = NOTHING

    def reach(self, project: Project) -> tuple[timedelta, timedelta]:
        """Return how far the step reads before and after."""
        before, after = (side(project) if callable(side) else side for side in (self.before, self.after))
        return before, after


Outdated = Callable[[duckdb.DuckDBPyConnection, Mapping[str, pl.DataFrame]], list[datetime | date]]
"""Which partitions new reference tables put out of date: takes a session on the lake as it was, and the new rows."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One computed table.

    Attributes:
        table: the table; its grain is that of its partition.
        reads: what it is computed from: tables of other steps, `raw` and `ref` tables.
        also: tables that the same computation fills.
        restate: how a closed period is corrected, instead of computed anew.
        outdated_by: what, besides changed input rows, puts partitions out of date.
        changed_beyond: of a daily step, a query of `on_day, snapshot`: which snapshot changed last what a business day
            reads beyond the reach of `reads`.
        covers: the window that it replaces when it is asked for another.
        is_computed_ahead: other steps read its rows of later hours; of a range that is worked off in chunks it is
            computed as a whole first.
        compute: reads and returns the rows of its tables; it never commits and never reads a clock.
    """

    table: str
    reads: tuple[Read | str, ...]
    also: tuple[str, ...] = ()
    restate: Callable[..., Restated] | None = None
    outdated_by: tuple[Outdated, ...] = ()
    changed_beyond: str | None = None
    covers: Callable[[Window, Project], Window] | None = None
    is_computed_ahead: bool = False
    compute: Callable[["Inputs", Window], Frames] | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """All tables that it fills."""
        return (self.table, *self.also)

    @property
    def grain(self) -> Grain:
        return grain_of(self.table)

    @property
    def is_monthly(self) -> bool:
        """Whether its rows of a month stand at the month's first business day, and other days have none."""
        return table(self.table).partition == "month_on"

    @property
    def inputs(self) -> tuple[Read, ...]:
        """What it reads, each with its reach."""
        return tuple(read if isinstance(read, Read) else Read(read) for read in self.reads)

    def window(self, window: Window, project: Project) -> Window:
        """Return the window that it replaces when it is asked for another."""
        return window if self.covers is None else self.covers(window, project)


@cache
def grain_of(dotted: str) -> Grain:
    """Return whether a table is partitioned by UTC hours or by business days."""
    schema = table(dotted)
    is_hourly = isinstance(schema.polars_schema[str(schema.partition)], pl.Datetime)
    return "hourly" if is_hourly else "daily"


def utc_midnight(instant: datetime) -> datetime:
    """Return the UTC midnight at or before an instant."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
