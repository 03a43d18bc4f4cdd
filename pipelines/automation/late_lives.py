"""Late lifecycle events: which hours that are built already they tell otherwise, and outdate them.

A stop that comes late ends a life for all hours after it, a failure turns the start before it into a failed one, a
name makes a replica of what was none. So the lives of the replicas that new files tell of are made without and with
them, and the hours in which the two differ are built anew.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

import duckdb
import polars as pl

from models.costs.lives import replica_intervals
from models.lifecycle.dedupe import dedupe_events
from models.periods import HOUR, floor_hour
from models.prices.chips import canonical_events
from models.schemas import table
from pipelines.steps.lives import LONGEST_ATTEMPT
from pipelines.steps.repricing import OUTDATE
from pipelines.steps.staleness import kinds_of
from pipelines.warehouse.resource import Warehouse, frame
from pipelines.warehouse.staged import partition_key

_TASK = "late_lives"
_NEW_FILES = """
SELECT file_hash, source FROM ops.landed_files
WHERE source_kind = ANY($kinds) AND landed_count > 0
  AND coalesce(landed_snapshot, 0) > coalesce((SELECT max(read_snapshot) FROM ops.progress WHERE task = $task), -1)
"""
_EVENTS = f"""
WITH new_files AS ({_NEW_FILES})
SELECT *, (file_hash, source) IN (SELECT (file_hash, source) FROM new_files) AS is_new FROM raw.replica_events
WHERE replica_id IN (SELECT replica_id FROM raw.replica_events SEMI JOIN new_files USING (file_hash, source))
  OR replica_group IN (SELECT replica_group FROM raw.replica_events SEMI JOIN new_files USING (file_hash, source))
"""
_TIED = f"""
WITH new_files AS ({_NEW_FILES}),
named AS (
  SELECT replica_id, deployment, event_at, (file_hash, source) IN (SELECT (file_hash, source) FROM new_files) AS is_new
  FROM raw.replica_events WHERE deployment IS NOT NULL
),
routes AS (SELECT deployment FROM named GROUP BY 1 HAVING bool_and(is_new)),
replicas AS (SELECT replica_id FROM named GROUP BY 1 HAVING bool_and(is_new) AND min(event_at) >= $early)
SELECT DISTINCT unnest(generate_series(
  date_trunc('hour', started_at), date_trunc('hour', greatest(started_at, finished_at)), INTERVAL 1 HOUR)) AS hour
FROM core.requests
WHERE route IN (FROM routes) OR (started_at >= $early AND replica_id IN (FROM replicas))
"""
"""Hours of attempts that are tied to what had no name before."""
_BUILT = """
SELECT max(try_strptime(partition_key, '%Y-%m-%dT%H:%MZ')::TIMESTAMP AT TIME ZONE 'UTC') FROM ops.partitions
WHERE table_name = 'core.replica_states'
"""


def outdate_lives(warehouse: Warehouse, *, run_id: str) -> None:
    """Mark the built hours that lifecycle files, landed since this was done last, tell otherwise."""
    wanted = {"kinds": kinds_of("raw.replica_events"), "task": _TASK}
    with warehouse.reading() as con:
        if not con.execute(f"{_NEW_FILES} LIMIT 1", wanted).fetchall():
            return
        with warehouse.committing(run_id=run_id, job="facts") as commit:
            hours = _changed_hours(con, wanted)
            if hours:
                keys = [partition_key(hour) for hour in hours]
                commit.execute(OUTDATE, ["core.replica_states", keys])
            commit.mark(_TASK, [""])


def _changed_hours(con: duckdb.DuckDBPyConnection, wanted: Mapping[str, object]) -> list[datetime]:
    ((last,),) = con.execute(_BUILT).fetchall()
    if last is None:
        return []
    end = last.astimezone(UTC) + HOUR
    events = frame(con, _EVENTS, wanted)
    early = events.filter("is_new")["event_at"].min()
    tied = frame(con, _TIED, {**wanted, "early": early - LONGEST_ATTEMPT})  # type: ignore[operator]
    before, after = (_lives(rows.drop("is_new"), end) for rows in (events.filter(~pl.col("is_new")), events))
    facts = [name for name in after.columns if name != "until"]
    both = before.join(after, on=facts, how="full", coalesce=True, nulls_equal=True, suffix="_after")
    was, now = pl.col("until"), pl.col("until_after")
    changed = both.filter(was.ne_missing(now)).select(
        pl.when(was.is_null() | now.is_null())
        .then("started_at")
        .otherwise(pl.min_horizontal(was, now))
        .alias("from"),
        pl.max_horizontal(was, now).alias("until"),
    )
    spans = changed.with_columns(
        pl.datetime_ranges(pl.col("from").dt.truncate("1h"), "until", "1h", closed="left").alias("hour")
    )
    found = pl.concat(
        [spans.select(pl.col("hour").explode()), tied.select(pl.col("hour").cast(pl.Datetime("us", "UTC")))]
    )
    return sorted(hour for hour in found["hour"].drop_nulls().unique() if hour < end)


def _lives(landed: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """Return the states of replicas until `end`, each with all that is known of it."""
    if landed.is_empty():
        events = table("core.replica_events").empty().lazy()
    else:
        first, last = (cast("datetime", at) for at in (landed["event_at"].min(), landed["event_at"].max()))
        winners, _ = dedupe_events(
            landed.lazy(), from_hour=floor_hour(first), to_hour=floor_hour(last) + HOUR
        )
        events = canonical_events(winners)
    intervals = replica_intervals(events).filter(pl.col("started_at") < end).drop("life", "is_last")
    until = pl.min_horizontal(pl.col("ended_at").fill_null(end), pl.lit(end))
    return intervals.with_columns(until=until).drop("ended_at")
