"""How the warehouse stands after a run, in a few lines: what was spent, how far to trust it, what has no price."""

from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from pipelines.project import Project
from pipelines.quoting import shell_word
from pipelines.reports.trust import trust_of_days
from pipelines.reports.wording import plural

_DAYS_AT_MOST = 31
_MODELS_AT_MOST = 3
_BUILT = "SELECT min(accrued_on), max(accrued_on) FROM mart.cost_per_token_daily"
_UNPRICED = """
SELECT coalesce(provider, 'an unknown provider') AS provider,
  coalesce(served_model, requested_model, '(no model)') AS model, count(*) AS attempts, min(request_id) AS example
FROM core.request_costs
WHERE price_state = 'unpriced' AND is_first_accrual AND accrued_on >= $first AND accrued_on <= $last
GROUP BY ALL ORDER BY attempts DESC, provider, model LIMIT $most
"""
_REFUSED = """
SELECT source, reason, any_value(detail) AS example, count(*) AS records FROM ops.quarantine
GROUP BY source, reason ORDER BY records DESC, source, reason
"""


def standing(con: duckdb.DuckDBPyConnection, project: Project, *, now: datetime) -> list[str]:
    """Return lines for the end of a run; of the figures none where no business day is built yet.

    Args:
        con: a session on the lake.
        project: its settings.
        now: aware.
    """
    ((first, last),) = con.execute(_BUILT).fetchall()
    if last is None:
        return _refused(con)
    first = max(first, last - timedelta(days=_DAYS_AT_MOST - 1))
    days = [first + timedelta(days=step) for step in range((last - first).days + 1)]
    found = trust_of_days(con, days, time_zone=project.time_zone, now=now)
    span = {"first": first, "last": last, "most": _MODELS_AT_MOST}
    lines = [found.of(_named(first, last))]
    lines += [
        f"  no price: {model} of {provider} in {plural(attempts, 'attempt')}; "
        f"`nanodollar explain {shell_word(example)}` says what to add."
        for provider, model, attempts, example in con.execute(_UNPRICED, span).fetchall()
    ]
    lines += _refused(con)
    report = project.reports / "daily" / f"{last.isoformat()}.html"
    if report.exists():
        lines.append(f"Report: {_short(report)}; ask more with `nanodollar sql`.")
    return lines


def _refused(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Say how many records are in no figure because they could not be used, and why most of them."""
    rows = con.execute(_REFUSED).fetchall()
    if not rows:
        return []
    source, reason, example, most = rows[0]
    why = f"{reason} ({example})" if example else reason
    number = sum(row[-1] for row in rows)
    mostly = "" if most == number else f"{most:,} of them: "
    return [
        (
            f"  {plural(number, 'record')} could not be used and {'is' if number == 1 else 'are'} in no figure "
            f"({mostly}{source}: {why}); `nanodollar quarantine list` says more."
        )
    ]


def _named(first: date, last: date) -> str:
    return f"{last}" if first == last else f"{first} to {last}"


def _short(path: Path) -> Path:
    """Return a path as seen from here, where it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
