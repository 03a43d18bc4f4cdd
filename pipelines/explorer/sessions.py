"""The dearest sessions: a figure that several pages show."""

from pipelines.explorer.figure import Figure, ask
from pipelines.explorer.page import PageContext
from pipelines.reports.view import ViewColumn


def dearest_sessions(asked: PageContext) -> Figure:
    """Return the dearest conversations, agents' runs and tasks of the period."""
    state, table = asked.state, "mart.cost_per_session"
    return ask(
        asked.opened, "sessions", "The dearest sessions",
        "WITH dearest AS (\n  SELECT session_id, session_kind, sum(usage_usd) AS usd\n"
        f"  FROM {table}\n  WHERE {state.where(table)} AND session_id IS NOT NULL\n  GROUP BY 1, 2\n"
        "  ORDER BY usd DESC NULLS LAST, session_id, session_kind\n  LIMIT 100\n)\n"
        "SELECT session_id, session_kind, string_agg(DISTINCT agent, ', ' ORDER BY agent) AS agents,\n"
        "  CASE WHEN count(DISTINCT tenant) > 1 THEN '(several)' ELSE min(tenant) END AS tenant,\n"
        "  CASE WHEN count(DISTINCT team) > 1 THEN '(several)' ELSE min(team) END AS team,\n"
        "  CASE WHEN count(DISTINCT feature) > 1 THEN '(several)' ELSE min(feature) END AS feature,\n"
        "  sum(usage_usd)::DECIMAL(38,12) AS usage_usd, sum(failed_usd)::DECIMAL(38,12) AS failed_usd,\n"
        "  sum(retry_usd)::DECIMAL(38,12) AS retry_usd, sum(request_count)::BIGINT AS requests,\n"
        "  sum(attempt_count)::BIGINT AS attempts, sum(total_tokens)::BIGINT AS tokens,\n"
        "  sum(total_tokens - priced_tokens)::BIGINT AS unpriced_tokens\n"
        f"FROM {table} JOIN dearest USING (session_id, session_kind)\nWHERE {state.where(table)}\nGROUP BY 1, 2\n"
        "ORDER BY usage_usd DESC NULLS LAST, session_id, session_kind",
        [
            ViewColumn("session_id", "Session or trace"), ViewColumn("session_kind", "Told by"),
            ViewColumn("agents", "Agents"),
            ViewColumn("tenant", "Tenant"), ViewColumn("team", "Team"), ViewColumn("feature", "Feature"),
            ViewColumn("usage_usd", "Usage", "usd"), ViewColumn("failed_usd", "Of it failed", "usd"),
            ViewColumn("retry_usd", "Of it retries", "usd"), ViewColumn("requests", "Requests", "count"),
            ViewColumn("attempts", "Attempts", "count"), ViewColumn("tokens", "Tokens", "count"),
            ViewColumn("unpriced_tokens", "Without a price", "count"),
        ],
        links={"session_id": lambda row: state.url("/requests", by="", session_id=row["session_id"])
               if row["session_kind"] == "session" else None},
        notes=["Usage alone: what stood ready belongs to no session.", *state.unheard(table)], is_detail=True,
    )  # fmt: skip
