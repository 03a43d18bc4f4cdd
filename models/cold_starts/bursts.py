"""mart.cold_start_bursts: bursts of cold starts as incidents, with what they cost, why they were and their cure."""

from datetime import date, timedelta

import polars as pl

from models.cold_starts.alarms import burst_alarms
from models.cold_starts.cures import with_cures
from models.cold_starts.incidents import incidents
from models.cold_starts.series import start_series
from models.periods import business_day_bounds, business_day_of
from models.schemas import table


def cold_start_bursts(
    starts: pl.DataFrame,
    *,
    from_on: date,
    to_on: date,
    time_zone: str,
    prices: pl.DataFrame,
) -> pl.DataFrame:
    """Return the rows of `mart.cold_start_bursts` whose onset is on a business day in [from_on, to_on).

    Args:
        starts: `mart.cold_starts` of these days, of the history before them and of the day after.
        from_on: first business day.
        to_on: business day after the last.
        time_zone: IANA reporting zone.
        prices: `ref.gpu_prices`, for the cures.
    """
    found = start_series(starts)
    alarms = burst_alarms(
        found,
        from_at=business_day_bounds(from_on - timedelta(days=2), time_zone=time_zone)[0],
        to_at=business_day_bounds(to_on + timedelta(days=1), time_zone=time_zone)[0],
    )
    rows = (
        incidents(alarms, found)
        .with_columns(business_day_of(pl.col("onset_at"), time_zone=time_zone).alias("started_on"))
        .filter(pl.col("started_on") >= from_on, pl.col("started_on") < to_on)
    )
    return (
        table("mart.cold_start_bursts")
        .conform(with_cures(rows, found, prices).lazy(), fill=True)
        .collect()
        .sort("onset_at", "burst_id")
    )
