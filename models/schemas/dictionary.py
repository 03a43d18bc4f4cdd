"""The data dictionary as Markdown, derived from the tables; `make docs` writes docs/data_dictionary.md."""

from models.schemas import tables
from models.schemas.base import Table, duckdb_type
from models.schemas.macros import macros
from models.schemas.start_here import start_here

_HEAD = """\
# Data dictionary

Every table of the warehouse, its grain, key and columns. Generated from `models/schemas` by `make docs`; the same
comments are in the catalog (`SELECT comment FROM duckdb_columns()`). Units are in the suffix: `_usd` is exact
DECIMAL, `_at` and `_hour` are UTC instants, `_on` is a business date, `_ratio` and `_per_mtok` are never summed. DuckDB
shows and cuts instants in the zone of your session: `SET TimeZone = 'UTC'` first, or write `AT TIME ZONE 'UTC'`.
What is not known is NULL and counted, never 0. Questions with their queries are in the [cookbook](cookbook.md).
"""
_START = """\
## Start here

Sum what adds up and divide the sums: never sum or average a ratio, a rate or a percentile. A period is a condition on the
business date, `accrued_on BETWEEN '2026-11-01' AND '2026-11-30'`.

| You want to know | Look in | Mind |
|---|---|---|
"""
_MACROS = """\
## Macros

The same in the lake and in the published file; one that returns a table stands after FROM.

| Macro | Returns | Meaning |
|---|---|---|
"""


def data_dictionary() -> str:
    """Return the dictionary of every table, in name order."""
    return "\n".join([_HEAD, _start(), _macros(), *(_section(table) for table in tables().values())])


def _start() -> str:
    links = {name: f"#{name.replace('.', '')}" for name in tables()}
    return _START + "".join(
        f"| {_cell(pointer.question)} | [{pointer.look}]({links.get(pointer.look, '#macros')}) "
        f"| {_cell(pointer.mind)} |\n"
        for pointer in start_here()
    )


def _macros() -> str:
    return _MACROS + "".join(
        f"| `{macro.call}` | {'a table' if macro.is_table else 'a value'} | {_cell(macro.meaning)} |\n"
        for macro in macros()
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _section(table: Table) -> str:
    kind = "View" if table.select is not None else "Table"
    lines = [f"## {table.dotted}", "", f"{kind}. {table.grain}. Key: `{', '.join(table.key)}`."]
    if table.partition is not None:
        lines.append(f"Replaced by `{table.partition}`.")
    if table.overlaps is not None:
        lines.append(f"Sums: {table.overlaps}")
    lines += ["", "| Column | Type | Required | Meaning |", "|---|---|---|---|"]
    for column in table.columns:
        words = f" ({', '.join(column.one_of)})" if column.one_of else ""
        comment = _cell(f"{column.comment}{words}")
        required = "yes" if column.required else ""
        lines.append(f"| `{column.name}` | {duckdb_type(column.dtype)} | {required} | {comment} |")
    return "\n".join([*lines, ""])
