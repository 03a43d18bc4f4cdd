"""Forget Dagster's records of old runs; when each partition was built last stays known."""

import shutil
from datetime import datetime
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import text

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_FORGET = """
DELETE FROM event_logs WHERE timestamp < :before AND (
  dagster_event_type <> 'ASSET_MATERIALIZATION' OR EXISTS (
    SELECT 1 FROM event_logs newer
    WHERE newer.asset_key = event_logs.asset_key AND newer.dagster_event_type = 'ASSET_MATERIALIZATION'
      AND newer.partition IS event_logs.partition AND newer.id > event_logs.id
  )
)
"""
_FORGET_TAGS = "DELETE FROM asset_event_tags WHERE event_id NOT IN (SELECT id FROM event_logs)"


def forget_old_runs(instance: dg.DagsterInstance, *, before: datetime) -> int:
    """Delete the logs of runs that ended before an instant, and return how many there were.

    Where `dagster.yaml` is the user's own and keeps events elsewhere than in SQLite, nothing is done.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return 0
    old = instance.get_run_records(dg.RunsFilter(statuses=_ENDED, updated_before=before))
    for record in old:
        run_id = record.dagster_run.run_id
        for end in ("", "-wal", "-shm", "-journal"):
            Path(f"{storage.path_for_shard(run_id)}{end}").unlink(missing_ok=True)
        shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
        instance.run_storage.delete_run(run_id)
    if old:
        with storage.index_connection() as con:
            con.execute(text(_FORGET), {"before": before.strftime("%Y-%m-%d %H:%M:%S.%f")})
            con.execute(text(_FORGET_TAGS))
    return len(old)
