"""The cookbook: questions of docs/cookbook.md, each a query with its answer.

`python -m tests.cookbook` writes the answers anew.
"""

import re
import tempfile
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

PAGE = Path("docs/cookbook.md")
MOST_ROWS = 8
"""Rows of an answer that the page shows; the query limits itself, or the page says that there are more."""
_RECIPE = re.compile(
    r"^### (?P<question>[^\n]+)\n\n```sql\n(?P<sql>.*?)\n```\n\n```text\n(?P<answer>.*?)\n?```\n",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Recipe:
    """A question, its query and its answer as the page shows it."""

    question: str
    sql: str
    answer: str


def recipes() -> list[Recipe]:
    """Return the recipes of the page, in order."""
    return [Recipe(**found.groupdict()) for found in _RECIPE.finditer(PAGE.read_text(encoding="utf-8"))]


def answer(con: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Run a query and lay its rows out as text: money and rates with four digits, dates and instants in UTC."""
    relation = con.execute(sql.rstrip().removesuffix(";"))
    names = [column[0] for column in relation.description or []]
    rows = [[_shown(value) for value in row] for row in relation.fetchall()]
    more = len(rows) - MOST_ROWS
    table = [names, *rows[:MOST_ROWS]]
    widths = [max(len(row[place]) for row in table) for place in range(len(names))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    if not rows:
        lines.append("(no rows)")
    if more > 0:
        lines.append(f"({more} more)")
    return "\n".join(line.rstrip() for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, Decimal | float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.2f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def write_answers(con: duckdb.DuckDBPyConnection) -> None:
    """Write the answers of the page anew."""

    def written(found: re.Match[str]) -> str:
        text = found.group(0)
        start = text.index("```text\n") + len("```text\n")
        return f"{text[:start]}{answer(con, found['sql'])}\n```\n"

    PAGE.write_text(_RECIPE.sub(written, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def main() -> None:
    """Build the sample fleet that the page speaks of, and write the answers."""
    from pipelines.project import find_project
    from pipelines.samples import write_fleet
    from pipelines.warehouse.connect import connect_read_only
    from tests.pipelines.small import nanodollar

    with tempfile.TemporaryDirectory() as folder:
        write_fleet(Path(folder) / "fleet", days=2, requests_per_day=200)
        nanodollar(Path(folder) / "fleet", "run")
        with connect_read_only(find_project(Path(folder) / "fleet")) as con:
            write_answers(con)


if __name__ == "__main__":
    main()
