"""The catalog: every table on one page that works offline, with its rows, checks, units, sums, joins and an example."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from models.schemas import tables
from models.schemas.base import Table, duckdb_type
from models.schemas.glossary import glossary
from models.schemas.macros import macros
from models.schemas.start_here import start_here
from models.schemas.units import may_be_summed, unit
from pipelines.replacing import replace_file
from pipelines.reports.environment import page_environment
from pipelines.reports.pages import link_pages
from pipelines.warehouse.failing import failing_checks
from pipelines.warehouse.resource import Warehouse

CATALOG = "catalog.html"
_SCHEMAS = {
    "mart": "Answers: by day, month, pool or finding",
    "core": "Facts: one row per attempt, pool-hour, line of a bill",
    "ref": "Prices, policies and rules, dated",
    "ops": "How far the figures can be trusted, and what ran",
    "raw": "Records as they landed, in the lake only: the published file has no raw",
}
_JOINED = (
    "core.requests", "core.request_costs", "core.other_charges", "core.pool_hours", "mart.gpu_bill_daily",
    "mart.cost_per_token_daily", "ref.token_prices", "ref.gpu_prices", "ref.chips", "ref.pool_models",
    "ops.source_files", "ops.runs", "ops.coverage",
)  # fmt: skip
"""Tables that others look things up in, by the whole of their key."""
_ROWS = """
SELECT table_name, sum(row_count)::BIGINT AS row_count, max(loaded_at) AS loaded_at, min(partition_key) AS first_key,
  max(partition_key) AS last_key, count(*) AS partition_count
FROM ops.partitions WHERE row_count > 0 OR partition_key = 'all' GROUP BY ALL
"""
_CHECKS = """
SELECT table_name, check_name, is_passed, summary, checked_at FROM ops.check_results
QUALIFY row_number() OVER (PARTITION BY table_name, check_name ORDER BY checked_at DESC) = 1
ORDER BY table_name, check_name
"""

MadeOf = Mapping[str, Sequence[str]]


def write_catalog(warehouse: Warehouse, made_of: MadeOf) -> Path:
    """Write the catalog of a project's warehouse into its reports folder, and return its path."""
    with warehouse.reading() as con:
        page = catalog_page(con, made_of)
    path = warehouse.project.reports / CATALOG
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    replace_file(path, page)
    if is_new:
        # The index names it from now on.
        link_pages(path.parent)
    return path


def catalog_page(con: duckdb.DuckDBPyConnection, made_of: MadeOf) -> str:
    """Return the catalog as one self-contained page.

    Args:
        con: a session in which the warehouse's schemas are the current ones.
        made_of: computed table -> the tables that it is made of.
    """
    rows = {row["table_name"]: row for row in con.execute(_ROWS).pl().iter_rows(named=True)}
    failing = {(check.table_name, check.check_name): check.summary for check in failing_checks(con)}
    checks: dict[str, list[dict[str, Any]]] = {}
    for row in con.execute(_CHECKS).pl().iter_rows(named=True):
        summary = failing.get((row["table_name"], row["check_name"]))
        checks.setdefault(row["table_name"], []).append(
            row | {"is_passed": summary is None, "summary": summary or row["summary"]}
        )
    sections = [
        {
            "schema": schema,
            "title": title,
            "tables": [
                _entry(table, rows.get(table.dotted), checks.get(table.dotted, []), made_of)
                for table in tables().values()
                if table.schema == schema
            ],
        }
        for schema, title in _SCHEMAS.items()
    ]
    loaded: list[datetime] = [row["loaded_at"] for row in rows.values() if row["loaded_at"] is not None]
    return page_environment().get_template("catalog.html").render(
        title="Catalog of the warehouse",
        sections=sections,
        start=[(pointer, _anchor(pointer.look)) for pointer in start_here()],
        macros=macros(),
        words=glossary(),
        loaded_at=max(loaded, default=None),
    )  # fmt: skip


def _anchor(name: str) -> str:
    """Return where on the page a table or macro stands."""
    return name.replace(".", "-") if name in tables() else f"macro-{name}"


def _entry(
    table: Table, rows: Mapping[str, Any] | None, checks: list[dict[str, Any]], made_of: MadeOf
) -> dict[str, Any]:
    return {
        "table": table,
        "anchor": _anchor(table.dotted),
        "kind": "View" if table.select is not None else "Table",
        "columns": [
            {
                "column": column,
                "type": duckdb_type(column.dtype),
                "unit": unit(column) or "",
                "is_summed": may_be_summed(column) and table.overlaps is None,
                "is_key": column.name in table.key,
            }
            for column in table.columns
        ],
        "rows": rows,
        "checks": checks,
        "reads": made_of.get(table.dotted, ()),
        "read_by": sorted(name for name, inputs in made_of.items() if table.dotted in inputs),
        "joins": [
            (other, f"USING ({', '.join(tables()[other].key)})")
            for other in _JOINED
            if other in tables() and other != table.dotted and {*tables()[other].key} <= {*table.column_names}
        ],
        "example": example(table),
    }


def example(table: Table) -> str:
    """Return a query that asks a table the obvious, without summing what does not add up."""
    money = _first(
        table, "usage_usd", "billed_usd", "saving_usd", "regret_usd", "usd", "effective_usd", "burst_usd"
    )
    by = _first(table, "model", "deployment", "route", "payer", "provider")
    date = _first(table, "accrued_on", "month_on", "billed_on", "counted_on")
    if money is None or by is None or table.overlaps is not None:
        return f"FROM {table.dotted} LIMIT 20"
    where = f"\nWHERE {date} >= current_date - 31" if date is not None else ""
    return f"SELECT {by}, sum({money}) AS {money}\nFROM {table.dotted}{where}\nGROUP BY {by} ORDER BY {money} DESC"


def _first(table: Table, *names: str) -> str | None:
    return next((name for name in names if name in table.column_names), None)
