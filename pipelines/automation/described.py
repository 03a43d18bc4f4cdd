"""Schedules and sensors as the UI shows them: on by default, in UTC, with what their function says of itself."""

import inspect
from collections.abc import Callable
from typing import Any

import dagster as dg


def schedule(cron: str, job: str) -> Callable[[Callable[..., Any]], dg.ScheduleDefinition]:
    """Return a decorator that makes a function the schedule of a job.

    Args:
        cron: when it runs, in UTC.
        job: the job that it asks for.
    """

    def scheduled(function: Callable[..., Any]) -> dg.ScheduleDefinition:
        return dg.schedule(
            cron_schedule=cron,
            job_name=job,
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=inspect.getdoc(function),
        )(function)

    return scheduled


def sensor(seconds: int, job: str | None = None) -> Callable[[Callable[..., Any]], dg.SensorDefinition]:
    """Return a decorator that makes a function a sensor; `[automation] enabled = false` leaves them out.

    Args:
        seconds: how often it looks, at most.
        job: the job that it asks for, if it does.
    """

    def looking(function: Callable[..., Any]) -> dg.SensorDefinition:
        return dg.sensor(
            job_name=job,
            minimum_interval_seconds=seconds,
            required_resource_keys={"warehouse"},
            default_status=dg.DefaultSensorStatus.RUNNING,
            description=inspect.getdoc(function),
        )(function)

    return looking
