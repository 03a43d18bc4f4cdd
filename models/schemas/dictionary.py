"""The data dictionary as Markdown, derived from the tables; `make docs` writes docs/data_dictionary.md."""

from models.schemas import tables
from models.schemas.base import Table, duckdb_type

_HEAD = """\
# Data dictionary

Every table of the warehouse, its grain, key and columns. Generated from `models/schemas` by `make docs`; the same
comments are in the catalog (`SELECT comment FROM duckdb_columns()`). Units are in the suffix: `_usd` is exact
DECIMAL, `_at` and `_hour` are UTC instants, `_on` is a business date, `_ratio` and `_per_mtok` are never summed.
"""


def data_dictionary() -> str:
    """Return the dictionary of every table, in name order."""
    return "\n".join([_HEAD, *(_section(table) for table in tables().values())])


def _section(table: Table) -> str:
    kind = "View" if table.select is not None else "Table"
    lines = [f"## {table.dotted}", "", f"{kind}. {table.grain}. Key: `{', '.join(table.key)}`."]
    if table.partition is not None:
        lines.append(f"Replaced by `{table.partition}`.")
    lines += ["", "| Column | Type | Required | Meaning |", "|---|---|---|---|"]
    for column in table.columns:
        words = f" ({', '.join(column.one_of)})" if column.one_of else ""
        comment = f"{column.comment}{words}".replace("|", "\\|")
        required = "yes" if column.required else ""
        lines.append(f"| `{column.name}` | {duckdb_type(column.dtype)} | {required} | {comment} |")
    return "\n".join([*lines, ""])
