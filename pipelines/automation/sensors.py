"""Sensors: new files ask for their landing, late rows and changed prices for what they touch; bursts are told."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from models.cold_starts.notices import Notice, burst_notices
from models.errors import DataError
from models.periods import spans
from pipelines.assets.computed import day_keys, key_of
from pipelines.assets.reports import DAILY_REPORT
from pipelines.automation.budget_alerts import budget_alerts
from pipelines.automation.described import sensor
from pipelines.automation.failed_checks import failed_checks
from pipelines.automation.late_lives import outdate_lives
from pipelines.automation.notices import send
from pipelines.automation.open_day import open_bursts
from pipelines.automation.publication import publication
from pipelines.automation.telemetry import telemetry
from pipelines.landing.land import source_files
from pipelines.partitions import day_range, hour_range
from pipelines.steps.staleness import day_runs, stale_counted_hours, stale_days, stale_hours
from pipelines.warehouse.resource import Warehouse


@sensor(60, job="land")
def new_files(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for one landing whenever the files of a source changed in name, size or time."""
    warehouse: Warehouse = context.resources.warehouse
    digest = hashlib.sha256()
    for source in warehouse.project.sources:
        if source.path is None:
            continue
        for file in source_files(source, project=warehouse.project.folder):
            digest.update(f"{file.path}|{file.size_bytes}|{file.modified_at.isoformat()}\n".encode())
    state = digest.hexdigest()
    if state == context.cursor:
        yield dg.SkipReason("No file changed since the last look.")
        return
    context.update_cursor(state)
    yield dg.RunRequest(run_key=f"land-{state[:16]}")


@sensor(120, job="facts")
def outdated_hours(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for the closed hours that late rows, or a changed price, put out of date; each state once."""
    warehouse: Warehouse = context.resources.warehouse
    warehouse.prepare()
    # The hour that has just ended belongs to the hourly close.
    closed = datetime.now(UTC) - timedelta(hours=1)
    outdate_lives(warehouse, run_id=str(uuid.uuid4()))
    with warehouse.reading() as con:
        hours = stale_hours(con, warehouse.project, now=closed)
        counted = stale_counted_hours(con, warehouse.project, now=closed)
        state = con.execute(_STATE).fetchone()
    ranges = [_Range(hour_range(*span), span[0]) for span in spans(hours)]
    # A new count is held against the logs; it changes no other fact.
    ranges += [
        _Range(hour_range(*span), span[0], (key_of("ops.completeness"),), "counts ")
        for span in spans(counted)
    ]
    yield from _ask(context, ranges, state)


@sensor(120, job="marts")
def outdated_days(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for the past business days whose hours changed after their marts were built; each state once."""
    warehouse: Warehouse = context.resources.warehouse
    warehouse.prepare()
    with warehouse.reading() as con:
        due = stale_days(con, warehouse.project, now=datetime.now(UTC))
        state = con.execute(_STATE).fetchone()
    ranges = [
        _Range(day_range(first, end), first, (*day_keys(names), DAILY_REPORT))
        for first, end, names in day_runs(due)
    ]
    yield from _ask(context, ranges, state)


@dataclass(frozen=True)
class _Range:
    """A range of partitions to ask for, of the whole job or of some of its assets."""

    tags: dict[str, str]
    first: date
    assets: tuple[dg.AssetKey, ...] | None = None
    what: str = ""


def _ask(
    context: dg.SensorEvaluationContext, ranges: list[_Range], state: object
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    if not ranges or context.cursor == str(state):
        yield dg.SkipReason("Nothing is out of date." if not ranges else "Already asked for.")
        return
    context.update_cursor(str(state))
    for one in ranges:
        key = f"{one.first.isoformat()} {one.what}{state}"
        yield dg.RunRequest(run_key=key, tags=one.tags, asset_selection=one.assets)


_STATE = """
SELECT (SELECT max(landed_snapshot) FROM ops.landed_files),
       (SELECT max(changed_snapshot) FROM ops.partitions WHERE table_name NOT LIKE 'ops.%')
"""
"""What landed or changed last: a sensor asks once for each."""


@sensor(60)
def bursts_of_cold_starts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Tell of bursts while they happen, each once: an observation of the mart, a log line and the webhook.

    What has landed is judged, the open hour included; the lake is only read. A notice counts as told when the
    webhook took it; until then each look tries again.
    """
    warehouse: Warehouse = context.resources.warehouse
    before = json.loads(context.cursor or "{}")
    now = datetime.now(UTC)
    sent_at = {series: datetime.fromisoformat(at) for series, at in before.get("told", {}).items()}
    sent_at = {series: at for series, at in sent_at.items() if at >= now - _REMEMBERED}
    try:
        with warehouse.reading() as con:
            state = str(con.execute(_STATE).fetchone())
            if state == before.get("state"):
                return dg.SensorResult(skip_reason="Nothing landed since the last look.")
            notices = burst_notices(open_bursts(con, warehouse.project, now=now), sent_at)
    except DataError as error:
        return dg.SensorResult(skip_reason=str(error))
    count, trouble = send(context, warehouse, [notice.text for notice in notices])
    sent = notices[:count]
    after = {
        "state": None if trouble else state,
        "told": {series: at.isoformat() for series, at in (sent_at | _ends(sent)).items()},
    }
    return dg.SensorResult(
        skip_reason=trouble or " ".join(notice.text for notice in sent) or "No new burst of cold starts.",
        cursor=json.dumps(after),
        asset_events=[
            dg.AssetObservation(
                asset_key=["mart", "cold_start_bursts"],
                description=notice.text,
                metadata={"series": notice.series, "ended_at": notice.ended_at.isoformat()},
            )
            for notice in sent
        ],
    )


def _ends(notices: list[Notice]) -> dict[str, datetime]:
    return {notice.series: notice.ended_at for notice in notices}


_REMEMBERED = timedelta(days=2)
"""Bursts that ended before are not judged again, so that what was told of them may be forgotten."""

SENSORS = [
    new_files,
    outdated_hours,
    outdated_days,
    publication,
    bursts_of_cold_starts,
    failed_checks,
    budget_alerts,
    telemetry,
]
