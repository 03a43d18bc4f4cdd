"""Run the main job in this process, without a daemon: land, facts, marts, publish, one Dagster run per grain."""

import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from models.errors import ConfigurationError, DataError
from models.periods import HOUR, day_spans, floor_hour, spans
from pipelines.assets.computed import day_keys, key_of
from pipelines.assets.made import TOLD_AT_ONCE
from pipelines.assets.reports import DAILY_READS, DAILY_REPORT, DAILY_TASK, RECENT_PAGES, days_written
from pipelines.automation.code_location import build_defs
from pipelines.automation.event_log import BATCH_SIZE, BatchingSqliteEventLogStorage
from pipelines.automation.late_lives import outdate_lives
from pipelines.checks.again import judge_again
from pipelines.partitions import DAYS_MADE, ONLY_DUE, day_range, hour_range
from pipelines.project import Project
from pipelines.steps import steps_of
from pipelines.steps.staleness import (
    day_runs,
    stale_counted_hours,
    stale_days,
    stale_hours,
    stale_reports,
)
from pipelines.warehouse.closed import closed_periods
from pipelines.warehouse.damage import mend
from pipelines.warehouse.resource import Warehouse, days_between

_DAGSTER_YAML = """\
# Written by nanodollar; without this line the file is yours and is left alone.
telemetry: {enabled: false}
nux: {enabled: false}
freshness: {enabled: true}
retention:
  schedule: {purge_after_days: 90}
  sensor: {purge_after_days: {skipped: 7, failure: 30, success: 90}}
concurrency: {pools: {default_limit: 1, granularity: run}}
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
event_log_storage:
  module: pipelines.automation.event_log
  class: BatchingSqliteEventLogStorage
  config: {base_dir: BASE_DIR}
"""
_NOT_COPIED = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
}

CUT_OFF = timedelta(days=2)
"""How far back rows are looked for that a run which was cut off has left unjudged."""
_OURS = (ConfigurationError.__name__, DataError.__name__)


@dataclass
class RunSummary:
    """What a run did: hours and days computed, checks that did not pass, what failed, and what damage it mended."""

    hours: int = 0
    days: int = 0
    failed_checks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)


def dagster_home(project: Project) -> Path:
    """Return the project's DAGSTER_HOME with its dagster.yaml in place, and let Dagster log in batches."""
    home = project.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    project.keep_private()
    file = home / "dagster.yaml"
    text = _DAGSTER_YAML.replace("BASE_DIR", json.dumps(str(home / "history" / "runs")))
    before = file.read_text(encoding="utf-8") if file.exists() else None
    if before is None or (before != text and before.startswith(text.splitlines()[0])):
        file.write_text(text, encoding="utf-8")
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(BATCH_SIZE))
    return home


def instance_of_this_process(project: Project) -> dg.DagsterInstance:
    """Open the project's Dagster for runs in this process, which print where they are started.

    Dagster would copy what steps print to files, by four processes for each of its runs. Where the user wrote
    dagster.yaml, it is as they wrote.
    """
    home = dagster_home(project)
    is_ours = (home / "dagster.yaml").read_text(encoding="utf-8").startswith(_DAGSTER_YAML.splitlines()[0])
    overrides = {"compute_logs": _NOT_COPIED} if is_ours else {}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=overrides))


def run(
    project: Project,
    *,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
    source: str | None = None,
    now: datetime | None = None,
    is_publishing: bool = True,
    judged_until: datetime | None = None,
    is_writing_data_docs: bool = False,
    on_progress: Callable[[str, str], None] | None = None,
    warehouse: Warehouse | None = None,
) -> RunSummary:
    """Bring the warehouse up to date, or rebuild a range.

    Args:
        project: the project to run.
        from_at: first hour to rebuild; by default the hours that newly landed records touch.
        to_at: end of the range, exclusive.
        source: land this source only; the touched hours are still built from all sources.
        now: hours that have not ended by then are left alone.
        is_publishing: whether the published file is brought up to date at the end.
        judged_until: rows that were written before have been judged by checks.
        is_writing_data_docs: whether Great Expectations judges every table, also where no rule is broken.
        on_progress: told the step and how far it is.
        warehouse: the project's lake where it is attached already.

    Raises:
        ConfigurationError: months were closed by the days of another time zone.
        DataError: a step failed; what was committed before stays, and running again goes on from there.
    """
    warehouse = warehouse or Warehouse(project, on_progress)
    warehouse.prepare()
    with warehouse.reading() as con:
        closed_periods(con, project)  # refuses another zone
    mended = mend(warehouse)
    for sentence in mended:
        warehouse.progress("mend", sentence)
    definitions = build_defs(project=project, resource_overrides={"warehouse": warehouse})
    summary = RunSummary(mended=mended)
    with instance_of_this_process(project) as instance:
        selection = None
        if source is not None:
            refs = [key for key in definitions.resolve_all_asset_keys() if key.path[0] == "ref"]
            selection = [dg.AssetKey(["raw", source]), *refs]
        _execute(definitions, instance, "land", summary, selection=selection)
        build(
            warehouse,
            definitions,
            instance,
            summary,
            now=now or datetime.now(UTC),
            from_at=from_at,
            to_at=to_at,
            is_publishing=is_publishing,
            judged_until=judged_until,
            is_writing_data_docs=is_writing_data_docs,
        )
    return summary


def build(
    warehouse: Warehouse,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    summary: RunSummary,
    *,
    now: datetime,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
    is_publishing: bool = True,
    judged_until: datetime | None = None,
    is_writing_data_docs: bool = False,
) -> None:
    """Build facts, marts and reports of what has landed: what is out of date, or a range; told in the summary."""
    project = warehouse.project
    outdate_lives(warehouse, run_id=str(uuid.uuid4()))
    with warehouse.reading() as con:
        hours = stale_hours(con, project, now=now)
    ranges = spans(hours)
    if from_at is not None or to_at is not None:
        first = floor_hour(from_at) if from_at else min(hours, default=None)
        last = _ceil_hour(to_at) if to_at else floor_hour(now)
        ranges = [(first, last)] if first is not None and first < last else []
    for start, end in ranges:
        _execute(definitions, instance, "facts", summary, tags=hour_range(start, end))
        summary.hours += int((end - start) / HOUR)
    with warehouse.reading() as con:
        counted = stale_counted_hours(con, project, now=now)
    for start, end in spans(counted):
        tags = hour_range(start, end)
        _execute(definitions, instance, "facts", summary, tags=tags, selection=[key_of("ops.completeness")])
    asked: set[date] = set()
    if from_at is not None or to_at is not None:
        zone = ZoneInfo(project.time_zone)
        for start, end in ranges:
            first_on = start.astimezone(zone).date()
            last_on = (end - timedelta.resolution).astimezone(zone).date()
            asked |= {*days_between(first_on, last_on + timedelta(days=1))}
        asked = {day for day in asked if project.start_on <= day < now.date()}
    summary.days = len(_build_days(warehouse, definitions, instance, summary, asked, now=now))
    since = judged_until or datetime.now(UTC) - CUT_OFF
    judge_again(warehouse, run_id=str(uuid.uuid4()), since=since)
    if is_writing_data_docs:
        _execute(definitions, instance, "data_docs", summary)
    _write_reports(warehouse, definitions, instance, summary, asked, now=now)
    if is_publishing:
        _execute(definitions, instance, "publish", summary)


def _build_days(
    warehouse: Warehouse,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    summary: RunSummary,
    asked: set[date],
    *,
    now: datetime,
) -> set[date]:
    """Build the days that were asked for, and what is out of date until nothing is: one mart may change another."""
    everything = sorted(steps_of("daily"))
    for span in day_spans(sorted(asked)):
        tags = day_range(*span)
        _execute(definitions, instance, "marts", summary, tags=tags, selection=day_keys(everything))
    built = set(asked)
    for _ in everything:
        with warehouse.reading() as con:
            due = stale_days(con, warehouse.project, now=now)
        if not due:
            break
        built |= due.keys()
        if _tells_at_once(instance):
            tags = day_range(min(due), now.date()) | ONLY_DUE
            run_id = _execute(
                definitions, instance, "marts", summary, tags=tags, selection=day_keys(everything)
            )
            run = instance.get_run_by_id(run_id)
            return built | {date.fromisoformat(on) for on in run.tags[DAYS_MADE].split()} if run else built
        for first_on, end_on, names in day_runs(due):
            tags = day_range(first_on, end_on)
            _execute(definitions, instance, "marts", summary, tags=tags, selection=day_keys(names))
    return built


def _write_reports(
    warehouse: Warehouse,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    summary: RunSummary,
    asked: set[date],
    *,
    now: datetime,
) -> None:
    with warehouse.reading() as con:
        days = stale_reports(
            con,
            warehouse.project,
            report=DAILY_TASK,
            reads=DAILY_READS,
            there=days_written(warehouse.project),
            recent_days=RECENT_PAGES,
            now=now,
        )
    for span in day_spans(sorted({*days, *asked})):
        _execute(definitions, instance, "marts", summary, tags=day_range(*span), selection=[DAILY_REPORT])


def _ceil_hour(instant: datetime) -> datetime:
    floor = floor_hour(instant)
    return floor if floor == instant else floor + HOUR


def _execute(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    summary: RunSummary,
    *,
    tags: dict[str, str] | None = None,
    selection: list[dg.AssetKey] | None = None,
) -> str:
    if tags and _tells_at_once(instance):
        tags = tags | TOLD_AT_ONCE
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=instance,
        tags=tags,
        asset_selection=selection,
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed:
            name = f"{'.'.join(evaluation.asset_key.path)}: {evaluation.check_name}"
            word = evaluation.severity.value.lower()
            summary.failed_checks.append(f"{word}: {name}: {evaluation.description}")
    if not result.success:
        if _is_interrupted(result):
            raise KeyboardInterrupt
        raise DataError(f"The step `{job}` failed: {_why(result)}")
    return result.run_id


def _tells_at_once(instance: dg.DagsterInstance) -> bool:
    return isinstance(instance.event_log_storage, BatchingSqliteEventLogStorage)


def _is_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Return whether Ctrl-C ended a step: Dagster, or the engine that was asked, makes an error of it."""
    for event in result.all_events:
        error = event.step_failure_data.error if event.is_step_failure else None
        while error is not None:
            if "Interrupt" in str(error.cls_name):
                return True
            error = error.cause
    return False


def _why(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            # Our own sentence says what to do about what caused it.
            while error is not None and error.cause is not None and error.cls_name not in _OURS:
                error = error.cause
            if error is not None:
                return error.message.strip().splitlines()[0].split("Error: ", 1)[-1]
    return "see the run in the Dagster UI (`make ui`)"
