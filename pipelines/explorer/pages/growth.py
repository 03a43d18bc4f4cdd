"""Growth: what was used and what it cost, month against month and year against year."""

from datetime import date, timedelta

from pipelines.explorer.figure import ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.reports.view import ViewColumn

_TABLE = "mart.usage_growth"


def build(asked: PageContext) -> Content:
    """List each scope in the months that touch the period."""
    state = asked.state
    figure = ask(
        asked.opened, "growth", "By month",
        "SELECT scope, month_on, day_count, total_tokens AS tokens, unpriced_tokens, available_usd, usd_a_day, tokens_a_day,\n"
        "  before_day_count, usd_month_ratio, tokens_month_ratio, usd_year_ratio, tokens_year_ratio\n"
        f"FROM {_TABLE}\nWHERE scope_kind = '{state.by}'\n"
        f"  AND month_on BETWEEN DATE '{state.first.replace(day=1)}' AND DATE '{state.last}'\n"
        "ORDER BY month_on, available_usd DESC NULLS LAST, scope",
        [
            ViewColumn("scope", "Scope"), ViewColumn("month_on", "Month"), ViewColumn("day_count", "Days counted", "count"),
            ViewColumn("available_usd", "USD", "usd"), ViewColumn("usd_a_day", "USD a day", "rate"),
            ViewColumn("tokens", "Tokens", "count"), ViewColumn("unpriced_tokens", "Without a price", "count"),
            ViewColumn("before_day_count", "Days of the month before", "count"),
            ViewColumn("usd_month_ratio", "USD a day, on the month before", "growth"),
            ViewColumn("tokens_month_ratio", "Tokens a day, on the month before", "growth"),
            ViewColumn("usd_year_ratio", "USD a day, on the year before", "growth"),
            ViewColumn("tokens_year_ratio", "Tokens a day, on the year before", "growth"),
        ],
        links={"month_on": lambda row: state.url("/spend", by="", first=row["month_on"], last=_end(row["month_on"]))},
        notes=["Filters do not apply here."] if state.filters else [], none="No month is counted yet.",
    )  # fmt: skip
    return Content("Averages a day, so that a month that has not ended compares with a whole one.", (figure,))


def _end(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)


PAGE = Page(
    "/growth", "Growth", 35, build, table=_TABLE,
    offered=("total", "provider", "family", "developer", "weights", "tenant", "team", "route", "feature"),
)  # fmt: skip
