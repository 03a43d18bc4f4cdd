"""Bursts of cold starts so far: of what has landed, the open hour included. Nothing is written."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from models.cold_starts.notices import QUIET
from models.importers import importers
from models.periods import business_day_bounds, floor_hour
from pipelines.project import Project
from pipelines.steps import steps
from pipelines.steps.base import Window
from pipelines.steps.computing import made_by
from pipelines.steps.inputs import Inputs
from pipelines.steps.starts import START_LOOKBACK

_FIRST_UNBUILT_HOUR = """
SELECT min(touched_hour) FROM ops.file_hours h JOIN ops.landed_files f USING (file_hash, source)
LEFT JOIN ops.partitions p ON p.table_name = $table
  AND p.partition_key = strftime(h.touched_hour AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%MZ')
WHERE f.source_kind = ANY($kinds) AND h.touched_hour >= $early
  AND (p.loaded_at IS NULL OR p.read_snapshot < h.landed_snapshot)
"""


def open_bursts(con: duckdb.DuckDBPyConnection, project: Project, *, now: datetime) -> pl.DataFrame:
    """Return the rows that `mart.cold_start_bursts` would have, were the open business day built at this moment.

    The day before is judged too while its mart is not built. A start that is not ready yet lasts until `now`.

    Args:
        con: session on the lake.
        project: its settings.
        now: what is later has not happened.

    Returns:
        Bursts that go on or ended on the open business day or in the two hours before it.
    """
    zone = project.time_zone
    today = now.astimezone(ZoneInfo(zone)).date()
    yesterday = today - timedelta(days=1)
    is_built = con.execute(
        "SELECT 1 FROM ops.partitions WHERE table_name = 'mart.cold_starts' AND partition_key = ?",
        [yesterday.isoformat()],
    ).fetchone()
    from_on, to_on = today if is_built else yesterday, today + timedelta(days=1)
    days = Window.of_days(from_on, to_on, now=now, time_zone=zone)
    early = floor_hour(days.start - START_LOOKBACK)
    begun = datetime(project.start_on.year, project.start_on.month, project.start_on.day, tzinfo=early.tzinfo)
    windows = {
        # A replica that lives may have been asked for long ago.
        "core.replica_events": _unbuilt(con, project, "core.replica_events", early=begun, now=now),
        "core.replica_states": Window(early, now, now, zone),
        "core.requests": _unbuilt(con, project, "core.requests", early=early, now=now),
        "mart.cold_starts": days,
    }
    inputs = Inputs(con, project)
    try:
        for dotted, window in windows.items():
            inputs.hold(dotted, made_by(steps()[dotted], inputs, window)[dotted], window)
        bursts = made_by(steps()["mart.cold_start_bursts"], inputs, days)["mart.cold_start_bursts"]
    finally:
        inputs.close()
    return bursts.filter(
        pl.col("ended_at") >= business_day_bounds(today, time_zone=zone)[0] - QUIET,
    )


def _unbuilt(
    con: duckdb.DuckDBPyConnection, project: Project, dotted: str, *, early: datetime, now: datetime
) -> Window:
    """Return the window since `early` in which records landed that a table does not hold yet."""
    raw = steps()[dotted].inputs[0].table
    kinds = [kind for kind, importer in importers().items() if importer.table == raw]
    found = con.execute(_FIRST_UNBUILT_HOUR, {"table": dotted, "kinds": kinds, "early": early}).fetchone()
    first = found[0] if found and found[0] is not None else floor_hour(now)
    return Window(min(first, now), now, now, project.time_zone)
