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

from pipelines.project import Project, find_project
from pipelines.samples import write_fleet
from pipelines.warehouse.connect import connect_read_only
from tests.pipelines.small import nanodollar, write_lines

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


EARLIER = """
[[sources]]
name = "archive"                       # a few calls of October, and one at a price that had changed
kind = "requests"
path = "landing/archive/*.jsonl"

[sources.columns]
tenant = { value = "harbor" }

[[sources]]
name = "openai_bill"                   # and the bill of that month
kind = "invoice_lines"
path = "landing/openai_bill/*.csv"

[sources.columns]
invoice_issuer_name = { value = "OpenAI" }
provider = { value = "openai" }
model = { value = "gpt-5-mini" }
currency = { value = "USD" }
"""
BILL = """\
invoice_id,token_class,consumed_quantity,billed_cost,charge_period_start,charge_period_end
INV-10,input_uncached,2100000,0.63,2026-10-31T00:00:00Z,2026-11-01T00:00:00Z
INV-10,output,210000,0.42,2026-10-31T00:00:00Z,2026-11-01T00:00:00Z
"""


def build_sample(folder: Path) -> Project:
    """Build the fleet that the page speaks of: two days of the sample fleet, and a closed month before with its bill.

    A row of the closed month came late, and the log of that month states costs of its own.
    """
    write_fleet(folder, days=2, requests_per_day=200)
    settings = folder / "nanodollar.toml"
    text = settings.read_text(encoding="utf-8").replace("start_on = 2026-11-02", "start_on = 2026-10-31")
    settings.write_text(text + EARLIER, encoding="utf-8")
    bill = folder / "landing/openai_bill/october.csv"
    bill.parent.mkdir()
    bill.write_text(BILL, encoding="utf-8")
    write_lines(folder / "landing/archive/october.jsonl", [_october(hour) for hour in range(9, 13)])
    changed = {"provider": "example_ai", "served_model": "sample-chat-1"}
    write_lines(folder / "landing/archive/november.jsonl", [_call("2026-11-03T10:00:00Z", **changed)])
    nanodollar(folder, "run")
    nanodollar(folder, "close", "2026-10")
    write_lines(folder / "landing/archive/late.jsonl", [_october(13)])
    nanodollar(folder, "run")
    return find_project(folder)


def _october(hour: int) -> dict[str, Any]:
    openai = {"provider": "openai", "served_model": "gpt-5-mini"}
    return _call(f"2026-10-31T{hour:02}:00:00Z", **openai, provider_reported_cost_usd=0.2)


def _call(at: str, **fields: Any) -> dict[str, Any]:
    return {
        "request_id": f"archive-{at}", "started_at": at, "finished_at": at, "input_uncached_tokens": 500_000,
        "output_text_tokens": 50_000, "status": "ok",
    } | fields  # fmt: skip


def main() -> None:
    """Build the sample that the page speaks of, and write the answers."""
    with (
        tempfile.TemporaryDirectory() as folder,
        connect_read_only(build_sample(Path(folder) / "fleet")) as con,
    ):
        write_answers(con)


if __name__ == "__main__":
    main()
