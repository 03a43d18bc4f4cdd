"""Bursts of cold starts so far: of what has landed, the open hour included. Nothing is written."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from models.cold_starts.bursts import cold_start_bursts
from models.cold_starts.notices import QUIET
from models.cold_starts.starts import cold_starts
from models.costs.notices import with_deployments
from models.costs.states import replica_states
from models.lifecycle.dedupe import dedupe_events
from models.logs.dedupe import dedupe
from models.periods import HOUR, business_day_bounds, floor_hour
from models.prices.providers import canonical_providers
from pipelines.assets.mart import START_LOOKBACK, burst_history, starts_known_from, waiting_requests
from pipelines.project import Project
from pipelines.warehouse.resource import frame

_LANDED_EVENTS = """
FROM raw.replica_events WHERE event_at < $now AND replica_id IN (
  SELECT replica_id FROM raw.replica_events WHERE event_at < $now AND deployment IS NOT NULL GROUP BY replica_id
  HAVING max(event_at) >= $early OR arg_max(event, event_at) NOT IN ('stopped', 'failed')
)
"""
_FIRST_UNBUILT_HOUR = """
SELECT min(touched_hour) FROM ops.file_hours f LEFT JOIN ops.partitions p ON p.table_name = 'core.requests'
  AND p.partition_key = strftime(f.touched_hour AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%MZ')
WHERE f.touched_hour >= $early AND (p.loaded_at IS NULL OR p.loaded_at < f.landed_at)
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
    early = floor_hour(business_day_bounds(from_on, time_zone=zone)[0] - START_LOOKBACK)
    span = {"early": early, "now": now}
    events = _landed_events(con, span)
    prices = frame(con, "FROM ref.gpu_prices")
    states = replica_states(
        events.lazy(),
        prices=prices.lazy(),
        time_zone=zone,
        as_known_at=now,
        from_hour=early,
        to_hour=now,
        commitments=frame(con, "FROM ref.commitments"),
    )
    con.register("landed_events", events.select("deployment"))
    requests = _landed_requests(con, project, early=early, now=now)
    starts = cold_starts(
        with_deployments(events.lazy()),
        states.lazy(),
        requests.lazy(),
        time_zone=zone,
        from_on=from_on,
        to_on=to_on,
    )
    history = burst_history(con, from_on=from_on, to_on=from_on - timedelta(days=1))
    bursts = cold_start_bursts(
        pl.concat([history.select(starts.columns), starts]),
        from_on=from_on,
        to_on=to_on,
        time_zone=zone,
        prices=prices,
        known_from=starts_known_from(con),
    )
    return bursts.filter(
        pl.col("ended_at") >= business_day_bounds(today, time_zone=zone)[0] - QUIET,
    )


def _landed_events(con: duckdb.DuckDBPyConnection, span: dict[str, datetime]) -> pl.DataFrame:
    """Return all events of the replicas that lived since `early`, as `core.replica_events` will have them."""
    landed = frame(con, _LANDED_EVENTS, span)
    first = landed.select(pl.col("event_at").min()).item() or span["early"]
    winners, _ = dedupe_events(
        landed.lazy(), from_hour=floor_hour(first), to_hour=floor_hour(span["now"]) + HOUR
    )
    return winners.collect()


def _landed_requests(
    con: duckdb.DuckDBPyConnection, project: Project, *, early: datetime, now: datetime
) -> pl.DataFrame:
    """Return the requests since `early` that tell of starts: built hours as they are, later ones as they landed."""
    window = project.dedupe_window
    found = con.execute(_FIRST_UNBUILT_HOUR, {"early": early}).fetchone()
    built_to = found[0] if found and found[0] is not None else floor_hour(now)
    landed = frame(
        con,
        "FROM raw.requests WHERE started_at >= ? AND started_at < ?",
        [built_to - 2 * window, now],
    )
    winners, _ = dedupe(landed.lazy(), window=window, from_hour=built_to, to_hour=floor_hour(now) + HOUR)
    con.register("landed_requests", canonical_providers(winners).collect())
    return frame(
        con,
        "WITH requests AS (FROM core.requests WHERE started_at < $built_to UNION ALL BY NAME FROM landed_requests) "
        + waiting_requests("requests", events="landed_events"),
        {"early": early, "late": now, "built_to": built_to},
    )
