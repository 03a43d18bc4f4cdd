"""What is out of date: hours, business days and reports whose inputs changed since they were computed.

What is new is known by the lake's snapshots, never by a clock: a partition says which snapshot it was computed from
(`read_snapshot`) and which one changed it last, a landed file in which it came. How far a table reads beyond its own
hour or day is what its step declares.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import duckdb

from models.errors import ConfigurationError
from models.importers import importers
from models.periods import SPAN_GAP, floor_hour
from pipelines.project import Project
from pipelines.steps import step_of, steps, steps_of
from pipelines.steps.base import Read
from pipelines.steps.lives import LONGEST_ATTEMPT

_NOT_READ = """
coalesce({changed}.snapshot, 0) > coalesce({computed}.read_snapshot, 0)
  OR ({changed}.snapshot IS NULL AND {computed}.read_snapshot IS NULL AND {changed}.changed_at > {computed}.loaded_at)
"""
"""Whether something changed after it was read; before snapshots were kept, instants told."""

_STALE_HOURS = f"""
WITH horizon AS (SELECT max(last_at) AS ends_at FROM ops.landed_files),
files AS (SELECT *, source_kind = ANY($bills) AS is_bill FROM ops.landed_files),
by_hour AS (
  -- A bill changes no fact: its hours are built where they are not yet, and none is out of date for it.
  SELECT touched_hour, max(h.landed_snapshot) FILTER (is_bill IS DISTINCT FROM true) AS snapshot,
         max(h.landed_at) FILTER (h.landed_snapshot IS NULL AND is_bill IS DISTINCT FROM true) AS changed_at,
         -- An attempt that lost to a late record may have run longer than that one.
         least(max(greatest(touched_hour, last_finished_at)), touched_hour + to_seconds($longest)) AS reaches_to
  -- What was taken out again has hours, and no file.
  FROM ops.file_hours h LEFT JOIN files f USING (file_hash, source)
  -- A count changes no fact, and an outcome none.
  WHERE f.source_kind IS NULL OR NOT f.source_kind = ANY($counters)
  GROUP BY touched_hour
),
touched AS (
  SELECT touched_hour - to_seconds($window) AS starts_at,
         max(reaches_to) OVER (
           ORDER BY touched_hour RANGE BETWEEN to_seconds($window) PRECEDING AND to_seconds($window) FOLLOWING
         ) + to_seconds($window) AS ends_at, snapshot, changed_at
  FROM by_hour
  UNION ALL
  -- A replica lives on after its last event, so a lifecycle file reaches to the end of what has landed.
  SELECT first_at, greatest(last_at, (SELECT ends_at FROM horizon)), landed_snapshot,
         CASE WHEN landed_snapshot IS NULL THEN landed_at END
  FROM ops.landed_files WHERE source_kind = ANY($lifecycle) AND first_at IS NOT NULL
  UNION ALL
  -- What is committed costs money in every hour, whether anything runs or not: from the first thing that has landed to
  -- the last, and of a bill in its whole month.
  SELECT greatest(c.valid_from, $first, span.begins_at), least(c.valid_to, span.ends_at) - INTERVAL 1 MICROSECOND,
         NULL, NULL
  FROM ref.commitments c, (
    SELECT min(CASE WHEN is_bill THEN date_trunc('month', first_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
                 ELSE first_at END) AS begins_at,
           max(CASE WHEN is_bill THEN
                   (date_trunc('month', greatest(first_at, last_at - INTERVAL 1 MICROSECOND) AT TIME ZONE 'UTC')
                    + INTERVAL 1 MONTH) AT TIME ZONE 'UTC'
                 ELSE last_at END) AS ends_at
    FROM files
  ) span
  WHERE greatest(c.valid_from, $first, span.begins_at) < least(c.valid_to, span.ends_at)
),
wanted AS (
  SELECT unnest(generate_series(date_trunc('hour', starts_at), date_trunc('hour', ends_at), INTERVAL 1 HOUR)) AS hour,
         snapshot, changed_at
  FROM touched
),
newest AS (SELECT hour, max(snapshot) AS snapshot, max(changed_at) AS changed_at FROM wanted GROUP BY hour),
-- Short gaps belong to what is built, whatever was built first.
filled AS (
  FROM newest
  UNION ALL
  SELECT unnest(generate_series(hour + INTERVAL 1 HOUR, following - INTERVAL 1 HOUR, INTERVAL 1 HOUR)), NULL, NULL
  FROM (SELECT hour, lead(hour) OVER (ORDER BY hour) AS following FROM newest)
  WHERE following - hour > INTERVAL 1 HOUR AND following - hour <= to_seconds($gap) + INTERVAL 1 HOUR
),
computed AS (
  SELECT try_strptime(partition_key, '%Y-%m-%dT%H:%MZ')::TIMESTAMP AT TIME ZONE 'UTC' AS hour,
         min(loaded_at) AS loaded_at, min(read_snapshot) AS read_snapshot, count(*) AS table_count
  FROM ops.partitions WHERE table_name = ANY($facts) GROUP BY 1
)
SELECT hour FROM filled LEFT JOIN computed USING (hour)
WHERE hour >= $first AND hour < $last
  AND (table_count IS NULL OR table_count < $table_count OR read_snapshot < 0
       OR {_NOT_READ.format(changed="filled", computed="computed")})
ORDER BY hour
"""


def stale_hours(con: duckdb.DuckDBPyConnection, project: Project, *, now: datetime) -> list[datetime]:
    """Return the UTC hours whose facts are older than the records that touch them, in order.

    Raises:
        ConfigurationError: records lie before the first partition.
    """
    first = _first_hour(project)
    earliest = con.execute(
        "SELECT path, first_at FROM ops.landed_files WHERE first_at < ? ORDER BY first_at LIMIT 1", [first]
    ).fetchone()
    if earliest is not None:
        raise ConfigurationError(
            f"{earliest[0]} holds records from {earliest[1]:%Y-%m-%d}, before the first partition; "
            f"set [warehouse] start_on = {earliest[1]:%Y-%m-%d} (or earlier) in {project.folder / 'nanodollar.toml'}."
        )
    facts = list(steps_of("hourly"))
    window = max(_reach("core.requests", "raw.requests", project))
    rows = con.execute(
        _STALE_HOURS,
        {
            "window": window.total_seconds(),
            "longest": LONGEST_ATTEMPT.total_seconds(),
            "gap": SPAN_GAP.total_seconds(),
            "lifecycle": kinds_of("raw.replica_events"),
            "bills": kinds_of("raw.invoice_lines"),
            "counters": [*kinds_of("raw.usage_counters"), *kinds_of("raw.outcomes")],
            "facts": facts,
            "table_count": len(facts),
            "first": first,
            "last": floor_hour(now),
        },
    ).fetchall()
    return [row[0].astimezone(UTC) for row in rows]


def kinds_of(raw_table: str) -> list[str]:
    """Return the kinds of sources whose records land in a table."""
    return [kind for kind, importer in importers().items() if importer.table == raw_table]


def _first_hour(project: Project) -> datetime:
    return datetime.combine(project.start_on, datetime.min.time(), UTC)


def _reach(dotted: str, read_table: str, project: Project) -> tuple[timedelta, timedelta]:
    (found,) = [read for read in step_of(dotted).inputs if read.table == read_table]
    return found.reach(project)


_STALE_COUNTED_HOURS = f"""
WITH wanted AS (
  SELECT unnest(generate_series(
           date_trunc('hour', touched_hour - to_seconds($after)),
           date_trunc('hour', greatest(touched_hour, last_finished_at - INTERVAL 1 MICROSECOND) + to_seconds($before)),
           INTERVAL 1 HOUR)) AS hour,
         h.landed_snapshot AS snapshot, CASE WHEN h.landed_snapshot IS NULL THEN h.landed_at END AS changed_at,
         touched_hour, last_finished_at
  FROM ops.file_hours h JOIN ops.landed_files f USING (file_hash, source) WHERE f.source_kind = ANY($counters)
),
newest AS (
  SELECT hour, max(snapshot) AS snapshot, max(changed_at) AS changed_at,
         bool_or(hour >= touched_hour AND hour <= coalesce(last_finished_at, touched_hour)) AS is_counted
  FROM wanted GROUP BY hour
),
computed AS (
  SELECT try_strptime(partition_key, '%Y-%m-%dT%H:%MZ')::TIMESTAMP AT TIME ZONE 'UTC' AS hour, loaded_at, read_snapshot
  FROM ops.partitions WHERE table_name = 'ops.completeness'
)
SELECT hour FROM newest LEFT JOIN computed USING (hour)
WHERE hour >= $first AND hour < $last AND CASE WHEN loaded_at IS NULL THEN is_counted ELSE
  {_NOT_READ.format(changed="newest", computed="computed")} END
ORDER BY hour
"""


def stale_counted_hours(con: duckdb.DuckDBPyConnection, project: Project, *, now: datetime) -> list[datetime]:
    """Return the UTC hours that were counted anew since their logs were held against the count, in order."""
    before, after = _reach("ops.completeness", "raw.usage_counters", project)
    rows = con.execute(
        _STALE_COUNTED_HOURS,
        {
            "before": before.total_seconds(),
            "after": after.total_seconds(),
            "counters": kinds_of("raw.usage_counters"),
            "first": _first_hour(project),
            "last": floor_hour(now),
        },
    ).fetchall()
    return [row[0].astimezone(UTC) for row in rows]


_CHANGES = """
WITH changes AS (
  SELECT table_name, starts_at, starts_at + INTERVAL 1 HOUR AS ends_at, changed_snapshot AS snapshot,
         CASE WHEN changed_snapshot IS NULL THEN changed_at END AS changed_at
  FROM (
    SELECT *, try_strptime(partition_key, '%Y-%m-%dT%H:%MZ')::TIMESTAMP AT TIME ZONE 'UTC' AS starts_at
    FROM ops.partitions WHERE table_name = ANY($hourly)
  )
  UNION ALL
  SELECT table_name, on_day::TIMESTAMP AT TIME ZONE $zone, (on_day + 1)::TIMESTAMP AT TIME ZONE $zone, changed_snapshot,
         CASE WHEN changed_snapshot IS NULL THEN changed_at END
  FROM (SELECT *, partition_key::DATE AS on_day FROM ops.partitions WHERE table_name = ANY($daily))
  UNION ALL
  SELECT k.table_name, touched_hour, greatest(touched_hour, last_finished_at) + INTERVAL 1 HOUR, h.landed_snapshot,
         CASE WHEN h.landed_snapshot IS NULL THEN h.landed_at END
  FROM ops.file_hours h JOIN ops.landed_files f USING (file_hash, source)
  JOIN (SELECT unnest($kinds) AS source_kind, unnest($kind_tables) AS table_name) k USING (source_kind)
),
reached AS (
  SELECT r.name, is_monthly, ((c.starts_at - to_seconds(r.after)) AT TIME ZONE $zone)::DATE AS first_on,
         ((c.ends_at + to_seconds(r.before) - INTERVAL 1 MICROSECOND) AT TIME ZONE $zone)::DATE AS last_on,
         c.snapshot, max(c.changed_at) AS changed_at
  FROM changes c JOIN (
    SELECT unnest($names) AS name, unnest($read_tables) AS table_name,
           unnest($earlier) AS before, unnest($afters) AS after, unnest($monthly) AS is_monthly
  ) r USING (table_name)
  GROUP BY ALL
),
needed AS (
  SELECT name, unnest(
           -- Rows of a month stand at its first day.
           CASE WHEN is_monthly
           THEN generate_series(
             date_trunc('month', first_on + INTERVAL 1 MONTH - INTERVAL 1 DAY), last_on::TIMESTAMP, INTERVAL 1 MONTH)
           ELSE generate_series(first_on::TIMESTAMP, last_on::TIMESTAMP, INTERVAL 1 DAY) END
         )::DATE AS on_day, snapshot, changed_at
  FROM reached
),
-- Business days that have hours.
days AS (
  SELECT DISTINCT unnest([
    (starts_at AT TIME ZONE $zone)::DATE, ((ends_at - INTERVAL 1 MICROSECOND) AT TIME ZONE $zone)::DATE
  ]) AS on_day
  FROM changes WHERE table_name = ANY($hourly)
),
"""
_STALE_DAYS = (
    _CHANGES
    + f"""
needed_beyond AS ({{beyond}}),
computed AS (
  SELECT table_name AS name, partition_key::DATE AS on_day, loaded_at, read_snapshot, written_snapshot
  FROM ops.partitions WHERE table_name = ANY($steps)
),
changed AS (FROM needed UNION ALL BY NAME FROM needed_beyond),
outdated AS (
  SELECT DISTINCT needed.name, on_day FROM changed AS needed JOIN computed USING (name, on_day)
  -- What was computed together was read together.
  WHERE needed.snapshot IS DISTINCT FROM computed.written_snapshot
    AND ({_NOT_READ.format(changed="needed", computed="computed")})
  UNION
  SELECT name, on_day FROM computed WHERE read_snapshot < 0
  UNION
  SELECT name, on_day FROM (SELECT unnest($steps) AS name) CROSS JOIN days ANTI JOIN computed USING (name, on_day)
),
-- A month is built with its first day that has hours, which may be a later one than that at which its rows stand.
months AS (
  SELECT unnest($monthly_steps) AS name, date_trunc('month', on_day)::DATE AS month_on, min(on_day) AS built_on
  FROM days WHERE on_day >= $first GROUP BY ALL
),
due AS (
  SELECT DISTINCT outdated.name, coalesce(built_on, on_day) AS on_day
  FROM outdated LEFT JOIN months ON months.name = outdated.name AND month_on = on_day
)
SELECT on_day, list(name ORDER BY name) FROM due JOIN days USING (on_day)
WHERE on_day >= $first AND on_day < $last GROUP BY on_day ORDER BY on_day
"""
)


def stale_days(
    con: duckdb.DuckDBPyConnection, project: Project, *, now: datetime
) -> dict[date, tuple[str, ...]]:
    """Return the business dates of which something is out of date, in order, each with the steps that are."""
    reads = {name: step.inputs for name, step in steps_of("daily").items()}
    beyond = " UNION ALL ".join(
        f"SELECT '{name}' AS name, on_day, snapshot FROM ({step.changed_beyond})"
        for name, step in steps_of("daily").items()
        if step.changed_beyond
    )
    query = _STALE_DAYS.replace("{beyond}", beyond)
    parameters = {
        **_asked(reads, project, now=now),
        "steps": list(reads),
        "monthly_steps": [name for name in reads if steps()[name].is_monthly],
    }
    rows = con.execute(query, parameters).fetchall()
    return {on: tuple(names) for on, names in rows}


_STALE_REPORTS = (
    _CHANGES
    + """
written AS (
  SELECT key::DATE AS on_day, read_snapshot FROM ops.progress WHERE task = $report
)
SELECT DISTINCT on_day FROM days LEFT JOIN written USING (on_day)
WHERE on_day >= $first AND on_day < $last
-- A page that was written stays current, however old its day.
AND (written.on_day IS NOT NULL OR list_contains($there::DATE[], on_day)
     OR on_day > (SELECT max(on_day) FROM days WHERE on_day < $last) - $recent_days)
AND (
  written.read_snapshot IS NULL OR NOT list_contains($there::DATE[], on_day)
  OR EXISTS (FROM needed WHERE needed.on_day = days.on_day AND coalesce(needed.snapshot, 0) > written.read_snapshot)
)
ORDER BY on_day
"""
)


def stale_reports(
    con: duckdb.DuckDBPyConnection,
    project: Project,
    *,
    report: str,
    reads: Iterable[Read],
    there: Iterable[date],
    recent_days: int,
    now: datetime,
) -> list[date]:
    """Return the business dates, in order, whose report was not written since what it shows has changed.

    Of a long past only the days have a page that somebody asked for.

    Args:
        con: session on the lake.
        project: its settings.
        report: the task by which ops.progress knows it.
        reads: the tables that it shows.
        there: the days whose page is there.
        recent_days: how many days before the newest one have a page without being asked for.
        now: later days are left out.
    """
    parameters = {**_asked({report: tuple(reads)}, project, now=now), "report": report, "there": list(there)}
    parameters["recent_days"] = recent_days
    return [on for (on,) in con.execute(_STALE_REPORTS, parameters).fetchall()]


def _asked(reads: dict[str, tuple[Read, ...]], project: Project, *, now: datetime) -> dict[str, object]:
    """Return the parameters of `_CHANGES`."""
    hourly, daily = (
        sorted({dotted for step in steps_of(grain).values() for dotted in step.tables})
        for grain in ("hourly", "daily")
    )
    kinds = {kind: importer.table for kind, importer in importers().items()}
    known = {*hourly, *daily, *kinds.values()}
    each = [(name, read) for name, all_reads in reads.items() for read in all_reads if read.table in known]
    reaches = [read.reach(project) for _, read in each]
    return {
        "hourly": hourly,
        "daily": daily,
        "zone": project.time_zone,
        "kinds": list(kinds),
        "kind_tables": list(kinds.values()),
        "names": [name for name, _ in each],
        "read_tables": [read.table for _, read in each],
        "earlier": [before.total_seconds() for before, _ in reaches],
        "afters": [after.total_seconds() for _, after in reaches],
        "monthly": [name in steps() and steps()[name].is_monthly for name, _ in each],
        "first": project.start_on,
        "last": now.date(),
    }


def day_runs(due: dict[date, tuple[str, ...]]) -> list[tuple[date, date, tuple[str, ...]]]:
    """Join days in a row that lack the same steps into half-open ranges."""
    found: list[tuple[date, date, tuple[str, ...]]] = []
    for on, names in due.items():
        if found and found[-1][1] == on and found[-1][2] == names:
            found[-1] = (found[-1][0], on + timedelta(days=1), names)
        else:
            found.append((on, on + timedelta(days=1), names))
    return found
