"""What tells of cold starts and their bursts."""

from datetime import date, datetime, timedelta

import polars as pl

from models.cold_starts.bursts import DAYS_BEFORE, HISTORY_DAYS
from pipelines.steps.inputs import Inputs

START_LOOKBACK = timedelta(hours=7)
"""How far before a day losses and usual traffic are looked at, to tell why replicas were started."""
LONGEST_WAIT = timedelta(hours=1)
"""How long after a day a request may still come that waits for one of its starts."""
_WAITING = (
    "source", "request_id", "replica_id", "route", "provider", "region", "served_model", "started_at",
    "first_token_at", "finished_at", "queue_seconds", "status", "user_id", "api_key_id", "tenant",
    "team",
    "is_gateway_cache_hit",
)  # fmt: skip
"""What tells of a request whether it waited for a replica."""


def waiting_requests(inputs: Inputs, *, early: datetime, late: datetime) -> pl.DataFrame:
    """Return the requests of [early, late) that a start may have held up, or from which one may be inferred."""
    return inputs.query(
        f"SELECT {', '.join(_WAITING)} FROM core.requests WHERE started_at >= $early AND started_at < $late "
        "AND (replica_id IS NOT NULL OR queue_seconds IS NOT NULL "
        "OR route IN (SELECT deployment FROM core.replica_events) "
        "OR provider IN (SELECT provider FROM ref.gpu_prices))",
        {"early": early, "late": late},
    )


def burst_history(inputs: Inputs, *, from_on: date, to_on: date) -> pl.DataFrame:
    """Return the starts on which the bursts of [from_on, to_on) depend: of the days before and until `to_on`."""
    return inputs.query(
        "SELECT * REPLACE (CASE WHEN started_on >= $since THEN delayed_users END AS delayed_users) "
        "FROM mart.cold_starts WHERE started_on >= $early AND started_on <= $to_on",
        {
            "early": from_on - timedelta(days=HISTORY_DAYS),
            "since": from_on - timedelta(days=DAYS_BEFORE),
            "to_on": to_on,
        },
    )
