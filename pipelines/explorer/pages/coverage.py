"""Coverage and checks: how far the figures can be trusted, source by source and check by check."""

from pathlib import Path

from pipelines import reports
from pipelines.explorer.figure import Figure, ask
from pipelines.explorer.page import Content, Page, PageContext
from pipelines.quoting import sql_text
from pipelines.reports.view import ViewColumn

_TABLE = "ops.coverage"
_COUNTS = (
    "attempt_count", "priced_count", "free_count", "unpriced_count", "unpriced_tokens", "provider_usage_count",
    "estimated_usage_count", "missing_usage_count", "duplicate_count", "quarantined_count", "late_count",
    "unread_usage_count",
)  # fmt: skip


def build(asked: PageContext) -> Content:
    """Show coverage by source, what has no price, checks, counters and quarantine."""
    return Content(
        "What is priced, what was counted by whom, what is missing, and which checks of the data do not hold.",
        (_sources(asked), _unpriced(asked), _checks(asked), _counters(asked), _quarantine(asked)),
    )


def _sources(asked: PageContext) -> Figure:
    state = asked.state
    sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in _COUNTS)
    return ask(
        asked.opened, "sources", "By source",
        "SELECT source,\n  ((sum(priced_count) + sum(free_count)) / nullif(sum(attempt_count), 0))::DOUBLE AS priced_ratio,\n"
        "  (sum(provider_usage_count) / nullif(sum(attempt_count), 0))::DOUBLE AS measured_ratio,\n"
        f"  {sums}\nFROM {_TABLE}\nWHERE {state.where(_TABLE)}\nGROUP BY 1\nORDER BY 1",
        [
            ViewColumn("source", "Source"), ViewColumn("attempt_count", "Attempts", "count", is_summed=True),
            ViewColumn("priced_ratio", "Priced", "ratio"), ViewColumn("measured_ratio", "Counted by the provider", "ratio"),
            ViewColumn("unpriced_count", "Without a price", "count", is_summed=True),
            ViewColumn("unpriced_tokens", "Their tokens", "count", is_summed=True),
            ViewColumn("estimated_usage_count", "Usage estimated", "count", is_summed=True),
            ViewColumn("missing_usage_count", "Usage missing", "count", is_summed=True),
            ViewColumn("duplicate_count", "Duplicates removed", "count", is_summed=True),
            ViewColumn("quarantined_count", "In quarantine", "count", is_summed=True),
            ViewColumn("late_count", "Late", "count", is_summed=True),
            ViewColumn("unread_usage_count", "With fields no rule reads", "count", is_summed=True),
        ],
        coverage="Every attempt that was read is in it.", notes=state.unheard(_TABLE),
        links={"source": lambda row: state.url(source=row["source"])},
    )  # fmt: skip


def _unpriced(asked: PageContext) -> Figure:
    state, table = asked.state, "core.request_costs"
    return ask(
        asked.opened, "unpriced", "What has no price",
        "SELECT coalesce(provider, '(none)') AS provider, coalesce(served_model, requested_model, '(none)') AS model,\n"
        "  unpriced_reason AS reason, count(*) AS attempts, sum(estimated_usd)::DECIMAL(38,12) AS estimated_usd,\n"
        f"  min(request_id) AS example\nFROM {table}\nWHERE price_state = 'unpriced' AND is_first_accrual\n"
        f"  AND {state.where(table)}\nGROUP BY 1, 2, 3\nORDER BY attempts DESC, provider, model, reason",
        [
            ViewColumn("provider", "Provider"), ViewColumn("model", "Model"), ViewColumn("reason", "Why"),
            ViewColumn("attempts", "Attempts", "count", is_summed=True),
            ViewColumn("estimated_usd", "Estimate, in no total", "usd", is_summed=True), ViewColumn("example", "For example"),
        ],
        coverage="Attempts; pool-hours of GPUs without a price stand on the page Pools.",
        links={"example": lambda row: state.url("/request", id=row["example"])},
        none="Every attempt has a price.", is_detail=True,
    )  # fmt: skip


def _checks(asked: PageContext) -> Figure:
    state = asked.state
    zone = sql_text(asked.time_zone)
    days = f"generate_series(DATE '{state.first}', DATE '{state.last}', INTERVAL 1 DAY)"
    starts = f"list_transform({days}, lambda d: d::TIMESTAMP AT TIME ZONE {zone})"
    ends = f"list_transform({days}, lambda d: (d + INTERVAL 1 DAY)::TIMESTAMP AT TIME ZONE {zone})"
    file = Path(reports.__file__).parent / "daily_figures" / "checks.sql"
    per_day = (
        file.read_text(encoding="utf-8")
        .replace("$days", days)
        .replace("$starts_at", starts)
        .replace("$ends_at", ends)
    )
    return ask(
        asked.opened, "checks", "Checks",
        "SELECT check_name, is_passed, is_error,\n"
        "  CASE WHEN count(DISTINCT table_name) > 4 THEN count(DISTINCT table_name) || ' tables'\n"
        "    ELSE string_agg(DISTINCT table_name, ', ' ORDER BY table_name) END AS tables,\n"
        "  count(DISTINCT day_on) AS days, max(summary) AS summary\nFROM (\n"
        f"{per_day.strip()}\n)\nGROUP BY 1, 2, 3\nORDER BY is_passed, is_error DESC, 1",
        [
            ViewColumn("check_name", "Check"), ViewColumn("is_passed", "Holds"), ViewColumn("is_error", "Makes figures wrong"),
            ViewColumn("days", "On days", "count"), ViewColumn("summary", "What it found"), ViewColumn("tables", "Tables"),
        ],
        coverage="The results that still count for a day of the period.",
        none="No check has looked at this period yet.",
    )  # fmt: skip


def _counters(asked: PageContext) -> Figure:
    state, table = asked.state, "ops.completeness_daily"
    return ask(
        asked.opened, "counters", "Logs against independent counters",
        "SELECT provider, source, sum(counted_count)::BIGINT AS counted, sum(missing_count)::BIGINT AS missing,\n"
        "  sum(counted_tokens)::BIGINT AS counted_tokens, sum(missing_tokens)::BIGINT AS missing_tokens,\n"
        f"  sum(missing_estimated_usd)::DECIMAL(38,12) AS missing_usd\nFROM {table}\n"
        f"WHERE {state.where(table, 'counted_on')}\nGROUP BY 1, 2\nORDER BY 1, 2",
        [
            ViewColumn("provider", "Provider"), ViewColumn("source", "Counter"), ViewColumn("counted", "Calls counted", "count"),
            ViewColumn("missing", "In no log", "count", is_summed=True), ViewColumn("counted_tokens", "Tokens counted", "count"),
            ViewColumn("missing_tokens", "In no log", "count", is_summed=True),
            ViewColumn("missing_usd", "Estimate, in no total", "usd", is_summed=True),
        ],
        coverage="UTC days that a counter covers.",
        none="No independent counter says whether logs are missing; docs/completeness.md says how to add one.",
    )  # fmt: skip


def _quarantine(asked: PageContext) -> Figure:
    return ask(
        asked.opened, "quarantine", "Records that could not be used",
        "SELECT source, reason, any_value(detail ORDER BY detail) AS example, count(*) AS records\n"
        "FROM ops.quarantine\nGROUP BY 1, 2\nORDER BY records DESC, 1, 2",
        [
            ViewColumn("source", "Source"), ViewColumn("reason", "Why"), ViewColumn("example", "For example"),
            ViewColumn("records", "Records", "count", is_summed=True),
        ],
        coverage="Of all days; they are in no figure until they are mended and read again.",
        none="None.",
    )  # fmt: skip


PAGE = Page("/coverage", "Coverage and checks", 75, build, table=_TABLE)
