"""Keep the lake small: merge small files, expire old snapshots, remove files that nothing names any more.

Each step is a transaction of DuckLake's own functions within the turn of commits, so that readers see the same rows
before and after, and a kill leaves nothing half done. A file that was merged or replaced stays for a day, for readers
that had begun; the snapshot of each close stays for good, so that its pack can be written again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from models.errors import DataError
from pipelines.durable import durable
from pipelines.quoting import sql_text
from pipelines.warehouse.damage import damaged_files, sweep
from pipelines.warehouse.data_files import LakeFiles
from pipelines.warehouse.marker import keep_mark, refuse_a_copy
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.statistics import METADATA

GRACE = timedelta(days=1)
"""How long a file stays that no snapshot needs: a reader may have begun before."""
_SMALL_BYTES = 16_000_000
_TARGET_BYTES = 64_000_000
"""Files of less than the first are merged into files of the second."""
_DELETED_RATIO = 0.25
"""A large file is written anew when so much of it is deleted; a small one as soon as a row is."""
_TABLES = f"""
SELECT s.schema_name, t.table_name, count(d.data_file_id) AS with_deletes,
       count(*) FILTER (f.file_size_bytes < {_SMALL_BYTES}) AS small, sum(f.file_size_bytes) AS size_bytes
FROM {METADATA}.ducklake_data_file f
JOIN {METADATA}.ducklake_table t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
JOIN {METADATA}.ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
LEFT JOIN {METADATA}.ducklake_delete_file d ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
WHERE f.end_snapshot IS NULL GROUP BY ALL HAVING with_deletes > 0 OR small > 1 ORDER BY ALL
"""
_OLD_SNAPSHOTS = f"""
SELECT snapshot_id FROM {METADATA}.ducklake_snapshot
WHERE snapshot_time::TIMESTAMPTZ < ? AND snapshot_id < (SELECT max(snapshot_id) FROM {METADATA}.ducklake_snapshot)
  AND snapshot_id NOT IN (SELECT snapshot_id FROM ops.closed_periods WHERE snapshot_id IS NOT NULL)
ORDER BY ALL
"""


@dataclass(frozen=True)
class Maintained:
    """What a maintenance did: files under the data path and their bytes before and after, and snapshots expired."""

    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    expired_count: int


def maintain(warehouse: Warehouse, *, keep: timedelta, now: datetime, grace: timedelta = GRACE) -> Maintained:
    """Merge small files, expire snapshots, and remove the files that none needs.

    Args:
        warehouse: the project's lake.
        keep: how far back each snapshot stays; the newest, and that of each close, always stay.
        now: the time.
        grace: how long a file stays that no snapshot needs.

    Raises:
        DataError: a file of the lake is damaged, before or after; nothing is expired or removed.
    """
    files = LakeFiles(warehouse.project)
    before = [file.size_bytes for file in files.listed().values()]
    with warehouse.lake.writing() as con:
        refuse_a_copy(con, warehouse.project)
        _refuse_damage(con, warehouse)
        _compact(con, warehouse)
        _refuse_damage(con, warehouse)
        with warehouse.lake.turn():
            old = [row[0] for row in con.execute(_OLD_SNAPSHOTS, [now - keep]).fetchall()]
            if old:
                durable("maintenance: expire snapshots")
                con.execute(f"CALL ducklake_expire_snapshots('nanodollar', versions => {old})")
            durable("maintenance: remove files")
            con.execute(
                f"CALL ducklake_cleanup_old_files('nanodollar', older_than => TIMESTAMPTZ '{now - grace}')"
            )
            keep_mark(con, warehouse.project)
    sweep(warehouse)
    after = [file.size_bytes for file in files.listed().values()]
    return Maintained(len(before), len(after), sum(before), sum(after), len(old))


def _refuse_damage(con: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> None:
    for file in damaged_files(con, warehouse.project):
        raise DataError(
            f"{file.sentence}; nothing was expired or removed. `nanodollar run` mends it; then maintain again."
        )


def _compact(con: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> None:
    con.execute(f"CALL nanodollar.set_option('target_file_size', '{_TARGET_BYTES // 1_000_000}MB')")
    # 0.1.0 left small changes in the catalog, of which DuckLake cannot rewrite a table that has got columns since.
    with warehouse.lake.turn():
        con.execute("CALL ducklake_flush_inlined_data('nanodollar')")
    for schema, name, with_deletes, small, size_bytes in con.execute(_TABLES).fetchall():
        named = f"'nanodollar', {sql_text(name)}, schema => {sql_text(schema)}"
        warehouse.progress("maintain", f"{schema}.{name}: {small} small files")
        with warehouse.lake.turn():
            if with_deletes:
                ratio = 0 if size_bytes < _TARGET_BYTES else _DELETED_RATIO
                durable("maintenance: rewrite files")
                con.execute(f"CALL ducklake_rewrite_data_files({named}, delete_threshold => {ratio})")
            durable("maintenance: merge files")
            con.execute(f"CALL ducklake_merge_adjacent_files({named}, max_file_size => {_SMALL_BYTES})")
