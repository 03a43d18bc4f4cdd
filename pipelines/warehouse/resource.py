"""The Dagster resource through which assets read the lake and commit to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property

import duckdb
import polars as pl

from models.periods import HOUR
from pipelines.project import Project
from pipelines.warehouse.commit import Commit, committing
from pipelines.warehouse.connect import Lake

ROWS_AT_ONCE = 400_000
"""Request rows that one chunk of hours holds at most: memory is bounded by this, never by history."""


@dataclass(frozen=True)
class Warehouse:
    """The lake of one project."""

    project: Project
    on_progress: Callable[[str, str], None] | None = None

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.project)

    def watched_by(self, on_progress: Callable[[str, str], None]) -> "Warehouse":
        """Return this warehouse, telling another watcher how far it is."""
        watched = replace(self, on_progress=on_progress)
        watched.__dict__["lake"] = self.lake
        return watched

    def progress(self, step: str, note: str) -> None:
        """Tell whoever watches (the command line's progress bar) how far a step is."""
        if self.on_progress is not None:
            self.on_progress(step, note)

    def prepare(self) -> None:
        """Create the catalog and its tables where they are missing."""
        with self.lake.writing():
            pass

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a read-only session."""
        with self.lake.reading() as con:
            yield con

    @contextmanager
    def committing(
        self, *, run_id: str, job: str, read: tuple[int, datetime] | None = None
    ) -> Iterator[Commit]:
        """Yield a transaction of the committing room.

        Args:
            run_id: run that it is booked to.
            job: what the run does.
            read: the snapshot that was read for it and when, where that is not done within the block.
        """
        with committing(self.lake, self.project, run_id=run_id, job=job, read=read) as commit:
            yield commit

    def chunks(self, from_hour: datetime, to_hour: datetime) -> list[tuple[datetime, datetime]]:
        """Cut a range of hours into chunks of at most `ROWS_AT_ONCE` records (an hour at the least)."""
        with self.reading() as con:
            counts = dict(
                con.execute(
                    "SELECT touched_hour, sum(record_count)::BIGINT FROM ops.file_hours "
                    "WHERE touched_hour >= ? AND touched_hour < ? GROUP BY ALL",
                    [from_hour, to_hour],
                ).fetchall()
            )
        chunks: list[tuple[datetime, datetime]] = []
        start, rows, hour = from_hour, 0, from_hour
        while hour < to_hour:
            count = counts.get(hour, 0)
            if rows and rows + count > ROWS_AT_ONCE:
                chunks.append((start, hour))
                start, rows = hour, 0
            rows += count
            hour += HOUR
        chunks.append((start, to_hour))
        return chunks


def hours_between(from_hour: datetime, to_hour: datetime) -> list[datetime]:
    """Return every hour of a half-open range."""
    return [from_hour + HOUR * step for step in range(int((to_hour - from_hour) / HOUR))]


def days_between(from_on: date, to_on: date) -> list[date]:
    """Return every date of a half-open range."""
    return [from_on + timedelta(days=step) for step in range((to_on - from_on).days)]


def frame(con: duckdb.DuckDBPyConnection, query: str, parameters: object = None) -> pl.DataFrame:
    """Run a query and return its rows as a Polars frame."""
    return con.execute(query, parameters).pl()
