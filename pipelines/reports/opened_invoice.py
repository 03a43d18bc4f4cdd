"""An invoice opened: its lines, and for a line the cell in which it meets the ledger, with the rows of both sides."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import duckdb
import polars as pl

from models.errors import DataError
from models.finance.matching import DIMENSIONS
from models.finance.reconciliation import both_sides
from models.schemas.mart_invoice_reconciliation import RECONCILIATION_TERMS

NAME = "concat_ws(' ', invoice_issuer_name, coalesce(invoice_id, strftime(billing_period_start, '%Y-%m')))"
"""How an invoice without an id is named: by issuer and month."""
_LINES = f"""
FROM core.invoice_lines WHERE invoice_id = $name OR {NAME} = $name
ORDER BY source, billing_period_start, file_hash, line_number, record_number
"""
_BILLS = """
SELECT l.* FROM core.invoice_lines l
SEMI JOIN wanted w ON l.source = w.source AND l.invoice_issuer_name = w.invoice_issuer_name
  AND l.billing_account_id IS NOT DISTINCT FROM w.billing_account_id AND l.billing_period_start = w.billing_period_start
"""
_INVOICES = (
    f"FROM core.invoices WHERE invoice_id = $name OR {NAME} = $name ORDER BY source, billing_period_start"
)
_CELLS = f"FROM mart.invoice_reconciliation WHERE invoice_id = $name OR {NAME} = $name"
_KNOWN = f"SELECT DISTINCT {NAME} FROM core.invoice_lines ORDER BY 1 LIMIT 5"
_REQUESTS = """
SELECT source, request_id, started_at, quantity, effective_usd FROM core.cost_lines
WHERE provider = $provider AND model IS NOT DISTINCT FROM $model AND meter = $meter
  AND accrued_hour >= $start AND accrued_hour < $end
ORDER BY effective_usd DESC NULLS LAST, request_id LIMIT 5
"""
_TERMS = tuple(f"{name}_usd" for name in RECONCILIATION_TERMS)
_LINE_FIELDS = (
    "charge_period_start", "charge_period_end", "charge_category", "charge_class", "charge_description", "service_name",
    *DIMENSIONS, "canonical_model", "token_class", "chip", "consumed_quantity", "consumed_unit", "billed_cost",
    "currency", "usd", "fx_usd_per_unit", "fx_on", "path", "file_hash", "line_number", "record_number",
)  # fmt: skip
_CELL_FIELDS = (
    *DIMENSIONS, "unit", "charge_category", "invoiced_quantity", "ledger_quantity", "unpriced_quantity",
    "invoiced_unit_price_usd", "ledger_unit_price_usd", "invoiced_usd", "ledger_usd", "difference_usd", *_TERMS,
    "cause", "line_count",
)  # fmt: skip


def opened_invoice(
    con: duckdb.DuckDBPyConnection, name: str, line: int | None, *, ledger: str
) -> dict[str, Any]:
    """Return an invoice, its lines and cells; with a line also the rows of the ledger that its cell holds.

    Args:
        con: a session on the lake or the published file.
        name: the invoice's id, or issuer and month of one that is not named yet, as the check tells it.
        line: 1-based place among its lines.
        ledger: the query of what the ledger holds for each bill by day (`ledger_sql`).

    Raises:
        DataError: no such invoice or line.
    """
    lines = con.execute(_LINES, {"name": name}).pl()
    if lines.is_empty():
        known = ", ".join(row[0] for row in con.execute(_KNOWN).fetchall()) or "none"
        raise DataError(f"There is no invoice {name!r}; there are {known}.")
    if line is not None and not 1 <= line <= lines.height:
        raise DataError(f"Invoice {name} has {lines.height} lines; name one from 1 to {lines.height}.")
    opened: dict[str, Any] = {
        "invoices": con.execute(_INVOICES, {"name": name}).pl().to_dicts(),
        "cells": _cells(con, name),
    }
    numbered = _with_paths(con, lines.with_row_index("line", offset=1))
    if line is None:
        opened["lines"] = _some(numbered, ("line", *_LINE_FIELDS))
        return opened
    (wanted,) = numbered.filter(pl.col("line") == line).to_dicts()
    opened["line"] = {field: wanted[field] for field in ("line", *_LINE_FIELDS)}
    opened |= _opened_line(con, ledger, lines, wanted)
    return opened


def _opened_line(
    con: duckdb.DuckDBPyConnection, query: str, lines: pl.DataFrame, wanted: dict[str, Any]
) -> dict[str, Any]:
    con.register("wanted", lines)
    bills = con.execute(_BILLS).pl()
    con.unregister("wanted")
    first = lines["billed_on"].min()
    days = {"from_on": first, "to_on": lines["billed_on"].max() + timedelta(days=1)}  # type: ignore[operator]
    ledger = con.execute(query, days).pl()
    billed, parts = both_sides(bills, ledger)
    place = [pl.col(name) == wanted[name] for name in ("file_hash", "line_number", "record_number")]
    mine = billed.filter(*place)
    cell = None if mine.is_empty() else mine["cell"][0]
    if cell is None:
        return {"cell": None, "lines": [], "ledger": [], "requests": []}
    together = _with_paths(con, billed.filter(pl.col("cell") == cell))
    held = parts.filter(pl.col("cell") == cell).sort("day", *DIMENSIONS, nulls_last=True)
    return {
        "cell": cell,
        "lines": _some(together, _LINE_FIELDS),
        "ledger": _some(
            held,
            (
                "day",
                "log_source",
                "tenant",
                "deployment",
                *DIMENSIONS,
                "quantity",
                "unpriced_quantity",
                "usd",
            ),
        ),
        "requests": _requests(con, held, wanted),
    }


def _requests(
    con: duckdb.DuckDBPyConnection, held: pl.DataFrame, wanted: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the dearest attempts of the largest part of the ledger's side."""
    tokens = held.filter(pl.col("model").is_not_null()).sort("usd", descending=True)
    if tokens.is_empty():
        return []
    part = tokens.row(0, named=True)
    found = con.execute(
        _REQUESTS,
        {
            **{name: part[name] for name in ("provider", "model", "meter")},
            "start": wanted["billing_period_start"],
            "end": wanted["billing_period_end"],
        },
    )
    return found.pl().to_dicts()


def _cells(con: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    cells = con.execute(_CELLS, {"name": name}).pl()
    return _some(cells.sort(pl.col("difference_usd").abs(), descending=True, nulls_last=True), _CELL_FIELDS)


def _with_paths(con: duckdb.DuckDBPyConnection, lines: pl.DataFrame) -> pl.DataFrame:
    paths = con.execute("SELECT file_hash, min(path) AS path FROM ops.landed_files GROUP BY 1").pl()
    return lines.join(paths, on="file_hash", how="left", maintain_order="left")


def _some(rows: pl.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    return rows.select(name for name in names if name in rows.columns).to_dicts()
