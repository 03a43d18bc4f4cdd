"""Which hours and days are out of date: what landed after they were last computed."""

from datetime import UTC, date, datetime

import duckdb

from models.errors import ConfigurationError
from models.importers import importers
from models.periods import floor_hour
from pipelines.project import Project
from pipelines.steps import steps_of

_STALE_HOURS = """
WITH horizon AS (SELECT max(last_at) AS ends_at FROM ops.landed_files),
touched AS (
  SELECT touched_hour - to_seconds($window) AS starts_at,
         greatest(touched_hour, coalesce(last_finished_at, touched_hour)) + to_seconds($window) AS ends_at, landed_at
  FROM ops.file_hours
  -- A count changes no fact.
  WHERE NOT EXISTS (FROM ops.landed_files f WHERE f.file_hash = file_hours.file_hash AND f.source = file_hours.source
                    AND f.source_kind = ANY($counters))
  UNION ALL
  -- A replica lives on after its last event, so a lifecycle file reaches to the end of what has landed.
  SELECT first_at, greatest(last_at, (SELECT ends_at FROM horizon)), landed_at
  FROM ops.landed_files WHERE source_kind = ANY($lifecycle) AND first_at IS NOT NULL
),
wanted AS (
  SELECT unnest(generate_series(date_trunc('hour', starts_at), date_trunc('hour', ends_at), INTERVAL 1 HOUR)) AS hour,
         landed_at
  FROM touched
),
newest AS (SELECT hour, max(landed_at) AS landed_at FROM wanted GROUP BY hour),
computed AS (
  SELECT try_strptime(partition_key, '%Y-%m-%dT%H:%MZ')::TIMESTAMP AT TIME ZONE 'UTC' AS hour,
         min(loaded_at) AS loaded_at, count(*) AS table_count
  FROM ops.partitions WHERE table_name = ANY($facts) GROUP BY 1
)
SELECT hour FROM newest LEFT JOIN computed USING (hour)
WHERE hour >= $first AND hour < $last
  AND (loaded_at IS NULL OR table_count < $table_count OR loaded_at < landed_at)
ORDER BY hour
"""


def stale_hours(con: duckdb.DuckDBPyConnection, project: Project, *, now: datetime) -> list[datetime]:
    """Return the UTC hours whose facts are older than the records that touch them, in order.

    Raises:
        ConfigurationError: records lie before the first partition.
    """
    first = datetime.combine(project.start_on, datetime.min.time(), UTC)
    earliest = con.execute(
        "SELECT path, first_at FROM ops.landed_files WHERE first_at < ? ORDER BY first_at LIMIT 1", [first]
    ).fetchone()
    if earliest is not None:
        raise ConfigurationError(
            f"{earliest[0]} holds records from {earliest[1]:%Y-%m-%d}, before the first partition; "
            f"set [warehouse] start_on = {earliest[1]:%Y-%m-%d} (or earlier) in {project.folder / 'nanodollar.toml'}."
        )
    facts = list(steps_of("hourly"))
    rows = con.execute(
        _STALE_HOURS,
        {
            "window": 2 * project.dedupe_window.total_seconds(),
            "lifecycle": _kinds("raw.replica_events"),
            "counters": _kinds("raw.usage_counters"),
            "facts": facts,
            "table_count": len(facts),
            "first": first,
            "last": floor_hour(now),
        },
    ).fetchall()
    return [row[0].astimezone(UTC) for row in rows]


def _kinds(table: str) -> list[str]:
    return [kind for kind, importer in importers().items() if importer.table == table]


_STALE_COUNTED_HOURS = """
WITH wanted AS (
  SELECT unnest(generate_series(touched_hour, greatest(touched_hour, last_finished_at - INTERVAL 1 MICROSECOND),
                                INTERVAL 1 HOUR)) AS hour, h.landed_at
  FROM ops.file_hours h JOIN ops.landed_files f USING (file_hash, source) WHERE f.source_kind = ANY($counters)
),
newest AS (SELECT hour, max(landed_at) AS landed_at FROM wanted GROUP BY hour),
computed AS (
  SELECT try_strptime(partition_key, '%Y-%m-%dT%H:%MZ')::TIMESTAMP AT TIME ZONE 'UTC' AS hour, loaded_at
  FROM ops.partitions WHERE table_name = 'ops.completeness'
)
SELECT hour FROM newest LEFT JOIN computed USING (hour)
WHERE hour >= $first AND hour < $last AND (loaded_at IS NULL OR loaded_at < landed_at)
ORDER BY hour
"""


def stale_counted_hours(con: duckdb.DuckDBPyConnection, project: Project, *, now: datetime) -> list[datetime]:
    """Return the UTC hours that were counted anew since their logs were held against the count, in order."""
    rows = con.execute(
        _STALE_COUNTED_HOURS,
        {
            "counters": _kinds("raw.usage_counters"),
            "first": datetime.combine(project.start_on, datetime.min.time(), UTC),
            "last": floor_hour(now),
        },
    ).fetchall()
    return [row[0].astimezone(UTC) for row in rows]


_STALE_DAYS = """
WITH hours AS (
  SELECT try_strptime(partition_key, '%Y-%m-%dT%H:%MZ')::TIMESTAMP AT TIME ZONE 'UTC' AS hour,
         max(changed_at) AS changed_at
  FROM ops.partitions WHERE table_name = ANY($facts) GROUP BY 1
),
days AS (
  SELECT accrued_on, max(changed_at) AS changed_at FROM (
    SELECT (hour AT TIME ZONE $zone)::DATE AS accrued_on, changed_at FROM hours
    UNION ALL
    SELECT ((hour + INTERVAL '59 minutes 59 seconds') AT TIME ZONE $zone)::DATE, changed_at FROM hours
  ) GROUP BY 1
),
computed AS (
  SELECT partition_key::DATE AS accrued_on, min(loaded_at) AS loaded_at, count(*) AS table_count
  FROM ops.partitions WHERE table_name = ANY($marts) GROUP BY 1
)
SELECT accrued_on FROM days LEFT JOIN computed USING (accrued_on)
WHERE accrued_on >= $first AND accrued_on < $last
  AND (loaded_at IS NULL OR table_count < $table_count OR loaded_at < changed_at)
ORDER BY accrued_on
"""


def stale_days(con: duckdb.DuckDBPyConnection, project: Project, *, now: datetime) -> list[date]:
    """Return the business dates whose marts are older than the facts of their hours, in order."""
    marts = list(steps_of("daily"))
    rows = con.execute(
        _STALE_DAYS,
        {
            "facts": list(steps_of("hourly")),
            "marts": marts,
            "table_count": len(marts),
            "zone": project.time_zone,
            "first": project.start_on,
            "last": now.date(),
        },
    ).fetchall()
    return [row[0] for row in rows]
