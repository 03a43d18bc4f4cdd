"""Work off a chunk of hours or days: steps in order, each reading what the ones before have made, nothing committed.

A chunk is a function of what it reads. `Task` can be sent to another process or machine (pipelines/workers), which
opens the lake as it was at a snapshot; the one committing room takes what was made, in the order of the chunks.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from models.finance.restatements import Periods
from models.periods import HOUR, day_spans
from models.schemas import table
from pipelines.project import Project
from pipelines.steps import steps
from pipelines.steps.base import Frames, Grain, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.lives import first_running
from pipelines.warehouse.closed import closed_periods
from pipelines.warehouse.commit import Commit
from pipelines.warehouse.staged import PartitionValue


@dataclass(frozen=True)
class Task:
    """A chunk: which steps, of which window.

    Attributes:
        ahead: rows that steps before this chunk have made of the whole range, of which it is a part.
        range: that range.
        snapshot: the lake that it reads; then no chunk before it needs to be committed. None: the lake as it is.
        due: of a chunk of days, which of them each step computes. None: all.
    """

    project: Project
    names: tuple[str, ...]
    window: Window
    ahead: Frames = field(default_factory=dict)
    range: Window | None = None
    snapshot: int | None = None
    due: Mapping[str, Sequence[date]] | None = None

    def parts(self, step: Step) -> list[Window]:
        """Return the windows that a step replaces, in order and apart from each other."""
        if self.due is None:
            return [step.window(self.window, self.project)]
        asked = [on for on in self.due.get(step.table, ()) if self.window.from_on <= on < self.window.to_on]
        now, zone = self.window.now, self.window.time_zone
        found: list[Window] = []
        for first, end in day_spans(asked):
            part = step.window(Window.of_days(first, end, now=now, time_zone=zone), self.project)
            if found and part.start <= found[-1].end:
                part = replace(part, start=found.pop().start)
            found.append(part)
        return found


@dataclass(frozen=True)
class ReplacedRows:
    """The new rows of partitions of a table."""

    table: str
    rows: pl.DataFrame
    partitions: Sequence[PartitionValue]


@dataclass(frozen=True)
class ChunkResult:
    """What a chunk has made: partitions to replace, and corrections of closed periods to append."""

    replaced: list[ReplacedRows] = field(default_factory=list)
    adjustments: list[pl.DataFrame] = field(default_factory=list)

    def commit_to(self, commit: Commit) -> None:
        """Hand it to a transaction."""
        for one in self.replaced:
            commit.replace(one.table, one.rows, partitions=one.partitions)
        for rows in self.adjustments:
            commit.append("core.adjustments", rows)

    def row_counts(self) -> dict[str, int]:
        """Return the rows made of each table."""
        return {one.table: one.rows.height for one in self.replaced}


def compute(con: duckdb.DuckDBPyConnection, task: Task) -> ChunkResult:
    """Compute the steps of a chunk.

    Args:
        con: a session of its own on the lake, for reading.
        task: the chunk.
    """
    project, made = task.project, ChunkResult()
    # All that a chunk reads is of one snapshot, which DuckLake then looks up once.
    con.execute("BEGIN")
    closed = closed_periods(con, project)
    inputs = Inputs(con, project)
    for dotted, rows in task.ahead.items():
        inputs.hold(dotted, rows, task.range or task.window)
    before = _hold_unbuilt(inputs, task)
    try:
        for name, step in steps().items():
            if name not in task.names:
                continue
            parts = task.parts(step)
            by_part: list[Frames] = []
            for window in parts:
                frames = _slices(task.ahead, step, window) or made_by(step, inputs, window)
                if step.restate is not None and closed:
                    frames = {name: _restated(step, inputs, window, frames[name], closed, made)}
                by_part.append(frames)
            for dotted in by_part[0] if by_part else ():
                rows = pl.concat([frames[dotted] for frames in by_part])
                if before is not None and dotted == _CARRIED:
                    hours = replace(task.window, start=before.start)
                    carried = inputs.rows(dotted, before.start, before.end)
                    inputs.hold(dotted, pl.concat([carried, rows]), hours)
                elif dotted not in task.ahead:
                    inputs.hold(dotted, rows, *parts)
                partitions = [
                    key
                    for window in parts
                    for key in (window.hours if step.grain == "hourly" else window.days)
                ]
                made.replaced.append(ReplacedRows(dotted, rows, partitions))
    finally:
        con.execute("ROLLBACK")
        inputs.close()
    return made


_CARRIED = "core.requests"
"""What runs on into the hours of the next chunk."""


def _hold_unbuilt(inputs: Inputs, task: Task) -> Window | None:
    """Make the attempts of earlier chunks that may run into this one, where they are not in the lake that it reads."""
    if task.snapshot is None or task.range is None or _CARRIED not in task.names:
        return None
    first = first_running(inputs, task.window, since=task.range.start)
    if first is None or first >= task.window.start:
        return None
    before = replace(task.window, start=first, end=task.window.start)
    inputs.hold(_CARRIED, made_by(steps()[_CARRIED], inputs, before)[_CARRIED], before)
    return before


def computed_ahead(con: duckdb.DuckDBPyConnection, task: Task) -> Frames:
    """Return the rows of the steps that must know the whole range before its chunks are worked off."""
    inputs = Inputs(con, task.project)
    found: Frames = {}
    for name, step in steps().items():
        if name in task.names and step.is_computed_ahead:
            found |= made_by(step, inputs, task.window)
    return found


def made_by(step: Step, inputs: Inputs, window: Window) -> Frames:
    """Compute one step; its rows have the columns of their tables."""
    if step.compute is None:
        raise TypeError(f"The step of {step.table} has no compute().")
    frames = step.compute(inputs, window)
    # What a chunk holds is in memory; to stream it would copy it.
    return {
        dotted: table(dotted).conform(rows.lazy()).collect(engine="in-memory")
        for dotted, rows in frames.items()
    }


def _slices(ahead: Frames, step: Step, window: Window) -> Frames:
    """Return what was computed ahead of a step's window."""
    if step.table not in ahead:
        return {}
    return {
        dotted: ahead[dotted].filter(
            pl.col(str(table(dotted).partition)).is_between(window.start, window.end, closed="left")
        )
        for dotted in step.tables
    }


def _restated(
    step: Step,
    inputs: Inputs,
    window: Window,
    rows: pl.DataFrame,
    closed: Periods,
    made: ChunkResult,
) -> pl.DataFrame:
    """Leave the rows of closed periods as they stand, and book what they should be as corrections."""
    if step.restate is None:
        return rows
    restated = step.restate(
        inputs.stored(step.table, window.start, window.end),
        rows,
        inputs.query(
            "FROM core.adjustments WHERE accrued_hour >= $start AND accrued_hour < $end", window.span
        ),
        closed=closed,
        booked_on=window.now.astimezone(ZoneInfo(window.time_zone)).date(),
    )
    made.adjustments.append(restated.adjustments)
    return restated.rows


ROWS_AT_ONCE: dict[Grain, int] = {"hourly": 300_000, "daily": 2_000_000}
"""Landed records that one chunk holds at most: memory is bounded by this, never by history."""


def chunks(
    con: duckdb.DuckDBPyConnection,
    window: Window,
    grain: Grain,
    *,
    workers: int = 1,
    days: Collection[date] | None = None,
) -> list[Window]:
    """Cut a window into chunks of at most `ROWS_AT_ONCE` records (an hour or a day at the least).

    Args:
        con: session on the lake.
        window: the range.
        grain: what it is cut by.
        workers: how many chunks are held at the same time, which share the memory of one.
        days: those that are computed of a window of days; the others count for nothing. None: all.
    """
    counts: dict[datetime, int] = dict(
        con.execute(
            "SELECT touched_hour, sum(record_count)::BIGINT FROM ops.file_hours "
            "WHERE touched_hour >= ? AND touched_hour < ? GROUP BY ALL",
            [window.start - HOUR, window.end],
        ).fetchall()
    )
    left_out: set[datetime] = set()
    if grain == "hourly":
        edges = [*window.hours, window.end]
    else:
        starts = {
            Window.of_days(on, on, now=window.now, time_zone=window.time_zone).start: on for on in window.days
        }
        edges = [*starts, window.end]
        left_out = {start for start, on in starts.items() if days is not None and on not in days}
    hours = sorted(counts)
    found: list[Window] = []
    start, rows, place = window.start, 0, 0
    for first, last in pairwise(edges):
        count = 0
        while place < len(hours) and hours[place] < last:
            count += counts[hours[place]]
            place += 1
        if first in left_out:
            continue
        if rows and rows + count > ROWS_AT_ONCE[grain] // workers:
            found.append(Window(start, first, window.now, window.time_zone))
            start, rows = first, 0
        rows += count
    found.append(Window(start, window.end, window.now, window.time_zone))
    return found
