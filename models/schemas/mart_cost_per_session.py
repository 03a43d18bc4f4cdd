import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION, AGENT, ENVIRONMENT, FEATURE, PAYING_TENANT, TEAM


def _count(name: str, comment: str) -> Column:
    return Column(name=name, dtype=pl.Int64, comment=comment, required=True)


TABLE = Table(
    schema="mart",
    name="cost_per_session",
    grain="One row per business day x session x tenant x team x feature x environment x agent: what a conversation, an agent's run or a task cost, sub-agents, failures and retries inside",
    columns=(
        ACCRUED_ON_PARTITION,
        Column(
            name="session_kind",
            dtype=pl.String,
            comment="session: the log names it, or the one session of the call's trace; trace: no call of the trace names a session; none: neither is known",
            required=True,
            one_of=("session", "trace", "none"),
        ),
        Column(
            name="session_id",
            dtype=pl.String,
            comment="Conversation, or trace; NULL: of all calls without either. A session of several days or agents has several rows",
        ),
        PAYING_TENANT,
        TEAM,
        FEATURE,
        ENVIRONMENT,
        AGENT,
        Column(name="started_at", dtype=INSTANT, comment="First call of the row, UTC", required=True),
        Column(
            name="ended_at",
            dtype=INSTANT,
            comment="Latest end of a call of the row, UTC, as far as ends are known",
            required=True,
        ),
        _count("request_count", "Logical requests that began"),
        _count("attempt_count", "Attempts that began; gateway-cache hits excluded"),
        _count("error_count", "Attempts that failed"),
        _count("retry_count", "Attempts after the first of their request, fallbacks excluded"),
        _count("fallback_count", "Attempts to which the router fell back"),
        _count("unpriced_count", "Attempts without a price: in no dollars"),
        _count("input_tokens", "All input classes"),
        _count("output_tokens", "All output classes"),
        _count("total_tokens", "All classes"),
        _count("priced_tokens", "Tokens of priced and free attempts: the divisor of a rate"),
        Column(
            name="usage_usd",
            dtype=USD,
            comment="Effective dollars, serving only for pools; NULL when nothing is priced",
        ),
        Column(
            name="gpu_usd", dtype=USD, comment="Part of usage_usd: served by owned pools, idle time apart"
        ),
        Column(name="failed_usd", dtype=USD, comment="Part of usage_usd: attempts that failed; NULL: none"),
        Column(
            name="retry_usd",
            dtype=USD,
            comment="Part of usage_usd: attempts after the first of their request; NULL: none",
        ),
        Column(
            name="estimated_usd",
            dtype=USD,
            comment="Estimate for the unpriced attempts: shown apart, never summed in",
        ),
    ),
    key=("accrued_on", "session_kind", "session_id", "tenant", "team", "feature", "environment", "agent"),
    partition="accrued_on",
)
