"""Partitions: UTC hours for facts, business dates for marts and reports (definitions stay in UTC)."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from pipelines.project import Project


@contextmanager
def dagster_previews() -> Iterator[None]:
    """Use what Dagster still marks as beta or preview: backfill policies, range mappings, partitioned checks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        warnings.filterwarnings("ignore", category=dg.PreviewWarning)
        yield


with dagster_previews():
    DAY_FROM_HOURS = dg.TimeWindowPartitionMapping(
        start_offset=-1, end_offset=1, allow_nonexistent_upstream_partitions=True
    )
"""A business date reads its UTC day's hours and a day on each side; the asset filters by business date."""

ONLY_DUE = {"nanodollar/only": "what is out of date"}
"""Tags of a run of days that computes what is out of date in its range, of each table other days, and no more."""
DAYS_MADE = "nanodollar/days"
"""Tag by which such a run tells which days were out of date, with spaces between."""


def hourly(project: Project) -> dg.HourlyPartitionsDefinition:
    return dg.HourlyPartitionsDefinition(
        start_date=project.start_on.strftime("%Y-%m-%d-00:00"), timezone="UTC"
    )


def daily(project: Project) -> dg.DailyPartitionsDefinition:
    return dg.DailyPartitionsDefinition(start_date=project.start_on.isoformat(), timezone="UTC")


def hour_range(start: datetime, end: datetime) -> dict[str, str]:
    """Return the tags that make one run of the hours of a half-open range."""
    return _range(start.strftime("%Y-%m-%d-%H:%M"), (end - timedelta(hours=1)).strftime("%Y-%m-%d-%H:%M"))


def day_range(first_on: date, end_on: date) -> dict[str, str]:
    """Return the tags that make one run of the business dates of a half-open range."""
    return _range(first_on.isoformat(), (end_on - timedelta(days=1)).isoformat())


def _range(first: str, last: str) -> dict[str, str]:
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}


def hours_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> tuple[datetime, datetime]:
    """Return the half-open range of UTC hours that a run's partitions cover."""
    window = _window(context)
    return window.start.astimezone(UTC), window.end.astimezone(UTC)


def days_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> tuple[date, date]:
    """Return the half-open range of business dates that a run's partitions name."""
    window = _window(context)
    return window.start.date(), window.end.date()


def _window(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> dg.TimeWindow:
    op_context = context.op_execution_context
    return op_context.partition_time_window
