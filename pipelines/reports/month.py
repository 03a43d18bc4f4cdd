"""What finance reads of a month beside its spend: who is owed, who pays, why it differs, and what stays open."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from pipelines.reports.view import Column, View

_USD = Column("usd", "USD", "usd", is_summed=True)
_VIEWS = (
    View(
        "open_points", "Open points",
        (Column("point", "Point"), Column("subject", "Of"), Column("usd", "USD", "usd"),
         Column("tokens", "Tokens", "count"), Column("remedy", "What to do")),
        pl.DataFrame(), "Nothing stays open.",
    ),
    View(
        "accruals", "Owed to issuers",
        (Column("invoice_issuer_name", "Issuer"), Column("month_on", "Month of usage"),
         Column("accrued_usd", "Accrued", "usd", is_summed=True),
         Column("corrected_usd", "Corrected", "usd", is_summed=True),
         Column("true_up_usd", "True-up", "usd", is_summed=True),
         Column("invoiced_usd", "Invoiced", "usd", is_summed=True)),
        pl.DataFrame(), "Nobody is owed anything.",
    ),
    View(
        "chargeback", "Who pays",
        (Column("payer", "Payer"), Column("cost_kind", "For"), Column("status", "Status"), _USD),
        pl.DataFrame(), "The month is not split yet: it is once its days are computed.",
    ),
    View(
        "variance", "Why it differs from earlier months",
        (Column("against_on", "From the month of"), Column("cause", "Cause"), Column("difference_usd", "USD", "usd")),
        pl.DataFrame(), "No earlier month has any spend.",
    ),
)  # fmt: skip


def month_tables(con: duckdb.DuckDBPyConnection, first: date, to_on: date) -> dict[str, pl.DataFrame]:
    """Return the tables of a month by name, each as its file in `close_tables` says.

    Args:
        con: a session in which the warehouse's schemas are the current ones.
        first: the first business date of the month.
        to_on: the business date after its last.
    """
    span, found = {"from_on": first, "to_on": to_on}, {}
    for file in sorted(Path(__file__).with_name("close_tables").glob("*.sql")):
        sql = file.read_text(encoding="utf-8")
        found[file.stem] = con.execute(
            sql, {name: day for name, day in span.items() if f"${name}" in sql}
        ).pl()
    return found


def month_views(tables: Mapping[str, pl.DataFrame]) -> tuple[View, ...]:
    """Return the tables of a month as a report shows them; who pays is summed over tenants, teams and rules."""
    of_payer = pl.col("usd").sum().over("payer")
    paid = (
        tables["chargeback"]
        .group_by("payer", "cost_kind", "status")
        .agg(pl.col("usd").sum())
        .with_columns(pl.col("payer").fill_null("(nobody)"))
        .sort(of_payer, "payer", "usd", "cost_kind", descending=[True, False, True, False])
    )
    shown = {**tables, "chargeback": paid}
    return tuple(View(view.name, view.title, view.columns, shown[view.name], view.none) for view in _VIEWS)
