"""The figures of business days, by a few queries over the marts: one pass for all days of a run.

One query a file of `daily_figures/`, each with the day as `day_on`. Not here: words, plots, HTML. Sums are made by SQL
on exact decimals, so the rows of a table sum to its total.
"""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from models.periods import business_day_bounds

Row = dict[str, Any]
Rows = list[Row]

PLOTTED_DAYS = 14
BIN_SECONDS = 600
_AT_MOST = {"groups_at_most": 12, "fixes_at_most": 10, "worst_at_most": 10}
"""Rows of a table before the rest is folded into one (or left out, of the worst)."""


def figures(
    con: duckdb.DuckDBPyConnection,
    days: Sequence[date],
    *,
    time_zone: str,
    only: Collection[str] | None = None,
) -> dict[date, dict[str, Rows]]:
    """Read everything that the daily reports of a range say.

    Args:
        con: a session in which the warehouse's schemas are the current ones.
        days: business days, in order and without a gap.
        time_zone: IANA zone in which days are cut.
        only: names of the queries to ask; by default all.

    Returns:
        Rows by day and by name of the query. `spend_by_day` holds the `PLOTTED_DAYS` days up to the day.
    """
    bounds = [business_day_bounds(day, time_zone=time_zone) for day in days]
    parameters = _AT_MOST | {
        "days": days,
        "starts_at": [starts_at for starts_at, _ in bounds],
        "ends_at": [ends_at for _, ends_at in bounds],
        "from_on": days[0],
        "to_on": days[-1] + timedelta(days=1),
        "plotted_from": days[0] - timedelta(days=PLOTTED_DAYS - 1),
        "bin_seconds": BIN_SECONDS,
    }
    files = sorted(
        file
        for file in Path(__file__).with_name("daily_figures").glob("*.sql")
        if only is None or file.stem in only
    )
    found: dict[date, dict[str, Rows]] = {day: {file.stem: [] for file in files} for day in days}
    # In one transaction the figures are of one instant, also while a run writes.
    con.begin()
    try:
        for file in files:
            for row in _rows(con, file.read_text(encoding="utf-8"), parameters):
                for later in range(PLOTTED_DAYS if file.stem == "spend_by_day" else 1):
                    on = row["day_on"] + timedelta(days=later)
                    if on in found:
                        found[on][file.stem].append(row)
    finally:
        con.rollback()
    return found


def _rows(con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any]) -> Rows:
    cursor = con.execute(query, {name: value for name, value in parameters.items() if f"${name}" in query})
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
