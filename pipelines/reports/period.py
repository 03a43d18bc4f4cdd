"""What a report says of a day, a week or a month: sentences, and views that every format shows alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

import duckdb
import polars as pl

from models.schemas.mart_spend_daily import SPEND_COMPONENTS
from pipelines.reports.month import billed, month_tables, month_views
from pipelines.reports.names import provider_name
from pipelines.reports.trust import Trust, trust_of_days
from pipelines.reports.view import View, ViewColumn
from pipelines.reports.wording import change, change_ratio, money, plural

Kind = Literal["daily", "weekly", "month-close"]
_SPEND = {
    "provider": "Who was paid",
    "tenant": "Who spent it: tenants",
    "team": "Who spent it: teams",
    "feature": "Who spent it: features",
    "route": "Routes",
    "component": "What it was for",
    "model": "Models",
}
NO_BUDGET = "no budget set"


@dataclass(frozen=True)
class PeriodReport:
    """A report: its period [first, to_on), the answer in sentences, and its views, the most important first."""

    kind: Kind
    title: str
    first: date
    to_on: date
    time_zone: str
    answer: tuple[str, ...]
    trust: Trust
    views: tuple[View, ...]
    loaded_at: datetime | None
    is_empty: bool

    @property
    def stem(self) -> str:
        """Its file name without an ending."""
        return f"{self.first:%Y-%m}" if self.kind == "month-close" else self.first.isoformat()

    @property
    def subtitle(self) -> str:
        """The business days that it is of."""
        last = self.to_on - timedelta(days=1)
        span = f"{self.first}" if last == self.first else f"{self.first} to {last}"
        return (
            f"Business days {span} in {self.time_zone}"
            if last > self.first
            else f"Business day {span} in {self.time_zone}"
        )


def period_of(kind: Kind, on: date) -> tuple[date, date, date]:
    """Return the first day of the period that holds a day, the day after its last, and the first of that before."""
    if kind == "daily":
        return on, on + timedelta(days=1), on - timedelta(days=1)
    if kind == "weekly":
        first = on - timedelta(days=on.weekday())
        return first, first + timedelta(days=7), first - timedelta(days=7)
    first = on.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1), (first - timedelta(days=1)).replace(day=1)


def period_report(
    con: duckdb.DuckDBPyConnection,
    kind: Kind,
    on: date,
    *,
    time_zone: str,
    now: datetime,
    judged: Trust | None = None,
) -> PeriodReport:
    """Read what a report says.

    Args:
        con: a session in which the warehouse's schemas are the current ones.
        kind: which report.
        on: a business day in its period.
        time_zone: IANA zone in which days are cut.
        now: aware; a day that has not ended can still move.
        judged: how far the period can be trusted, where that is known already.
    """
    first, to_on, before_on = period_of(kind, on)
    last = to_on - timedelta(days=1)
    span = {"from_on": first, "to_on": to_on, "before_on": before_on, "month_on": last.replace(day=1)}
    found = {
        file.stem: con.execute(sql, {name: day for name, day in span.items() if f"${name}" in sql}).pl()
        for file in sorted(Path(__file__).with_name("views").glob("*.sql"))
        for sql in [file.read_text(encoding="utf-8")]
    }
    spend = found["spend"]
    days = [first + timedelta(days=step) for step in range((to_on - first).days)]
    judged = judged or trust_of_days(con, days, time_zone=time_zone, now=now)
    tables = month_tables(con, first, to_on) if kind == "month-close" else {}
    views = _views(found, kind, month_views(tables) if tables else ())
    return PeriodReport(
        kind=kind,
        title=_title(kind, first),
        first=first,
        to_on=to_on,
        time_zone=time_zone,
        answer=_answer(found, kind, views[0].rows, billed(tables, first) if tables else [], last),
        trust=judged,
        views=views,
        loaded_at=found["loaded"].item() if found["loaded"].height else None,
        # A month may have nothing but its bills.
        is_empty=spend.filter(pl.col("usd").is_not_null() | (pl.col("tokens") > 0)).is_empty()
        and (not tables or (tables["accruals"].is_empty() and tables["chargeback"].is_empty())),
    )


def _title(kind: Kind, first: date) -> str:
    if kind == "daily":
        return f"Inference spend on {first:%A}, {first.day} {first:%B %Y}"
    if kind == "weekly":
        return f"Inference spend in the week of {first.day} {first:%B %Y}"
    return f"Inference spend in {first:%B %Y}"


def _total(spend: pl.DataFrame, name: str) -> Decimal | None:
    known = spend.filter(pl.col("dimension") == "component").get_column(name).drop_nulls()
    return sum(known.to_list(), Decimal(0)) if len(known) else None


def _answer(
    found: dict[str, pl.DataFrame], kind: Kind, savings: pl.DataFrame, bills: list[str], last: date
) -> tuple[str, ...]:
    """Say what was spent and billed, how the month stands, who spent it, and what to do: one sentence each."""
    spend = found["spend"]
    usd, before = _total(spend, "usd"), _total(spend, "before_usd")
    against = {"daily": "the day before", "weekly": "the week before", "month-close": "the month before"}[
        kind
    ]
    lines = []
    if usd is None and not spend.get_column("tokens").sum():
        lines.append("No usage of these days is in the ledger.")
    elif usd is None:
        lines.append("Nothing is priced, so no spend can be stated.")
    elif before is None:
        lines.append(f"{_usd(usd)} was spent; nothing is known of {against}.")
    else:
        moved = f"{_text(change(usd - before))} ({_text(change_ratio(usd, before))})"
        lines.append(f"{_usd(usd)} was spent, {moved} against {against}.")
    lines += bills
    month = found["month_to_date"].item()
    budgets = found["budgets"]
    standing = "; ".join(
        f"budget {row['budget']}: {_usd(row['spent_usd'])} of {_usd(row['budget_usd'])}"
        # What is known now of a day long ago is its whole month's.
        + (f" by {row['as_of_on']}" if row["as_of_on"] not in {None, last.isoformat()} else "")
        + (f", runs out on {row['run_out_on']}" if row["run_out_on"] else "")
        for row in budgets.iter_rows(named=True)
    )
    to_date = f"Month to date: {_usd(month) if month is not None else 'not priced'}; "
    # A whole month is its own month to date.
    money = ("" if kind == "month-close" else to_date) + (standing or NO_BUDGET)
    lines.append(f"{money[0].upper()}{money[1:]}.")
    largest = [
        f"{dimension} {provider_name(top['name']) if dimension == 'provider' else top['name']} {_usd(top['usd'])}"
        for dimension in ("provider", "tenant", "team", "feature", "route")
        for top in spend.filter(
            pl.col("dimension") == dimension, pl.col("usd") > 0, pl.col("name") != "(none)"
        ).head(1).iter_rows(named=True)
    ]  # fmt: skip
    if largest:
        lines.append(f"Largest: {', '.join(largest)}.")
    if savings.is_empty():
        lines.append("To do: no change is known that would have saved money this month.")
    else:
        whole = sum(savings.get_column("month_usd").to_list(), Decimal(0))
        top = savings.row(0, named=True)
        lines.append(
            f"To do: {_usd(whole)} a month could be saved by {plural(savings.height, 'change')}; first: "
            f"{top['change']} ({_usd(top['month_usd'])} a month)."
        )
    return tuple(lines)


def _views(found: dict[str, pl.DataFrame], kind: Kind, of_month: tuple[View, ...]) -> tuple[View, ...]:
    """Return what to do and how the budgets stand, of a month who pays and why, then who spent it, then the days."""
    before = {"daily": "Day before", "weekly": "Week before", "month-close": "Month before"}[kind]
    usd = (
        ViewColumn("usd", "USD", "usd", is_summed=True),
        ViewColumn("before_usd", before, "usd", is_summed=True),
        ViewColumn("change_usd", "Change", "usd", is_summed=True),
    )
    tokens = (
        ViewColumn("tokens", "Tokens", "count", is_summed=True),
        ViewColumn("unpriced_tokens", "Tokens without a price", "count", is_summed=True),
    )
    views = [
        View(
            "savings", "What to do, by dollars",
            (ViewColumn("change", "Change"),
             ViewColumn("month_usd", "USD a month", "usd", is_summed=True),
             ViewColumn("saving_usd", "USD so far this month", "usd", is_summed=True),
             ViewColumn("confidence", "Confidence"), ViewColumn("evidence", "Evidence"),
             ViewColumn("instead", "Or instead")),
            found["savings"], "No change is known that would have saved money this month.",
        ),
        View(
            "budgets", "Budgets",
            (ViewColumn("budget", "Budget"), ViewColumn("spent_usd", "Spent", "usd"),
             ViewColumn("budget_usd", "Of", "usd"),
             ViewColumn("remaining_usd", "Left", "usd"), ViewColumn("projected_usd", "At this pace", "usd"),
             ViewColumn("run_out_on", "Runs out on"), ViewColumn("as_of_on", "As of")),
            found["budgets"], "No budget set.",
        ),
        *of_month,
    ]  # fmt: skip
    nothing = pl.lit(0).cast(pl.Decimal(38, 12))
    # Of a period before of which nothing is known there is no change.
    is_known = _total(found["spend"], "before_usd") is not None
    for dimension, title in _SPEND.items():
        rows = found["spend"].filter(pl.col("dimension") == dimension).drop("dimension")
        rows = rows.with_columns(
            change_usd=pl.when(is_known).then(
                (pl.col("usd").fill_null(nothing) - pl.col("before_usd").fill_null(nothing)).cast(
                    pl.Decimal(38, 12)
                )
            ),
            name=_named(dimension).replace({"(none)": f"(no {dimension})"}),
        )
        views.append(
            View(dimension, title, (ViewColumn("name", _SPEND_HEAD[dimension]), *usd, *tokens), rows)
        )
    if kind != "daily":
        views.append(
            View(
                "days", "By day",
                (
                    ViewColumn("name", "Business day"), usd[0],
                    ViewColumn("attempts", "Attempts", "count", is_summed=True),
                    *tokens,
                ),
                found["days"],
            )
        )  # fmt: skip
    return tuple(views)


_SPEND_HEAD = {
    "provider": "Provider", "tenant": "Tenant", "team": "Team", "feature": "Feature",
    "route": "Route", "component": "For", "model": "Model",
}  # fmt: skip


def _named(dimension: str) -> pl.Expr:
    name = pl.col("name")
    if dimension == "component":
        words = SPEND_COMPONENTS | {"corrections": "corrections of closed months"}
        return name.replace_strict(
            {key: text[0].upper() + text[1:] for key, text in words.items()}, default=name
        )
    if dimension == "provider":
        return name.map_elements(provider_name, return_dtype=pl.String)
    return name


def _text(value: object) -> str:
    return str(value.striptags()) if hasattr(value, "striptags") else str(value)


def _usd(amount: Decimal) -> str:
    return _text(money(amount))


def summary_lines(report: PeriodReport) -> Sequence[str]:
    """Return the report in five lines, for a message."""
    return (report.title, *report.answer[:3], f"{report.answer[-1]} {report.trust.verdict}.")[:5]
