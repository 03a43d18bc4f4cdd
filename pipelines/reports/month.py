"""What finance reads of a month beside its spend: who is owed, who pays, why it differs, and what stays open."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl

from models.schemas.cost_kinds import COST_KINDS
from models.schemas.mart_spend_variance import VARIANCE_CAUSES
from pipelines.reports.view import View, ViewColumn
from pipelines.reports.wording import money, plural

_USD = ViewColumn("usd", "USD", "usd", is_summed=True)
_VIEWS = (
    View(
        "chargeback", "Who pays",
        (ViewColumn("payer", "Payer"), ViewColumn("cost_kind", "For"), ViewColumn("status", "Status"), _USD),
        pl.DataFrame(), "The month is not split yet: it is once its days are computed.",
    ),
    View(
        "variance", "Why it differs from earlier months",
        (ViewColumn("against_on", "From"), ViewColumn("cause", "Cause"), ViewColumn("difference_usd", "USD", "usd"),
         ViewColumn("meaning", "What that is")),
        pl.DataFrame(), "No earlier month has any spend.",
    ),
    View(
        "accruals", "Owed to issuers",
        (ViewColumn("invoice_issuer_name", "Issuer"), ViewColumn("month_on", "Month of usage"),
         ViewColumn("accrued_usd", "Accrued", "usd", is_summed=True),
         ViewColumn("corrected_usd", "Corrected", "usd", is_summed=True),
         ViewColumn("true_up_usd", "True-up", "usd", is_summed=True),
         ViewColumn("invoiced_usd", "Invoiced", "usd", is_summed=True)),
        pl.DataFrame(), "Nobody is owed anything.",
    ),
    View(
        "open_points", "Open points",
        (ViewColumn("point", "Point"), ViewColumn("subject", "Of"), ViewColumn("usd", "USD", "usd"),
         ViewColumn("tokens", "Tokens", "count"), ViewColumn("remedy", "What to do")),
        pl.DataFrame(), "Nothing stays open.",
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
        .with_columns(pl.col("payer").fill_null("(nobody)"), pl.col("cost_kind").str.replace_all("_", " "))
        .sort(of_payer, "payer", "usd", "cost_kind", descending=[True, False, True, False])
    )
    why = tables["variance"].with_columns(
        pl.col("against_on").dt.strftime("%Y-%m"),
        pl.col("cause").str.replace_all("_", " "),
        meaning=pl.col("cause").replace_strict(VARIANCE_CAUSES, default=None, return_dtype=pl.String),
    )
    owed = tables["accruals"].with_columns(pl.col("month_on").dt.strftime("%Y-%m"))
    named = tables["open_points"].with_columns(
        # The subject is a kind of cost, an issuer, a payer or a model, of which only the kinds have such words.
        pl.col("subject").replace({kind: kind.replace("_", " ") for kind in COST_KINDS})
    )
    shown = {"chargeback": paid, "variance": why, "accruals": owed, "open_points": named}
    return tuple(View(view.name, view.title, view.columns, shown[view.name], view.none) for view in _VIEWS)


def billed(tables: Mapping[str, pl.DataFrame], first: date) -> list[str]:
    """Say in one sentence what the bills of a month ask for beside what was accrued, and what it costs with them.

    Args:
        tables: what `month_tables` returned.
        first: the first business date of the month.
    """
    rows = tables["accruals"]
    if rows.is_empty():
        return []
    of_month = (
        rows.filter(pl.col("month_on") == first)
        .group_by("invoice_issuer_name")
        .agg(pl.col("accrued_usd", "invoiced_usd", "bill_count").sum())
    )
    came, waits = of_month.filter(pl.col("bill_count") > 0), of_month.filter(pl.col("bill_count") == 0)
    words = []
    if len(came):
        words.append(
            f"Bills ask for {_usd(came, 'invoiced_usd')} where {_usd(came, 'accrued_usd')} was accrued"
        )
    if len(waits):
        words.append(
            f"{'no' if words else 'No'} bill yet for {_usd(waits, 'accrued_usd')} of {plural(len(waits), 'issuer')}"
        )
    booked = rows.filter(pl.col("booked_on") == first, pl.col("true_up_usd") != 0)
    if len(booked):
        words.append(f"true-ups of {_usd(booked, 'true_up_usd')} are booked")
    charged = tables["chargeback"]
    if len(charged):
        words.append(f"with bills the month costs {_usd(charged, 'usd')}")
    return [f"{'; '.join(words)}."] if words else []


def _usd(rows: pl.DataFrame, name: str) -> str:
    return str(money(sum(rows.get_column(name).drop_nulls(), Decimal(0))).striptags())
