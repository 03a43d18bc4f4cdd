"""Schedules: the hourly close, the daily flash and the month close."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

_ALSO_HOURS = 2
"""An hour is closed again twice: a request may finish an hour after it began, and logs arrive late."""


@dg.schedule(cron_schedule="10 * * * *", job_name="facts", execution_timezone="UTC")
def hourly_close(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Ten minutes after the hour, rebuild it and the hours that its finishers crossed, in one run."""
    end = context.scheduled_execution_time.replace(minute=0, second=0, microsecond=0)
    first = (end - timedelta(hours=1 + _ALSO_HOURS)).strftime("%Y-%m-%d-%H:%M")
    last = (end - timedelta(hours=1)).strftime("%Y-%m-%d-%H:%M")
    yield dg.RunRequest(
        run_key=f"facts-{last}",
        tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
    )


@dg.schedule(cron_schedule="30 6 * * *", job_name="marts", execution_timezone="UTC")
def daily_flash(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Every morning, rebuild yesterday's marts (and the day before, for late rows) and write the report."""
    today = context.scheduled_execution_time.date()
    first, last = (today - timedelta(days=2)).isoformat(), (today - timedelta(days=1)).isoformat()
    yield dg.RunRequest(
        run_key=f"marts-{last}",
        tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
    )


@dg.schedule(cron_schedule="0 8 3 * *", job_name="marts", execution_timezone="UTC")
def month_close(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """On the third, rebuild every day of the month before, so that finance closes on final rows."""
    first_of_month = context.scheduled_execution_time.date().replace(day=1)
    last = first_of_month - timedelta(days=1)
    yield dg.RunRequest(
        run_key=f"month-{last:%Y-%m}",
        tags={
            "dagster/asset_partition_range_start": last.replace(day=1).isoformat(),
            "dagster/asset_partition_range_end": last.isoformat(),
        },
    )


SCHEDULES = [hourly_close, daily_flash, month_close]
