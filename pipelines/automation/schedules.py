"""Schedules: the hourly close, the daily flash, the weekly review, the month close and maintenance."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from pipelines.automation.described import schedule
from pipelines.partitions import day_range, hour_range

URGENT = {"dagster/priority": "10"}
"""Of runs that are queued, these are next: no backfill holds them up for longer than its run that is at work."""
_ALSO_HOURS = 2
"""An hour is closed again twice: a request may finish an hour after it began, and logs arrive late."""


@schedule("10 * * * *", job="facts")
def hourly_close(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Ten minutes after the hour, rebuild it and the hours that its finishers crossed, in one run."""
    end = context.scheduled_execution_time.replace(minute=0, second=0, microsecond=0)
    tags = hour_range(end - timedelta(hours=1 + _ALSO_HOURS), end) | URGENT
    yield dg.RunRequest(run_key=f"facts-{end:%Y-%m-%d-%H}", tags=tags)


@schedule("30 6 * * *", job="marts")
def daily_flash(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Every morning, rebuild yesterday's marts (and the day before, for late rows) and write the report."""
    today = context.scheduled_execution_time.date()
    yield dg.RunRequest(run_key=f"marts-{today}", tags=day_range(today - timedelta(days=2), today) | URGENT)


@schedule("30 7 * * *", job="data_docs")
def daily_data_docs(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Every morning, let Great Expectations judge what was looked at last of every table."""
    return dg.RunRequest(run_key=f"data-docs-{context.scheduled_execution_time.date()}")


@schedule("0 8 3 * *", job="close")
def month_close(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """On the third, close the month before and send its report; the run fails where something stands against it."""
    end = context.scheduled_execution_time.date().replace(day=1)
    month = f"{end - timedelta(days=1):%Y-%m}"
    yield dg.RunRequest(
        run_key=f"close-{month}", run_config={"ops": {"close_month": {"config": {"month": month}}}}
    )


@schedule("0 13 * * *", job="deliver")
def daily_delivery(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """When the business day before has ended in every zone, write its report in every format and send it."""
    yield _delivery("daily", context.scheduled_execution_time)


@schedule("0 13 * * 1", job="deliver")
def weekly_review(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """On Mondays, write the report of the week before and send it."""
    yield _delivery("weekly", context.scheduled_execution_time)


def _delivery(report: str, at: datetime) -> dg.RunRequest:
    config = {"report": report, "at": at.isoformat()}
    return dg.RunRequest(
        run_key=f"deliver-{report}-{at:%Y-%m-%d}", run_config={"ops": {"deliver_report": {"config": config}}}
    )


@schedule("40 3 * * *", job="maintenance")
def maintenance_at_night(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Every night, merge small files, expire old snapshots, and remove what nothing names any more."""
    return dg.RunRequest(run_key=f"maintenance-{context.scheduled_execution_time:%Y-%m-%d}")


SCHEDULES = [
    hourly_close,
    daily_flash,
    daily_data_docs,
    daily_delivery,
    weekly_review,
    month_close,
    maintenance_at_night,
]
