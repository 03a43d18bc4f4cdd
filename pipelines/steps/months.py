"""What monthly tables share: a month is the partition of its first business day; once closed its rows stay."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from models.schemas import table
from pipelines.project import Project
from pipelines.steps.base import Read, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.outdated import changed_rows

LONGEST_MONTH = timedelta(days=30)
"""How far from the first day of a month its last one lies."""
_CLOSED = """
SELECT closed_from FROM ops.closed_periods WHERE reopened_at IS NULL
"""


def whole_months(window: Window, _project: Project) -> Window:
    """A day belongs to the month that its first day holds."""
    return Window.of_days(
        window.from_on.replace(day=1), window.to_on, now=window.now, time_zone=window.time_zone
    )


def of_the_month(dotted: str) -> Read:
    """Return the reading of a table over the whole month that a first day stands for."""
    return Read(dotted, after=LONGEST_MONTH)


def months_of(window: Window) -> list[date]:
    """Return the first day of every month that begins in a window."""
    return [on for on in window.days if on.day == 1]


def month_after(month_on: date) -> date:
    """Return the first day of the next month."""
    return (month_on + LONGEST_MONTH + timedelta(days=2)).replace(day=1)


def closed_months(inputs: Inputs) -> list[date]:
    """Return the first days of the closed months."""
    return sorted(inputs.query(_CLOSED).get_column("closed_from").to_list())


def settled(inputs: Inputs, dotted: str, months: list[date]) -> tuple[list[date], pl.DataFrame]:
    """Return which months are still to be computed, and the rows of a monthly table that stay because they are closed.

    A closed month without rows (it was closed before there was this table) is computed once.
    """
    column = str(table(dotted).partition)
    kept = inputs.query(
        f"FROM {dotted} WHERE list_contains($months::DATE[], {column})",
        {"months": [on for on in closed_months(inputs) if on in months]},
    )
    there = set(kept.get_column(column))
    rows = table(dotted).conform(kept.lazy(), fill=True).collect()
    return [on for on in months if on not in there], rows


def moved_by(dotted: str, *names: str) -> Callable[..., list[datetime | date]]:
    """Return a function that tells which partitions of a monthly table changed rows of reference tables move: all."""

    def moved(con: duckdb.DuckDBPyConnection, frames: Mapping[str, pl.DataFrame]) -> list[datetime | date]:
        con.execute("USE nanodollar")
        for name in names:
            con.register(f"new_{name}", frames[f"ref.{name}"])
        if not any(con.execute(f"{changed_rows(name)} LIMIT 1").fetchall() for name in names):
            return []
        found = con.execute(
            "SELECT partition_key::DATE FROM ops.partitions WHERE table_name = ? ORDER BY 1", [dotted]
        ).fetchall()
        return [on for (on,) in found]

    return moved


def known_until(inputs: Inputs, window: Window) -> date | None:
    """Return the last business day that has ended and has any spend; what has not landed is no day without spend."""
    today = window.now.astimezone(ZoneInfo(window.time_zone)).date()
    last = inputs.query(
        "SELECT max(accrued_on) AS last_on FROM mart.spend_daily WHERE accrued_on < ?", [today]
    )
    found: date | None = last.item()
    return found
