"""How to ask further: the SQL behind the page's figures, as commands to copy."""

import re
from datetime import date, timedelta

from pipelines.reports.figures import Row, Rows

_SAFE_ID = re.compile(r"[A-Za-z0-9_.:@/+-]+")
"""Ids come from logs; only harmless ones are put into a command that a person may paste into a shell."""

_QUESTIONS = {
    "The spend of the day by component": """
        SELECT component, sum(spend_usd) AS usd FROM spend('{on}', '{following}', 'booked')
        GROUP BY ALL ORDER BY usd DESC""",
    "Cost per million tokens by model": """
        SELECT model, sum(total_tokens) AS tokens, sum(usage_usd) AS usage_usd, sum(available_usd) AS available_usd,
        1e6 * sum(available_usd)::DOUBLE / nullif(sum(total_tokens - unpriced_tokens), 0) AS available_usd_per_mtok
        FROM mart.cost_per_token_daily WHERE accrued_on = '{on}' AND route IS DISTINCT FROM '(unallocated)'
        GROUP BY ALL ORDER BY available_usd DESC NULLS LAST""",
    "Owning against every API of the same model": """
        SELECT deployment, chip, api_provider, api_model, billed_usd, api_usd, tokens,
        break_even_tokens, capacity_tokens, cheaper FROM mart.break_even
        WHERE accrued_on = '{on}' ORDER BY deployment, chip, api_usd""",
    "Routing mistakes to mend": """
        SELECT route, kind, clause, provider, model, alternative_provider, alternative_model, count(*) AS attempts,
        sum(regret_usd) AS regret_usd FROM mart.routing_mistakes WHERE accrued_on = '{on}'
        GROUP BY ALL ORDER BY regret_usd DESC NULLS LAST""",
    "Bursts of cold starts": """
        SELECT deployment, onset_at, ended_at, start_count, burst_usd, delayed_request_count, cause, cure_usd_per_day
        FROM mart.cold_start_bursts WHERE started_on = '{on}' ORDER BY burst_usd DESC NULLS LAST""",
    "What has no price": """
        SELECT provider, model, sum(unpriced_count) AS attempts, sum(unpriced_tokens) AS tokens,
        sum(estimated_usd) AS estimated_usd FROM mart.cost_per_token_daily
        WHERE accrued_on = '{on}' AND unpriced_count > 0 GROUP BY ALL ORDER BY tokens DESC""",
    "How far it can be trusted": """
        SELECT * FROM ops.coverage WHERE accrued_on = '{on}'""",
}
_EXPLAIN = "SELECT * FROM explain_cost('{request_id}')"


def questions(on: date, found: dict[str, Rows]) -> list[Row]:
    """Return titles and queries; each runs as `nanodollar sql "..."`, so none holds a double quote or a dollar."""
    days = {"on": on, "following": on + timedelta(days=1)}
    asked = {title: " ".join(query.split()).format(**days) for title, query in _QUESTIONS.items()}
    worst = next((row["request_id"] for row in found["worst"] if _SAFE_ID.fullmatch(row["request_id"])), None)
    if worst is not None:
        asked["The costliest mistake, from log row to dollars"] = _EXPLAIN.format(request_id=worst)
    return [{"title": title, "query": query} for title, query in asked.items()]
