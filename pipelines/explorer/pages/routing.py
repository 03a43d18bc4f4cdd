"""Routing mistakes: what calls cost above the cheapest that the policy allowed, by kind, route and attempt."""

from pipelines.explorer.charts import bars_over_time
from pipelines.explorer.figure import Figure, ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.reports.view import ViewColumn

_DAILY, _FLAGGED, _JUDGED = (
    "mart.routing_regret_daily",
    "mart.routing_mistakes",
    "mart.routing_coverage_daily",
)
_REGRET = (
    ViewColumn("regret_usd", "Regret", "usd", is_summed=True),
    ViewColumn("regret_low_usd", "At least", "usd", is_summed=True),
    ViewColumn("regret_high_usd", "At most", "usd", is_summed=True),
    ViewColumn("wasted_usd", "Wasted, apart", "usd", is_summed=True),
    ViewColumn("cost_usd", "Cost", "usd", is_summed=True),
    ViewColumn("attempts", "Attempts", "count", is_summed=True),
)
_SUMS = """\
  sum(regret_usd)::DECIMAL(38,12) AS regret_usd, sum(regret_low_usd)::DECIMAL(38,12) AS regret_low_usd,
  sum(regret_high_usd)::DECIMAL(38,12) AS regret_high_usd, sum(wasted_usd)::DECIMAL(38,12) AS wasted_usd,
  sum(cost_usd)::DECIMAL(38,12) AS cost_usd, sum(attempt_count)::BIGINT AS attempts"""


def build(asked: PageContext) -> Content:
    """Show regret by kind and route, over time, and the dearest mistakes."""
    return Content(
        "Regret is what a call cost above the cheapest alternative that the policy allowed at that minute.",
        (_kinds(asked), _over_time(asked), _routes(asked), _dearest(asked), _judged(asked)),
    )


def _share_judged(asked: PageContext) -> str:
    row = asked.opened.answer(
        f"SELECT sum(evaluated_count)::BIGINT AS judged, sum(attempt_count)::BIGINT AS attempts FROM {_JUDGED} "
        f"WHERE {asked.state.where(_JUDGED)}"
    ).row(0)
    if not row[1]:
        return "No attempt was judged."
    return f"{row[0] / row[1]:.1%} of the judgements (attempt by kind) could be made; what could not is listed below."


def _kinds(asked: PageContext) -> Figure:
    state = asked.state
    return ask(
        asked.opened, "kinds", "By kind",
        f"SELECT kind,\n{_SUMS}\nFROM {_DAILY}\nWHERE {state.where(_DAILY)} AND kind <> 'not_evaluated'\n"
        "GROUP BY 1\nORDER BY regret_usd DESC NULLS LAST, kind",
        [ViewColumn("kind", "Kind"), *_REGRET],
        coverage=_share_judged(asked), notes=state.unheard(_DAILY),
        links={"kind": lambda row: state.url(kind=row["kind"])},
        none="No mistake is known in this period.",
    )  # fmt: skip


def _over_time(asked: PageContext) -> Figure:
    state = asked.state
    return ask(
        asked.opened, "over_time", "Regret over time, by kind",
        "SELECT accrued_on AS from_on, kind AS name, sum(regret_usd)::DECIMAL(38,12) AS usd\n"
        f"FROM {_DAILY}\nWHERE {state.where(_DAILY)} AND kind <> 'not_evaluated'\nGROUP BY 1, 2\nORDER BY 1, 2",
        [ViewColumn("from_on", "Day"), ViewColumn("name", "Kind"), ViewColumn("usd", "Regret", "usd", is_summed=True)],
        coverage=_share_judged(asked),
        chart=lambda rows: bars_over_time(
            rows, label="Regret over time",
            link=lambda name, on: state.url(first=on, last=on, **({"kind": name} if name else {})),
        ),
        form="data",
    )  # fmt: skip


def _routes(asked: PageContext) -> Figure:
    state = asked.state
    return ask(
        asked.opened, "routes", "By route",
        f"SELECT coalesce(route, '(none)') AS route,\n{_SUMS}\nFROM {_DAILY}\n"
        f"WHERE {state.where(_DAILY)} AND kind <> 'not_evaluated'\nGROUP BY 1\nORDER BY regret_usd DESC NULLS LAST, route",
        [ViewColumn("route", "Route"), *_REGRET],
        coverage=_share_judged(asked), links={"route": lambda row: state.url(route=row["route"])},
    )  # fmt: skip


def _dearest(asked: PageContext) -> Figure:
    state = asked.state
    return ask(
        asked.opened, "dearest", "The dearest mistakes",
        "SELECT request_id, started_at, kind, route, provider, region, model, alternative_provider, alternative_region,\n"
        "  alternative_model, cost_usd, alternative_usd, regret_usd, clause, policy_line, evidence, confidence_ratio\n"
        f"FROM {_FLAGGED}\nWHERE {state.where(_FLAGGED)}\n"
        "ORDER BY regret_usd DESC NULLS LAST, started_at, request_id\nLIMIT 200",
        [
            ViewColumn("request_id", "Attempt"), ViewColumn("kind", "Kind"), ViewColumn("route", "Route"),
            ViewColumn("provider", "Provider"), ViewColumn("model", "Model"),
            ViewColumn("alternative_provider", "Cheaper at"), ViewColumn("alternative_model", "Cheaper model"),
            ViewColumn("cost_usd", "Cost", "usd", is_summed=True), ViewColumn("regret_usd", "Regret", "usd", is_summed=True),
            ViewColumn("evidence", "Evidence"), ViewColumn("clause", "Clause"), ViewColumn("confidence_ratio", "Sure", "ratio"),
        ],
        coverage="Mistakes below the policy's materiality are counted above and not listed here.",
        links={"request_id": lambda row: state.url("/request", id=row["request_id"])},
        notes=state.unheard(_FLAGGED), none="No attempt is listed.", is_detail=True,
    )  # fmt: skip


def _judged(asked: PageContext) -> Figure:
    state = asked.state
    return ask(
        asked.opened, "judged", "What could not be judged",
        "SELECT kind, coalesce(reason, '') AS reason, sum(attempt_count - evaluated_count)::BIGINT AS not_judged,\n"
        f"  sum(attempt_count)::BIGINT AS attempts\nFROM {_JUDGED}\nWHERE {state.where(_JUDGED)}\nGROUP BY 1, 2\n"
        "HAVING not_judged > 0\nORDER BY not_judged DESC, kind, reason",
        [
            ViewColumn("kind", "Kind"), ViewColumn("reason", "Why not"),
            ViewColumn("not_judged", "Not judged", "count"), ViewColumn("attempts", "Of attempts", "count"),
        ],
        coverage=_share_judged(asked), none="All could be judged.",
    )  # fmt: skip


PAGE = Page("/routing", "Routing mistakes", 60, build, table=_DAILY)
