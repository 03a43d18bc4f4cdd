"""fal's runners as its command tells them (`fal runners list --since 1d --output json`), with `polled_at` beside.

A runner was asked for `uptime_seconds` before the poll; that it serves, crashed or is gone is as near as polls are
apart. A machine tells its accelerator and not how many: state more than one in the source (`columns = {chip_count =
{value = "2"}}`). Machines without an accelerator are passed over. Source: fal 1.83, `fal/cli/runners.py`, `fal/sdk.py`.
"""

from models.lifecycle.objects import lifecycle_importer
from models.records import instant

_SHAPE = (
    '[{"alias": "VARCHAR", "machine_type": "VARCHAR", "runner_id": "VARCHAR", "uptime_seconds": "VARCHAR", '
    '"state": "VARCHAR"}]'
)
_SOURCE = f"""(
  SELECT line_number, polled_at, r.*,
         {instant("polled_at")} - to_microseconds((TRY_CAST(r.uptime_seconds AS DOUBLE) * 1e6)::BIGINT) AS asked_at,
         listed IS NOT NULL AND len(listed) = 0 AS is_empty
  FROM (
    SELECT line_number, polled_at, listed, unnest(CASE WHEN len(listed) > 0 THEN listed ELSE [NULL] END) AS r
    FROM (SELECT line_number, polled_at, TRY(from_json(runners, '{_SHAPE}')) AS listed FROM records)
  )
)"""
_IS_GONE = "state IN ('TERMINATED', 'DEAD', 'TERMINATING')"

IMPORTER = lifecycle_importer(
    "fal_runner",
    columns={"polled_at": "VARCHAR", "runners": "JSON"},
    facts={
        "replica_id": "runner_id",
        "deployment": "alias",
        "chip": "regexp_replace(machine_type, '^(?i)gpu-', '')",
        "provider": "'fal'",
        "region": "'global'",
    },
    events=(
        ("requested", f"CASE WHEN NOT {_IS_GONE} THEN coalesce(asked_at::VARCHAR, polled_at) END", "NULL"),
        ("ready", "CASE WHEN state IN ('RUNNING', 'IDLE', 'DRAINING') THEN polled_at END", "NULL"),
        ("failed", "CASE WHEN state IN ('CRASH_BACKOFF', 'FAILURE_DELAY') THEN polled_at END", "'crash'"),
        ("stopped", f"CASE WHEN {_IS_GONE} THEN polled_at END", "NULL"),
    ),
    ignored="is_empty OR machine_type NOT ILIKE 'gpu-%'",
    source=_SOURCE,
    signature=(frozenset({"runners[0].runner_id", "runners[0].machine_type"}),),
)
