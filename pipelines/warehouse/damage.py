"""Damage of the lake: files that are gone, cut or changed, and tables that hold other rows than were committed.

A damaged file is taken out of the catalog, and partitions that do not hold what was committed are emptied and
forgotten; the run that follows lands and computes them anew. What only the lake knew is named as lost.
"""

import contextlib
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import polars as pl

from models.errors import DataError
from models.schemas import table as schema_of
from models.schemas import tables
from models.schemas.base import Table
from pipelines.object_store import SCHEME
from pipelines.project import Project
from pipelines.quoting import sql_text
from pipelines.replacing import replace_file
from pipelines.warehouse.closed import closed_periods
from pipelines.warehouse.commit import partition_value
from pipelines.warehouse.content_hashes import BY_THIS_POLARS, content_hash
from pipelines.warehouse.data_files import LakeFiles, dead_drafts
from pipelines.warehouse.marker import refuse_a_copy
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.staged import partition_key
from pipelines.warehouse.statistics import METADATA

_SETTLED = timedelta(seconds=5)
"""A file is written before its commit; one that is later by more was changed."""
_OF_DUCKLAKE = "_ducklake_internal_"
_PLACE = """CASE WHEN NOT f.path_is_relative THEN f.path
            ELSE concat(CASE WHEN s.path_is_relative THEN $data || s.path ELSE s.path END, t.path, f.path) END"""
_TABLE = f"""
JOIN {METADATA}.ducklake_table t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
JOIN {METADATA}.ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
ASOF LEFT JOIN {METADATA}.ducklake_snapshot n ON n.snapshot_id >= f.begin_snapshot
"""
"""The table of a file, and the snapshot that it came with, or where that is expired the next one that is kept."""
_FILES = f"""
SELECT s.schema_name || '.' || t.table_name, f.data_file_id, n.snapshot_time::TIMESTAMPTZ, f.record_count,
       f.file_size_bytes, d.data_file_id IS NULL, {_PLACE}
FROM {METADATA}.ducklake_data_file f {_TABLE}
LEFT JOIN {METADATA}.ducklake_delete_file d ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
WHERE f.end_snapshot IS NULL
UNION ALL
SELECT s.schema_name || '.' || t.table_name, f.data_file_id, n.snapshot_time::TIMESTAMPTZ, f.delete_count,
       f.file_size_bytes, false, {_PLACE}
FROM {METADATA}.ducklake_delete_file f {_TABLE} WHERE f.end_snapshot IS NULL
"""
"""Data files, and the files that say which of their rows are deleted: without these nothing of a data file is known."""
_NAMED = f"""
SELECT path FROM {METADATA}.ducklake_data_file UNION ALL SELECT path FROM {METADATA}.ducklake_delete_file
UNION ALL SELECT path FROM {METADATA}.ducklake_files_scheduled_for_deletion
"""
_ALONE = {
    "ops.closed_periods": "which months are closed",
    "core.adjustments": "the corrections of closed months",
    "ops.landed_files": "what has landed",
    "ops.file_hours": "which hours the landed files touch",
}
"""Tables that nothing else tells: a run cannot build them anew."""
_AS_CLOSED = ("core.request_costs", "core.pool_hours", "core.other_charges")
"""Tables whose rows of closed months stand as they were, which computing again does not give."""
_INDEX = ("ops.landed_files", "ops.file_hours", "ops.file_paths", "ops.quarantine")


@dataclass(frozen=True)
class DamagedFile:
    """A data file of the lake that cannot be read as it was written."""

    table: str
    file_id: int
    place: str
    is_there: bool
    what: str

    @property
    def sentence(self) -> str:
        return f"{self.place} of {self.table} {self.what}"


def mend(warehouse: Warehouse, *, is_thorough: bool = False) -> list[str]:
    """Take damage out of the lake, so that the run builds it anew; return a sentence for what was found.

    Args:
        warehouse: the project's lake.
        is_thorough: whether every file is read, not only those that were changed after their commit.

    Raises:
        DataError: what is damaged cannot be built anew; the lake stays as it is.
    """
    project = warehouse.project
    sweep(warehouse)
    with warehouse.reading() as con:
        if not con.execute(f"FROM {METADATA}.ducklake_data_file LIMIT 1").fetchall():
            return []  # Nothing was ever committed.
        damaged = damaged_files(con, project, is_thorough=is_thorough)
        _refuse_what_is_lost(con, project, damaged)
    lines = [f"{file.sentence}: its rows are built anew." for file in damaged]
    if damaged:
        _take_out(warehouse, damaged)
    with warehouse.reading() as con:
        differing = {
            dotted: keys
            for dotted in counted_otherwise(con)
            if (keys := differing_partitions(con, schema_of(dotted)))
        }
        _refuse_closed(con, project, differing)
        lacking = _lacking_files(con)
    for dotted, keys in differing.items():
        _forget(warehouse, dotted, keys)
        if dotted not in {file.table for file in damaged}:
            lines.append(f"{dotted} does not hold what was committed of {_some(keys)}: built anew.")
    return lines + _land_again(warehouse, lacking)


def sweep(warehouse: Warehouse) -> None:
    """Remove what kills have left: drafts of dead processes, and files that no snapshot of the lake names."""
    project = warehouse.project
    # Files get their names, and their commit, within one turn: in ours, what is not named is nobody's.
    with warehouse.lake.turn(), warehouse.reading() as con:
        refuse_a_copy(con, project)
        for draft in dead_drafts(project):
            draft.unlink(missing_ok=True)
        files = LakeFiles(project)
        for place in unnamed_files(con, project):
            files.remove(place)


def unnamed_files(con: duckdb.DuckDBPyConnection, project: Project) -> list[str]:
    """Return the addresses of files under the data path that no snapshot of the lake names; drafts are not meant."""
    named = {row[0].rpartition("/")[2] for row in con.execute(_NAMED).fetchall()}
    found = []
    for place in LakeFiles(project).listed():
        name = place.rpartition("/")[2]
        if name not in named and not name.startswith(".") and "/.drafts/" not in place:
            found.append(place)
    return found


def damaged_files(
    con: duckdb.DuckDBPyConnection, project: Project, *, is_thorough: bool = False
) -> list[DamagedFile]:
    """Return the files of a lake that are gone, have another size, or were changed after they were written.

    Args:
        con: a session on the lake.
        project: whose lake.
        is_thorough: whether every file is read, so that a change that kept the file's time is found too.
    """
    known = con.execute(_FILES.replace("$data", sql_text(f"{project.data_path.rstrip('/')}/"))).fetchall()
    files = LakeFiles(project)
    there = files.looked_up(row[-1] for row in known)
    found_good = _UndamagedFiles(project)
    found = []
    hashes: dict[str, dict[str, str]] = {}
    for dotted, file_id, written_at, count, size, is_whole, place in known:
        stored = there.get(place)
        what = None
        if stored is None:
            what = "is gone"
        elif stored.size_bytes != size:
            what = f"has {stored.size_bytes:,} bytes instead of {size:,}"
        elif is_thorough or (
            stored.modified_at > written_at + _SETTLED and not found_good.has(place, stored.modified_at)
        ):
            if dotted not in hashes:
                hashes[dotted] = _content_hashes(con, dotted)
            content = files.content(place)
            what = _wrong_inside(content, schema_of(dotted), count, hashes[dotted] if is_whole else {})
            if what is None:  # It was copied or touched, and need not be read again.
                found_good.add(place, stored.modified_at)
        if what is not None:
            found.append(DamagedFile(dotted, file_id, place, stored is not None, what))
    found_good.keep()
    return found


class _UndamagedFiles:
    """Files that are newer than their commit, by copies or by a store's own clock, and were read and found good."""

    def __init__(self, project: Project) -> None:
        self._file = project.own_folder / ".nanodollar.files_found_good.json"
        self._before: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            self._before = json.loads(self._file.read_text(encoding="utf-8"))
        self._now: dict[str, str] = {}

    def has(self, place: str, modified_at: datetime) -> bool:
        is_known = self._before.get(place) == modified_at.isoformat()
        if is_known:
            self.add(place, modified_at)
        return is_known

    def add(self, place: str, modified_at: datetime) -> None:
        self._now[place] = modified_at.isoformat()

    def keep(self) -> None:
        if self._now != self._before:
            replace_file(self._file, json.dumps(self._now))


def _wrong_inside(content: bytes, table: Table, count: int, hashes: dict[str, str]) -> str | None:
    """Say what is wrong with what a file holds: it does not read, or its partitions are not those committed."""
    try:
        rows = pl.read_parquet(content)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        return f"does not read ({str(error).splitlines()[0]})"
    if rows.height != count:
        return f"has {rows.height:,} rows instead of {count:,}"
    # DuckLake adds columns to what it merges.
    rows = rows.select(pl.exclude(f"^{_OF_DUCKLAKE}.*$"))
    # A file of an earlier version was hashed with the columns of then; without one that went, its hash is nobody's.
    names = [name for name in table.column_names if name in rows.columns]
    if table.partition is None or not hashes or len(names) < rows.width:
        return None
    in_order = table.conform(rows.lazy(), fill=True).sort(table.key, nulls_last=True, maintain_order=True)
    for (value,), part in in_order.select(names).collect().group_by(table.partition, maintain_order=True):
        known = hashes.get(partition_key(value))
        # What another version has hashed cannot be told by its hash.
        if known is not None and known.startswith(BY_THIS_POLARS) and known != content_hash(part):
            return f"holds other rows of {partition_key(value)} than were committed"
    return None


def _content_hashes(con: duckdb.DuckDBPyConnection, dotted: str) -> dict[str, str]:
    return dict(
        con.execute(
            f"SELECT partition_key, content_hash FROM ops.partitions WHERE table_name = {sql_text(dotted)}"
        ).fetchall()
    )


def _refuse_what_is_lost(
    con: duckdb.DuckDBPyConnection, project: Project, damaged: list[DamagedFile]
) -> None:
    for file in damaged:
        months = []
        if file.table in _AS_CLOSED:
            months = _closed_months(con, project)
        if file.table in _ALONE or months:
            what = (
                _ALONE.get(file.table) or f"the figures of closed months ({', '.join(months)}) as they stand"
            )
            raise DataError(
                f"{file.sentence}: {what} cannot be told from anything else. Put the file back from a backup and "
                f"run again."
            )


def _closed_months(con: duckdb.DuckDBPyConnection, project: Project) -> list[str]:
    return [f"{first:%Y-%m}" for first, _ in closed_periods(con, project)]


def _take_out(warehouse: Warehouse, damaged: list[DamagedFile]) -> None:
    """Let the catalog forget files; what is left of one is set aside beside it."""
    ids = ", ".join(str(file.file_id) for file in damaged)
    with warehouse.lake.writing() as con, warehouse.lake.turn():
        con.execute("BEGIN")
        for name in ("ducklake_file_column_stats", "ducklake_delete_file", "ducklake_data_file"):
            con.execute(f"DELETE FROM {METADATA}.{name} WHERE data_file_id IN ({ids})")
        con.execute("COMMIT")
    warehouse.lake.close()
    files = LakeFiles(warehouse.project)
    for file in damaged:
        if file.is_there:
            files.set_aside(file.place)


def counted_otherwise(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the tables of which the catalog counts other rows than were committed."""
    known = [name for name, table in tables().items() if table.select is None and table.schema != "ops"]
    counts = " UNION ALL ".join(
        f"SELECT {sql_text(name)} AS name, (SELECT count(*) FROM {name}) AS counted" for name in known
    )
    rows = con.execute(
        f"SELECT name FROM ({counts}) LEFT JOIN (SELECT table_name AS name, sum(row_count) AS committed "
        "FROM ops.partitions GROUP BY ALL) USING (name) WHERE counted <> coalesce(committed, 0) "
        "AND name NOT LIKE 'raw.%' AND name <> 'core.adjustments' ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


def differing_partitions(con: duckdb.DuckDBPyConnection, table: Table) -> list[str]:
    """Return the keys of partitions that a scan finds with another number of rows than were committed."""
    if table.partition is None:
        key = "'all'"
    elif isinstance(table.polars_schema[table.partition], pl.Datetime):
        key = f"strftime({table.partition} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%MZ')"
    else:
        key = f"strftime({table.partition}, '%Y-%m-%d')"
    rows = con.execute(
        f"SELECT coalesce(found.key, known.key) FROM (SELECT {key} AS key, count(*) AS rows FROM {table.dotted} "
        "GROUP BY ALL) found FULL JOIN (SELECT partition_key AS key, row_count AS rows FROM ops.partitions "
        f"WHERE table_name = {sql_text(table.dotted)} AND row_count > 0) known ON found.key = known.key "
        "WHERE found.rows IS DISTINCT FROM known.rows ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


def _refuse_closed(con: duckdb.DuckDBPyConnection, project: Project, differing: dict[str, list[str]]) -> None:
    for first, last in closed_periods(con, project):
        for dotted in _AS_CLOSED:
            keys = [key for key in differing.get(dotted, []) if f"{first}" <= key[:10] < f"{last}"]
            if keys:
                raise DataError(
                    f"{dotted} does not hold what was committed of {_some(keys)}, hours of the closed month "
                    f"{first:%Y-%m}, which cannot be computed again as they stood. Restore the warehouse from a backup."
                )


def _forget(warehouse: Warehouse, dotted: str, keys: list[str]) -> None:
    """Empty partitions and forget that they were computed."""
    table = schema_of(dotted)
    listed = ", ".join(sql_text(key) for key in keys)
    where = "true"
    if table.partition is not None:
        kind = "TIMESTAMPTZ" if "T" in keys[0] else "DATE"
        values = [partition_value(key).isoformat() for key in keys]
        where = f"{table.partition} IN ({', '.join(f'{kind} {sql_text(value)}' for value in values)})"
    with warehouse.committing(run_id=str(uuid.uuid4()), job="mend") as commit:
        commit.execute(f"DELETE FROM {dotted} WHERE {where}")
        commit.execute(
            f"DELETE FROM ops.partitions WHERE table_name = {sql_text(dotted)} AND partition_key IN ({listed})"
        )


def _lacking_files(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """Return source, hash and path of landed files of which the lake has fewer records than landed."""
    counts = " UNION ALL ".join(
        f"SELECT source, file_hash, count(*) AS rows FROM {dotted} GROUP BY ALL" for dotted in _landed()
    )
    whole = " + ".join(f"(SELECT count(*) FROM {dotted})" for dotted in _landed())
    committed = con.execute(
        f"SELECT {whole} >= (SELECT coalesce(sum(landed_count), 0) FROM ops.landed_files)"
    )
    if committed.fetchall()[0][0]:
        return []
    return con.execute(
        "SELECT f.source, f.file_hash, f.path FROM ops.landed_files f "
        f"LEFT JOIN ({counts}) c USING (source, file_hash) WHERE f.landed_count > coalesce(c.rows, 0) ORDER BY ALL"
    ).fetchall()


def _land_again(warehouse: Warehouse, lacking: list[tuple[str, str, str]]) -> list[str]:
    """Forget landed files whose records are not all there, if they can be read again; tell of them all."""
    if not lacking:
        return []
    project = warehouse.project
    there = [file for file in lacking if _is_there(project, file[2])]
    gone = [file[2] for file in lacking if file not in there]
    if there:
        which = ", ".join(f"({sql_text(source)}, {sql_text(digest)})" for source, digest, _ in there)
        with warehouse.committing(run_id=str(uuid.uuid4()), job="mend") as commit:
            for dotted in (*_landed(), *_INDEX):
                commit.execute(f"DELETE FROM {dotted} WHERE (source, file_hash) IN ({which})")
    lines = [f"{_some([path for *_, path in there])}: records were lost and land again."] if there else []
    if gone:
        raise DataError(
            f"Records of {_some(gone)} are lost, and it is not there to be landed again; put it back and run again."
        )
    return lines


def _landed() -> list[str]:
    return [name for name, table in tables().items() if table.schema == "raw"]


def _is_there(project: Project, path: str) -> bool:
    return path.startswith(SCHEME) or (project.folder / path).exists()


def _some(things: list[str]) -> str:
    return things[0] if len(things) == 1 else f"{things[0]} and {len(things) - 1} more"
