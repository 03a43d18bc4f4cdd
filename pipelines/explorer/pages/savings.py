"""Savings: what would have cost less in a month, by dollars; no dollar stands twice."""

from pipelines.explorer.figure import ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.reports.view import ViewColumn

_TABLE = "mart.savings"


def build(asked: PageContext) -> Content:
    """List the changes of the month that holds the last day."""
    state = asked.state
    month = state.last.replace(day=1)
    where = " AND ".join([f"month_on = DATE '{month}'", *state.conditions(_TABLE)])
    figure = ask(
        asked.opened, "savings", f"What would have saved money in {month:%B %Y}",
        "SELECT rank, change, month_usd, saving_usd, spend_usd, confidence, evidence, instead, kind, provider, route, "
        f"model, day_count\nFROM {_TABLE}\nWHERE {where}\nORDER BY rank",
        [
            ViewColumn("change", "Change"),
            ViewColumn("month_usd", "USD a month", "usd", is_summed=True),
            ViewColumn("saving_usd", "USD so far", "usd", is_summed=True),
            ViewColumn("spend_usd", "Of a spend of", "usd"),
            ViewColumn("confidence", "Confidence"),
            ViewColumn("evidence", "Evidence"),
            ViewColumn("instead", "Or instead"),
        ],
        coverage=_counted(asked, month),
        links={"change": lambda row: _where_it_is_spent(asked, row)},
        notes=state.unheard(_TABLE),
        none="No change is known that would have saved money in this month.",
    )  # fmt: skip
    return Content(
        "The month of the last day. No dollar stands twice: a pool is mended or replaced, never both.",
        (figure,),
    )


def _counted(asked: PageContext, month: object) -> str:
    days = asked.opened.answer(f"SELECT max(day_count) FROM {_TABLE} WHERE month_on = DATE '{month}'").item()
    return f"{days} business days of the month are counted." if days else "No day of the month is counted."


def _where_it_is_spent(asked: PageContext, row: object) -> str:
    parts = {name: row[name] for name in ("provider", "route", "model") if row[name]}  # type: ignore[index]
    return asked.state.url("/spend", by="", **parts)


PAGE = Page("/savings", "Savings", 40, build, table=_TABLE)
