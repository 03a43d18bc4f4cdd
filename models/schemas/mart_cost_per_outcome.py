import polars as pl

from models.money import USD
from models.schemas.base import Column, Table


def _count(name: str, comment: str) -> Column:
    return Column(name=name, dtype=pl.Int64, comment=comment, required=True)


TABLE = Table(
    schema="mart",
    name="cost_per_outcome",
    grain="One row per business day x kind of task x tenant x team x feature x environment: what the finished tasks of a source of kind outcomes cost. Over several rows use usd_per_outcome()",
    columns=(
        Column(
            name="finished_on",
            dtype=pl.Date,
            comment="Business date on which the tasks ended; the partition",
            required=True,
        ),
        Column(name="outcome", dtype=pl.String, comment="Kind of task", required=True),
        Column(name="tenant", dtype=pl.String, comment="Tenant of the task, else that of its session"),
        Column(name="team", dtype=pl.String, comment="Team of the session"),
        Column(name="feature", dtype=pl.String, comment="Feature of the session"),
        Column(name="environment", dtype=pl.String, comment="Environment of the session"),
        _count("outcome_count", "Tasks that ended"),
        _count("success_count", "Of them, those that were done"),
        _count(
            "covered_count",
            "Tasks whose session is in the logs and whose every attempt has a price: what ratios rest on",
        ),
        _count("covered_success_count", "Of them, those that were done"),
        _count("unknown_session_count", "Tasks that name a session that no log has"),
        Column(name="attempt_count", dtype=pl.Int64, comment="Attempts of the sessions; NULL: none known"),
        Column(name="total_tokens", dtype=pl.Int64, comment="Tokens of the sessions; NULL: none known"),
        Column(
            name="usage_usd",
            dtype=USD,
            comment="What the sessions cost until the day on which the task ended (30 days back at most, and after the session's task before), retries, failures and sub-agents inside; tasks of one session and day share equally",
        ),
        Column(name="covered_usd", dtype=USD, comment="Part of usage_usd of the covered tasks"),
        Column(name="value_usd", dtype=USD, comment="What the tasks were worth; NULL: not given"),
        Column(
            name="coverage_ratio", dtype=pl.Float64, comment="covered_count / outcome_count. Never summed"
        ),
        Column(
            name="least_coverage_ratio",
            dtype=pl.Float64,
            comment="[outcomes] least_coverage_percent: below it ratios are refused. Never summed",
        ),
        Column(
            name="usd_per_outcome",
            dtype=pl.Float64,
            comment="covered_usd / covered_count; NULL where it is refused. Never summed",
        ),
        Column(
            name="usd_per_success",
            dtype=pl.Float64,
            comment="covered_usd, failed tasks included, for each task that was done; NULL where it is refused. Never summed",
        ),
        Column(name="refused_reason", dtype=pl.String, comment="Why a ratio is NULL; NULL where it stands"),
    ),
    key=("finished_on", "outcome", "tenant", "team", "feature", "environment"),
    partition="finished_on",
)
