"""A request: every step from the log row to its dollars."""

from datetime import timedelta

from pipelines.explorer.figure import ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.reports.explained import days_of_request, explained_attempts, explanation_sql
from pipelines.reports.view import ViewColumn

_AROUND = timedelta(days=4)
"""A call that is of a view's days began and ended this near to them."""


def build(asked: PageContext) -> Content:
    """Explain the attempts of a request."""
    wanted = asked.state.parameter("id").strip()
    if not wanted:
        return Content(
            "Write the id of an attempt, or of a request whose attempts are all shown.",
            (),
            "request.html",
            {"wanted": "", "attempts": []},
        )
    # A link tells the days; a request that is looked for by its id alone may be of any.
    near = (
        (asked.state.first - _AROUND, asked.state.last + _AROUND)
        if "from" in asked.request.query_params
        else None
    )
    with asked.opened.session() as con:
        days = days_of_request(con, wanted, near) or (days_of_request(con, wanted) if near else None)
        attempts = explained_attempts(con, wanted, days) if days else []
    if days is None:
        return Content(
            "The warehouse knows no attempt or request of this id.",
            (),
            "request.html",
            {"wanted": wanted, "attempts": []},
        )
    lines = ask(
        asked.opened,
        "lines",
        "From tokens to dollars",
        "SELECT request_id, accrued_hour, meter, quantity, rate_per_mtok, currency, effective_usd, rule, price_id,\n"
        f"  sheet_path, sheet_line, source_url\nFROM {explanation_sql(wanted, days)}",
        [
            ViewColumn("request_id", "Attempt"),
            ViewColumn("accrued_hour", "Accrued, UTC"),
            ViewColumn("meter", "Meter"),
            ViewColumn("quantity", "Quantity"),
            ViewColumn("rate_per_mtok", "Rate per M"),
            ViewColumn("currency", "Currency"),
            ViewColumn("effective_usd", "USD", "usd", is_summed=True),
            ViewColumn("rule", "Rule"),
            ViewColumn("sheet_path", "Sheet"),
            ViewColumn("sheet_line", "Line"),
        ],
        coverage=_priced(attempts),
    )
    return Content(
        "Every step from the log row to its dollars.", (lines,), "request.html",
        {"wanted": wanted, "attempts": attempts},
    )  # fmt: skip


def _priced(attempts: list[dict[str, object]]) -> str:
    without = sum(attempt["price_state"] == "unpriced" for attempt in attempts)
    return (
        f"{without} of {len(attempts)} attempts have no price." if without else "Every attempt has a price."
    )


PAGE = Page("/request", "A request", 91, build, has_verdict=False, usual_days=1)
