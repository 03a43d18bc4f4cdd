"""The daily report: one self-contained page for finance, then analysts, then the platform.

Here: what the figures mean (changes, the parts of the spend, how far to trust them). SQL is in daily_figures/,
plots in plots.py, words in daily.html.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
from jinja2 import Environment

from models.periods import business_day_bounds
from models.schemas.vocabulary import POOL_PARTS, UNALLOCATED
from pipelines.reports import plots, wording
from pipelines.reports.environment import page_environment
from pipelines.reports.figures import PLOTTED_DAYS, Row, Rows, figures
from pipelines.reports.names import provider_name
from pipelines.reports.pages import add_parts
from pipelines.reports.period import PeriodReport, period_report
from pipelines.reports.questions import questions
from pipelines.reports.trust import trust

PROVIDERS_AT_MOST = 8
_WEEK = timedelta(days=7)
_PARTS = {
    "starting": "GPU time of starts",
    "idle": "GPU time idle",
    "failed": "GPU time of failed replicas",
    "draining": "GPU time draining",
    "padding": "Billing minimums and rounding",
    "unheld": "GPUs that no replica held",
    "unused_commitment": "Commitments not used",
}
_ALWAYS_SHOWN = ("starting", "idle", "failed")
_NO_POOLS: Row = {"pool_hour_count": 0, "unpriced_hour_count": 0} | {
    f"{part}_{unit}": None for part in POOL_PARTS for unit in ("usd", "gpu_seconds")
}
_NO_STARTS: Row = {"start_count": 0, "start_usd": None}
_NO_BAR = {"usage_bar": 0.0, "overhead_bar": 0.0}


def render_days(
    con: duckdb.DuckDBPyConnection,
    days: Sequence[date],
    *,
    time_zone: str,
    generated_at: datetime,
) -> Iterator[tuple[date, str | None]]:
    """Yield each business day with its HTML page; a page loads nothing, so it works offline and as an attachment.

    A day of which the warehouse holds nothing has none.

    Args:
        con: a session in which the warehouse's schemas are the current ones.
        days: business days, in order and without a gap; the warehouse is read once for all of them.
        time_zone: IANA zone in which days are cut.
        generated_at: now, aware.
    """
    found = figures(con, days, time_zone=time_zone)
    template = _environment().get_template("daily.html")
    common = {"generated_at": generated_at, "time_zone": time_zone}
    # All that is read is of one snapshot, which DuckLake then looks up once.
    con.begin()
    try:
        for day in days:
            if not _has_something(found[day], day):
                yield day, None
                continue
            context = _context(day, found[day], time_zone=time_zone, now=generated_at)
            report = period_report(
                con, "daily", day, time_zone=time_zone, now=generated_at, judged=context["trust"]
            )
            yield day, template.render(common | context | {"report": report, "whose": _whose(report)})
    finally:
        con.rollback()


def _context(on: date, found: dict[str, Rows], *, time_zone: str, now: datetime) -> dict[str, Any]:
    """Return what the template says of a day."""
    starts_at, ends_at = business_day_bounds(on, time_zone=time_zone)
    days = [on - timedelta(days=back) for back in reversed(range(PLOTTED_DAYS))]
    by_day = {row["day_on"]: row for row in found["spend_by_day"] if row["provider"] is None}
    by_provider: dict[date, dict[str, Row]] = {}
    for row in found["spend_by_day"]:
        if row["provider"] is not None:
            by_provider.setdefault(row["day_on"], {})[row["provider"]] = row
    tables = {
        dimension: _with_bars([row for row in found["cost_per_token"] if row["dimension"] == dimension])
        for dimension in ("model", "route", "chip")
    }
    total = next((row for row in found["cost_per_token"] if row["dimension"] == "total"), None)
    total = None if total is None or total["attempt_count"] is None else _with_rates(total) | _NO_BAR
    coverage = [row for row in found["coverage"] if not row["is_total"]]
    pools = next(iter(found["pools"]), _NO_POOLS)
    is_running = now < ends_at
    return {
        "on": on,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "is_running": is_running,
        "closed": [row["period"] for row in found["closed"]],
        "day": _loaded(by_day.get(on)),
        "total": total,
        "tables": tables,
        "pools": pools,
        "parts": _parts(by_day.get(on), pools, found["other_charges"]),
        "references": [
            {"label": label, "on": day, "day": _loaded(by_day.get(day))}
            for label, day in (
                ("day before", on - timedelta(days=1)),
                (f"{on - _WEEK:%A} before", on - _WEEK),
            )
        ],
        "providers": _providers(by_provider, on),
        "unpriced": found["unpriced"],
        "figure_classes": found["figure_classes"],
        "regret": _regret(found),
        "fixes": found["fixes"],
        "worst": found["worst"],
        "starts": [row for row in found["starts"] if not row["is_total"]],
        "starts_total": next((row for row in found["starts"] if row["is_total"]), _NO_STARTS),
        "bursts": found["bursts"],
        "coverage": coverage,
        "coverage_total": next((row for row in found["coverage"] if row["is_total"]), None)
        if coverage
        else None,
        "checks": found["checks"],
        "trust": trust(
            total,
            found,
            pools,
            spend_usd=(by_day.get(on) or {}).get("spend_usd"),
            is_running=is_running,
        ),
        "spend_plot": plots.spend_by_day(
            {
                day: {name: row["spend_usd"] for name, row in rows.items() if row["spend_usd"] is not None}
                for day, rows in by_provider.items()
            },
            loaded=set(by_day),
            on=on,
            days=days,
        ),
        "plotted": [{"on": day, "day": _loaded(by_day.get(day))} for day in days],
        "starts_plot": plots.starts_by_time(
            found["start_bins"], found["bursts"], starts_at=starts_at, ends_at=ends_at, time_zone=time_zone
        ),
        "gpu_bill": [_with_rate(row) for row in found["gpu_bill"]],
        "allocation": found["allocation"],
        "weights": found["weights"],
        "owning": _cheapest_apis(found["break_even"]),
        "owning_plot": plots.break_even(found["break_even"]),
        "chips": found["chips"],
        "questions": questions(on, found),
        "unallocated": UNALLOCATED,
    }


def _has_something(found: dict[str, Rows], on: date) -> bool:
    """Whether the warehouse holds anything of a day."""
    return any(row["day_on"] == on for name in ("spend_by_day", "starts", "regret") for row in found[name])


def _whose(report: PeriodReport) -> dict[str, Any]:
    """Return the views of a day that its page shows beside its own tables."""
    return {view.name: view for view in report.views}


@cache
def _environment() -> Environment:
    environment = page_environment()
    for word in (
        "money",
        "change",
        "rate",
        "share",
        "filled",
        "count",
        "duration",
        "clock",
        "plural",
        "breakable",
    ):
        environment.filters[word] = getattr(wording, word)
    environment.globals["change_ratio"] = wording.change_ratio
    environment.globals["word"] = wording.word
    environment.filters["provider_name"] = provider_name
    add_parts(environment)
    return environment


def _loaded(row: Row | None) -> Row | None:
    """Return a day's sums with its rates, or None when the warehouse holds nothing of that day."""
    if row is None:
        return None
    # A day may have nothing but overhead or corrections, which count no tokens.
    uncounted = {
        name: 0 for name, value in row.items() if value is None and name.endswith(("_tokens", "_count"))
    }
    return _with_rates(row | uncounted)


def _with_rates(row: Row) -> Row:
    """Add the ratios of the row's own sums: never a mean of ratios."""
    priced_tokens = row["total_tokens"] - row["unpriced_tokens"]
    rates = {
        "usage_usd_per_mtok": _per_mtok(row["usage_usd"], priced_tokens),
        "available_usd_per_mtok": _per_mtok(row["available_usd"], priced_tokens),
        "priced_ratio": 1 - row["unpriced_count"] / row["attempt_count"] if row["attempt_count"] else None,
    }
    if "input_usd" in row:
        rates["input_usd_per_mtok"] = _per_mtok(row["input_usd"], row["priced_input_tokens"])
        rates["output_usd_per_mtok"] = _per_mtok(row["output_usd"], row["priced_output_tokens"])
    return row | rates


def _per_mtok(usd: Decimal | None, tokens: int | None) -> float | None:
    return None if usd is None or not tokens else float(usd * 1_000_000 / tokens)


def _with_bars(rows: Rows) -> Rows:
    """Add rates, and the widths in percent of the bar of each row: usage, then what availability adds."""
    rated = [_with_rates(row) for row in rows]
    longest = max((row["available_usd_per_mtok"] or 0 for row in rated), default=0)
    if not longest:
        return [row | _NO_BAR for row in rated]
    for row in rated:
        whole = 100 * (row["available_usd_per_mtok"] or 0) / longest
        row["usage_bar"] = min(whole, 100 * (row["usage_usd_per_mtok"] or 0) / longest)
        row["overhead_bar"] = whole - row["usage_bar"]
    return rated


def _parts(day: Row | None, pools: Row, charges: Rows) -> list[dict[str, Any]]:
    """Return the lines that sum to the spend of the day, with subtotals; empty without a dollar."""
    if day is None or day["spend_usd"] is None:
        return []
    nothing = Decimal(0)
    lines = [_line("Usage: tokens bought and GPU time that served requests", day["usage_usd"])]
    overhead = nothing
    for part in sorted(POOL_PARTS[1:], key=list(_PARTS).index):
        usd = pools[f"{part}_usd"]
        overhead += usd or nothing
        if pools["pool_hour_count"] and (usd or part in _ALWAYS_SHOWN):
            lines.append(_line(_PARTS[part], usd, seconds=pools[f"{part}_gpu_seconds"]))
    available = day["available_usd"] or nothing
    rest = available - (day["usage_usd"] or nothing) - overhead
    if rest:
        lines.append(_line("GPU time in service that no priced request carries", rest))
    lines.append(_line("Available: all that was billed for tokens and GPUs", available, level="subtotal"))
    for charge in charges:
        if charge["usd"] is not None:
            unknown = f", {charge['unpriced_count']} without a price" if charge["unpriced_count"] else ""
            name = f"Without a request: {charge['meter'].replace('_', ' ')}{unknown}"
            lines.append(_line(name, charge["usd"]))
    if day["corrections_usd"] is not None:
        lines.append(_line("Corrections of closed periods booked on this day", day["corrections_usd"]))
    if len(lines) > 1 and lines[-1]["level"] == "subtotal":
        lines.pop()
    return [*lines, _line("Spend of the day (available basis)", day["spend_usd"], level="total")]


def _line(label: str, usd: Decimal | None, *, level: str = "part", seconds: Decimal | None = None) -> Row:
    return {
        "label": label,
        "usd": usd,
        "level": level,
        "gpu_hours": None if seconds is None else seconds / 3600,
    }


def _providers(by_provider: dict[date, dict[str, Row]], on: date) -> Rows:
    """Return spend by provider on the day, the day before and a week before, largest first, the rest folded."""
    columns = (on, on - timedelta(days=1), on - _WEEK)
    names = {name for day in columns for name in by_provider.get(day, {})}
    nothing = {"spend_usd": Decimal(0)}
    rows: Rows = [
        {"name": name, "members": 1}
        | {
            f"usd_{place}": by_provider.get(day, {}).get(name, nothing)["spend_usd"]
            for place, day in enumerate(columns)
        }
        for name in names
    ]
    rows.sort(key=lambda row: (-(row["usd_0"] or 0), -(row["usd_1"] or 0), row["name"]))
    if len(rows) <= PROVIDERS_AT_MOST + 1:
        return rows
    rest = rows[PROVIDERS_AT_MOST:]
    folded = {
        f"usd_{place}": sum((row[f"usd_{place}"] or Decimal(0) for row in rest), Decimal(0))
        for place in range(3)
    }
    return [*rows[:PROVIDERS_AT_MOST], {"name": None, "members": len(rest)} | folded]


def _with_rate(row: Row) -> Row:
    """Add the rate of a GPU hour, how busy the ready ones were, and what is neither serving nor idle."""
    hours = row["billed_gpu_seconds"] / 3600
    ready = row["serving_gpu_seconds"] + row["idle_gpu_seconds"]
    is_known = row["billed_usd"] is not None and not row["unpriced_hour_count"]
    return row | {
        "gpu_hours": hours,
        "usd_per_gpu_hour": float(row["billed_usd"] / hours) if is_known and hours else None,
        "busy_ratio": float(row["serving_gpu_seconds"] / ready) if ready else None,
        "other_usd": None
        if row["billed_usd"] is None
        else row["billed_usd"] - row["serving_usd"] - row["idle_usd"],
    }


def _cheapest_apis(offers: Rows) -> Rows:
    """Return each owned pool beside the API that would have served its day for least; offers come cheapest first."""
    pools: dict[tuple[str, ...], Row] = {}
    for row in offers:
        pool = pools.setdefault(
            (row["provider"], row["region"], row["chip"], row["deployment"]), row | {"api_count": 0}
        )
        pool["api_count"] += 1
    return list(pools.values())


def _regret(found: dict[str, Rows]) -> dict[str, Any]:
    """Return regret by kind with its total, what is listed of it, and what the data could not judge."""
    kinds = [row for row in found["regret"] if row["kind"] != "not_evaluated"]
    rest = [row for row in found["regret"] if row["kind"] == "not_evaluated"]
    usd, listed = _sum(kinds, "regret_usd"), _sum(found["fixes"], "regret_usd")
    return {
        "is_judged": bool(found["regret"]),
        "kinds": kinds,
        "attempt_count": sum(row["attempt_count"] for row in kinds),
        "cost_usd": _sum(kinds, "cost_usd"),
        "usd": usd,
        "low_usd": _sum(kinds, "regret_low_usd"),
        "high_usd": _sum(kinds, "regret_high_usd"),
        "wasted_usd": _sum(found["regret"], "wasted_usd"),
        "unlisted_usd": None if usd is None else usd - (listed or Decimal(0)),
        "listed_count": sum(row["attempt_count"] for row in found["fixes"]),
        "not_evaluated_count": sum(row["attempt_count"] for row in rest),
    }


def _sum(rows: Rows, name: str) -> Decimal | None:
    """Sum what is known; None when nothing is."""
    known = [row[name] for row in rows if row[name] is not None]
    return sum(known, Decimal(0)) if known else None
