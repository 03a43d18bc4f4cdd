"""Who: what tenants, teams and features cost, with their share of what stood ready for them."""

from pipelines.explorer.charts import bars_over_time
from pipelines.explorer.figure import Figure, ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.explorer.sessions import dearest_sessions
from pipelines.explorer.state import DIMENSIONS, columns_of
from pipelines.reports.view import ViewColumn

_TABLE = "mart.cost_per_token_daily"
_OFFERED = ("tenant", "team", "feature", "environment", "route", "model", "provider")
_SUMS = """\
  sum(available_usd)::DECIMAL(38,12) AS available_usd, sum(usage_usd)::DECIMAL(38,12) AS usage_usd,
  (coalesce(sum(available_usd), 0) - coalesce(sum(usage_usd), 0))::DECIMAL(38,12) AS ready_usd,
  sum(request_count)::BIGINT AS requests, sum(attempt_count)::BIGINT AS attempts,
  sum(total_tokens)::BIGINT AS tokens, sum(unpriced_tokens)::BIGINT AS unpriced_tokens"""
_COLUMNS = (
    ViewColumn("available_usd", "Available", "usd", is_summed=True),
    ViewColumn("usage_usd", "Usage", "usd", is_summed=True),
    ViewColumn("ready_usd", "Of it for what stood ready", "usd", is_summed=True),
    ViewColumn("requests", "Requests", "count", is_summed=True),
    ViewColumn("attempts", "Attempts", "count", is_summed=True),
    ViewColumn("tokens", "Tokens", "count", is_summed=True),
    ViewColumn("unpriced_tokens", "Without a price", "count", is_summed=True),
)
_LEAD = (
    "Usage is what somebody's own requests cost; available adds their share, by the weight of their tokens, of GPUs that "
    "started, waited or failed. (none) is what names nobody."
)


def build(asked: PageContext) -> Content:
    """Show who spent, over time, and what the month charges to whom."""
    return Content(_LEAD, (_parts(asked), _over_time(asked), dearest_sessions(asked), _charged(asked)))


def _parts(asked: PageContext) -> Figure:
    state = asked.state
    return ask(
        asked.opened, "parts", f"By {DIMENSIONS[state.by].lower()}",
        f"SELECT coalesce({state.by}, '(none)') AS name,\n{_SUMS}\nFROM {_TABLE}\nWHERE {state.where(_TABLE)}\n"
        "GROUP BY 1\nORDER BY available_usd DESC NULLS LAST, tokens DESC, name",
        [ViewColumn("name", DIMENSIONS[state.by]), *_COLUMNS],
        links={"name": lambda row: state.url(by=state.next_of(PAGE.offered), **{state.by: row["name"]})},
        notes=state.unheard(_TABLE),
    )  # fmt: skip


def _over_time(asked: PageContext) -> Figure:
    state = asked.state
    on = "accrued_on" if state.grain == "day" else f"date_trunc('{state.grain}', accrued_on)::DATE"
    return ask(
        asked.opened, "over_time", f"Over time, by {DIMENSIONS[state.by].lower()}",
        f"SELECT {on} AS from_on, coalesce({state.by}, '(none)') AS name,\n{_SUMS}\nFROM {_TABLE}\n"
        f"WHERE {state.where(_TABLE)}\nGROUP BY 1, 2\nORDER BY 1, available_usd DESC NULLS LAST, name",
        [ViewColumn("from_on", "From"), ViewColumn("name", DIMENSIONS[state.by]), *_COLUMNS],
        chart=lambda rows: bars_over_time(
            rows, value="available_usd", grain=state.grain, label="Available cost over time",
            link=lambda name, on: state.url(
                first=on, last=on if state.grain == "day" else state.last, **({state.by: name} if name else {})
            ),
        ),
        form="data",
    )  # fmt: skip


def _charged(asked: PageContext) -> Figure:
    state, table = asked.state, "mart.chargeback_monthly"
    where = " AND ".join([f"month_on = DATE '{state.last.replace(day=1)}'", *state.conditions(table)])
    return ask(
        asked.opened, "charged", f"Charged for {state.last:%B %Y}",
        "SELECT coalesce(payer, '(unallocated)') AS payer, status,\n"
        "  sum(usd)::DECIMAL(38,12) AS usd,\n"
        "  (sum(usd) FILTER (rule = 'direct'))::DECIMAL(38,12) AS direct_usd,\n"
        "  (sum(usd) FILTER (rule <> 'direct'))::DECIMAL(38,12) AS split_usd,\n"
        "  sum(total_tokens)::BIGINT AS tokens, sum(unpriced_tokens)::BIGINT AS unpriced_tokens\n"
        f"FROM {table}\nWHERE {where}\nGROUP BY 1, 2\nORDER BY usd DESC, payer, status",
        [
            ViewColumn("payer", "Who pays"),
            ViewColumn("status", "Status"),
            ViewColumn("usd", "USD", "usd", is_summed=True),
            ViewColumn("direct_usd", "Own requests", "usd", is_summed=True),
            ViewColumn("split_usd", "Share of the rest", "usd", is_summed=True),
            ViewColumn("tokens", "Tokens", "count", is_summed=True),
            ViewColumn("unpriced_tokens", "Without a price", "count", is_summed=True),
        ],
        notes=["The whole month, by the rules of chargeback.yml.", *state.unheard(table)],
        none="No statement of this month yet; `nanodollar run` makes them.",
    )  # fmt: skip


PAGE = Page(
    "/who", "Who", 20, build, table=_TABLE,
    offered=tuple(name for name in _OFFERED if name in columns_of(_TABLE)),
    has_grain=True,
)  # fmt: skip
