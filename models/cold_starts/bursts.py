"""mart.cold_start_bursts: bursts of cold starts as incidents, with what they cost, why they were and their cure."""

from datetime import date, datetime, timedelta

import polars as pl

from models.cold_starts.alarms import LOOKBACK_DAYS, burst_alarms
from models.cold_starts.cures import with_cures
from models.cold_starts.incidents import incidents
from models.cold_starts.series import start_series
from models.schemas import table

DAYS_BEFORE = 3
"""Days before a range whose alarms may belong to an incident of its first day."""
HISTORY_DAYS = LOOKBACK_DAYS + DAYS_BEFORE + 1
"""Days of starts before a range on which its bursts depend; the windows of the first look back two hours more."""


def cold_start_bursts(
    starts: pl.DataFrame,
    *,
    from_on: date,
    to_on: date,
    time_zone: str,
    prices: pl.DataFrame,
    known_from: datetime | None = None,
) -> pl.DataFrame:
    """Return the rows of `mart.cold_start_bursts` whose onset is on a business day in [from_on, to_on).

    The rows of a day are final when the starts of the day after are known: an incident may run on until its end.

    Args:
        starts: `mart.cold_starts` of these days, of `HISTORY_DAYS` before them and of the day after.
        from_on: first business day.
        to_on: business day after the last.
        time_zone: IANA reporting zone.
        prices: `ref.gpu_prices`, for the cures.
        known_from: when the records of starts begin; by default with the first of `starts`. Where these are cut
            off, say it: hours without starts are history too.
    """
    if starts.is_empty():
        return table("mart.cold_start_bursts").empty()
    found = start_series(starts)
    alarms = burst_alarms(
        found,
        from_on=from_on - timedelta(days=DAYS_BEFORE),
        to_on=to_on + timedelta(days=1),
        time_zone=time_zone,
        known_from=known_from or starts.select(pl.col("requested_at").min()).item(),
    )
    rows = incidents(alarms, found, time_zone=time_zone).filter(
        pl.col("started_on") >= from_on, pl.col("started_on") < to_on
    )
    return (
        table("mart.cold_start_bursts")
        .conform(with_cures(rows, found, prices).lazy())
        .collect()
        .sort("onset_at", "burst_id")
    )
