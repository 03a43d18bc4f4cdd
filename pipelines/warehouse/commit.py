"""The one committing room: partitions are replaced atomically, and doing it again changes nothing.

The rows of the old partitions go and files with the new ones are registered in one transaction; a partition whose
rows did not change is not written again. Small partitions of one commit share a file: reading a month of them costs as
much as their bytes, and not an open file an hour.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

import duckdb
import polars as pl

from models.errors import DataError
from models.schemas import table as schema_of
from models.schemas.base import Table
from pipelines.durable import durable
from pipelines.project import Project
from pipelines.quoting import sql_text
from pipelines.warehouse.connect import Lake
from pipelines.warehouse.data_files import DataFiles, Draft, staging
from pipelines.warehouse.disk import full_disk_sentence, is_full_disk
from pipelines.warehouse.marker import keep_mark, refuse_a_copy
from pipelines.warehouse.staged import (
    EMPTY,
    PartitionValue,
    Staged,
    StagedPartition,
    partition_key,
    stage,
    write_draft,
)
from pipelines.warehouse.statistics import fit_threads

_ATTEMPTS = 8


def partition_value(key: str) -> datetime | date:
    """Return the hour or the business date that a partition's key names."""
    return datetime.fromisoformat(key) if "T" in key else date.fromisoformat(key)


class OvertakenError(DataError):
    """Another writer has changed what a commit replaces since its rows were read; nothing of it was committed."""


@dataclass(frozen=True)
class _KnownPartition:
    """What ops.partitions knows of a partition."""

    content_hash: str
    changed_at: datetime
    changed_snapshot: int | None
    read_snapshot: int | None
    written_snapshot: int | None

    def overtakes(self, read: int, *, is_booking: bool) -> bool:
        """Return whether rows that were computed from a snapshot may no longer replace the partition's.

        What was computed from as much as is known now stays, and so does the mark of what is outdated by prices that
        are newer (the negative snapshot of the mark). A correction is a difference from the rows that were read.
        """
        is_newer = self.written_snapshot is not None and self.written_snapshot > read
        if self.read_snapshot is None or (is_newer and is_booking):
            return is_newer and is_booking
        return read < -self.read_snapshot or (is_newer and self.read_snapshot >= read)


@dataclass
class Commit:
    """What one transaction will do; nothing is visible before it ends."""

    project: Project
    run_id: str
    job: str
    con: duckdb.DuckDBPyConnection
    begun_at: datetime
    read_snapshot: int
    """What is read for it holds at least this snapshot of the lake."""
    _staged: list[Staged] = field(default_factory=list)
    _files: list[tuple[Table, Path]] = field(default_factory=list)
    _shared: list[Draft] = field(default_factory=list)
    _unused: list[Draft] = field(default_factory=list)
    _actions: list[Callable[[], None]] = field(default_factory=list)
    _is_booking: bool = False
    changed: int = 0

    def __post_init__(self) -> None:
        self._data_files = DataFiles(self.project)

    def replace(
        self, dotted: str, frame: pl.DataFrame, *, partitions: Sequence[PartitionValue] = (None,)
    ) -> None:
        """Replace whole partitions of a table (all of it by default) by the rows of a frame.

        Args:
            dotted: table name such as `core.requests`.
            frame: the table's columns, in any order; only rows of `partitions`.
            partitions: hours or business dates to replace; one without rows becomes empty.

        Raises:
            DataError: a required column holds NULL, a key is double, or a row lies outside.
        """
        self.take(stage(self._data_files, dotted, frame, partitions=partitions))

    def take(self, staged: Staged) -> None:
        """Replace the partitions that were staged here or by a worker."""
        self._staged.append(staged)

    def add_files(self, dotted: str, paths: Iterable[Path]) -> None:
        """Add Parquet files that were written at paths of `new_file`."""
        self._files += [(schema_of(dotted), path) for path in paths]

    def append(self, dotted: str, frame: pl.DataFrame) -> None:
        """Insert a few rows of an `ops` table; a `landed_snapshot` that is not known is that of this commit."""
        table = schema_of(dotted)
        rows = table.conform(frame.lazy(), fill=True).collect()
        stamped = (
            f" REPLACE (coalesce(landed_snapshot, {THIS_SNAPSHOT}) AS landed_snapshot)"
            if "landed_snapshot" in table.column_names
            else ""
        )

        def insert() -> None:
            self.con.register("appended", rows)
            self.con.execute(f"INSERT INTO {dotted} BY NAME SELECT *{stamped} FROM appended")
            self.con.unregister("appended")

        if rows.height:
            self._actions.append(insert)
            self._is_booking |= dotted == "core.adjustments"

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """Run a statement inside the transaction."""

        def execute() -> None:
            self.con.execute(statement, list(parameters))

        self._actions.append(execute)

    def refuse_if(self, query: str, parameters: Sequence[object], sentence: str) -> None:
        """Raise `OvertakenError` in the transaction where a query finds a row: another writer came first."""

        def refuse() -> None:
            if self.con.execute(query, list(parameters)).fetchone() is not None:
                raise OvertakenError(f"{sentence}; nothing was committed. Run again.")

        self._actions.append(refuse)

    def mark(self, task: str, keys: Sequence[str]) -> None:
        """Say in ops.progress that a task is done from the snapshot that this commit was begun on."""
        table = schema_of("ops.progress")
        rows = [{"task": task, "key": key, "read_snapshot": self.read_snapshot} for key in keys]
        self.execute("DELETE FROM ops.progress WHERE task = ? AND list_contains(?, key)", [task, list(keys)])
        self.append("ops.progress", table.frame(rows))

    def drop_unused(self) -> None:
        """Remove what was written of partitions that have not changed; only once no attempt follows."""
        while self._unused:
            self._data_files.drop(self._unused.pop())

    def give_up(self) -> None:
        """Remove what was written for a commit that is not carried out."""
        for staged in self._staged:
            for draft in staged.drafts:
                self._data_files.drop(draft)
        for _, path in self._files:
            self._data_files.drop(path)
        while self._shared:
            self._data_files.drop(self._shared.pop())

    def new_file(self, dotted: str, name: str) -> Path:
        """Return a path at which a Parquet file of a table can be written, to be added."""
        return self._data_files.new(dotted, name)

    def _apply(self) -> None:
        known = self._known()
        self._refuse_overtaken(known)
        now = datetime.now(UTC)
        # Commits are made in turn, so that the next snapshot is this one's.
        snapshot = newest_snapshot(self.con) + 1
        self.con.execute(f"SET VARIABLE commit_snapshot = {snapshot}")
        records: list[dict[str, object]] = []
        self.changed = 0
        to_delete: dict[str, list[PartitionValue]] = {}
        to_add: dict[str, list[Draft]] = {}
        while self._shared:  # An attempt that met a conflict left them.
            self._data_files.drop(self._shared.pop())
        self._unused.clear()
        for staged in self._staged:
            changed: list[StagedPartition] = []
            for part in staged.partitions:
                key = (staged.table_name, partition_key(part.value))
                before = known.get(key)
                unchanged = before is not None and before.content_hash == part.content_hash
                if not unchanged:
                    changed.append(part)
                    if before is not None and before.content_hash != EMPTY:
                        to_delete.setdefault(staged.table_name, []).append(part.value)
                    if part.file is not None:
                        to_add.setdefault(staged.table_name, []).append(part.file)
                elif part.file is not None:
                    self._unused.append(part.file)
                records.append(
                    {
                        "table_name": key[0],
                        "partition_key": key[1],
                        "row_count": part.row_count,
                        "content_hash": part.content_hash,
                        "run_id": self.run_id,
                        # What lands while the rows are computed is newer than they are.
                        "loaded_at": self.begun_at,
                        "changed_at": before.changed_at if unchanged and before else now,
                        "read_snapshot": self.read_snapshot,
                        "written_snapshot": snapshot,
                        "changed_snapshot": before.changed_snapshot if unchanged and before else snapshot,
                    }
                )
            self.changed += len(changed)
            for draft in self._small_files(staged, changed):
                to_add.setdefault(staged.table_name, []).append(draft)
        for table, path in self._files:
            to_add.setdefault(table.dotted, []).append(path)
        for dotted, values in to_delete.items():
            durable("lake: take rows out")
            self._delete(schema_of(dotted), values)
        for dotted, paths in to_add.items():
            schema, name = dotted.split(".")
            listed = ", ".join(sql_text(self._data_files.place(path)) for path in paths)
            durable("lake: name files")
            # What a lake of another version has beyond the schema is NULL in new rows.
            self.con.execute(
                f"CALL ducklake_add_data_files('nanodollar', '{name}', [{listed}], schema => '{schema}', "
                "allow_missing => true)"
            )
        for action in self._actions:
            durable("lake: change rows of ops")
            action()
        if records:
            self.con.register("written", schema_of("ops.partitions").frame(records))
            self.con.execute(
                "DELETE FROM ops.partitions WHERE (table_name, partition_key) IN "
                "(SELECT (table_name, partition_key) FROM written)"
            )
            self.con.execute("INSERT INTO ops.partitions BY NAME SELECT * FROM written")
            self.con.unregister("written")
        if not self.con.execute("SELECT 1 FROM ops.runs WHERE run_id = ?", [self.run_id]).fetchone():
            self.con.execute(
                "INSERT INTO ops.runs (run_id, job, started_at, version) VALUES (?, ?, ?, ?)",
                [self.run_id, self.job, now, version("nanodollar")],
            )

    def _small_files(self, staged: Staged, changed: list[StagedPartition]) -> list[Draft]:
        """Return the file of the small partitions that have changed: what was written, if all have."""
        small = [part for part in staged.partitions if part.file is None and part.row_count]
        wanted = [part for part in changed if part.file is None and part.row_count]
        if staged.shared is not None and len(wanted) == len(small):
            return [staged.shared]
        if not wanted:
            if staged.shared is not None:
                self._unused.append(staged.shared)
            return []
        if staged.shared is not None:
            self._unused.append(staged.shared)
            rows = self._data_files.read(staged.shared)
        else:
            rows = schema_of(staged.table_name).empty() if staged.small is None else staged.small
        some = rows
        if len(wanted) < len(small):
            some = pl.concat([rows.slice(part.first, part.row_count) for part in wanted], rechunk=True)
        draft = write_draft(self._data_files, schema_of(staged.table_name), wanted[0].value, some)
        self._shared.append(draft)
        return [draft]

    def _refuse_overtaken(self, known: dict[tuple[str, str], _KnownPartition]) -> None:
        found = [
            f"{key} of {dotted}"
            for (dotted, key), before in known.items()
            if before.overtakes(self.read_snapshot, is_booking=self._is_booking)
        ]
        if found:
            raise OvertakenError(
                f"Another writer has computed {found[0]}{f' and {len(found) - 1} more' if found[1:] else ''} since it "
                "was read here; nothing was committed over it. Run again."
            )
        if self._staged and self.con.execute(_CLOSED_SINCE, [self.read_snapshot]).fetchone() is not None:
            raise OvertakenError(
                "A month was closed since its rows were read; nothing was committed. Run again."
            )

    def _known(self) -> dict[tuple[str, str], _KnownPartition]:
        wanted = [
            (staged.table_name, partition_key(part.value))
            for staged in self._staged
            for part in staged.partitions
        ]
        rows = self.con.execute(
            "SELECT table_name, partition_key, content_hash, changed_at, changed_snapshot, read_snapshot, "
            "written_snapshot FROM ops.partitions "
            "SEMI JOIN (SELECT unnest($names::VARCHAR[]) AS table_name, unnest($keys::VARCHAR[]) AS partition_key) "
            "USING (table_name, partition_key)",
            {"names": [name for name, _ in wanted], "keys": [key for _, key in wanted]},
        ).fetchall()
        return {(name, key): _KnownPartition(*rest) for name, key, *rest in rows}

    def _delete(self, table: Table, values: list[PartitionValue]) -> None:
        if values == [None]:
            self.con.execute(f"DELETE FROM {table.dotted}")
            return
        # A range lets DuckLake drop whole files by their statistics; the list keeps it exact.
        present = sorted(value for value in values if value is not None)
        self.con.execute(
            f"DELETE FROM {table.dotted} WHERE {table.partition} BETWEEN ? AND ? "
            f"AND list_contains(?, {table.partition})",
            [present[0], present[-1], present],
        )


_CLOSED_SINCE = "FROM ops.closed_periods WHERE snapshot_id > ? LIMIT 1"
THIS_SNAPSHOT = "getvariable('commit_snapshot')"
"""In a statement of a commit: the number of the snapshot that it makes."""


def newest_snapshot(con: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the lake's newest snapshot, which grows by one with each commit."""
    ((snapshot,),) = con.execute("FROM nanodollar.current_snapshot()").fetchall()
    return int(snapshot)


@contextmanager
def committing(
    lake: Lake,
    project: Project,
    *,
    run_id: str,
    job: str,
    read: tuple[int, datetime] | None = None,
) -> Iterator[Commit]:
    """Yield a `Commit` and carry it out as one transaction when the block ends well.

    Commits of several processes are taken in turn; a conflict is tried again with growing pauses.
    """
    with lake.writing() as con, _full_disk_explained(project):
        commit = Commit(
            project=project,
            run_id=run_id,
            job=job,
            con=con,
            read_snapshot=newest_snapshot(con) if read is None else read[0],
            begun_at=datetime.now(UTC) if read is None else read[1],
        )
        yield commit
        with lake.turn():
            refuse_a_copy(con, project)
            for attempt in range(_ATTEMPTS):
                try:
                    durable("lake: begin a commit")
                    con.execute("BEGIN")
                    commit._apply()  # noqa: SLF001
                    durable("lake: commit")
                    con.execute("COMMIT")
                except OvertakenError:
                    _roll_back(con)
                    commit.give_up()
                    raise
                except duckdb.Error as error:
                    _roll_back(con)
                    if _LOST.search(str(error)):
                        raise DataError(
                            "The catalog's database went away during a commit, which is there whole or not at all; "
                            "what was committed before stays. When the database is back, run again."
                        ) from None
                    if attempt + 1 == _ATTEMPTS or not is_conflict(error):
                        raise
                    time.sleep(0.05 * 2**attempt)
                else:
                    durable("lake: mark the commit")
                    keep_mark(con, project)
                    fit_threads(con)
                    commit.drop_unused()
                    return


@contextmanager
def _full_disk_explained(project: Project) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.Error, pl.exceptions.PolarsError) as error:
        if not is_full_disk(error, staging(project)):
            raise
        raise DataError(
            f"Nothing was committed. {full_disk_sentence(staging(project))} Then run again."
        ) from error


def _roll_back(con: duckdb.DuckDBPyConnection) -> None:
    try:
        con.execute("ROLLBACK")
    except duckdb.Error:
        return  # The failed COMMIT has rolled back already.


_CONFLICT = re.compile(
    r"locked|conflict|busy|concurrent|retry count|constraint failed: ducklake_|ducklake_\w+_(pkey|key)\b",
    re.IGNORECASE,
)
"""Another commit came first: DuckLake says so in words, SQLite and PostgreSQL by the constraint of the catalog's table
that two commits of one snapshot id break."""


_LOST = re.compile(
    r"server closed the connection|terminating connection|no connection to the server|could not connect to server|"
    r"connection to server .* failed|connection has been closed",
    re.IGNORECASE,
)
"""PostgreSQL was stopped, or is out of reach."""


def is_conflict(error: duckdb.Error) -> bool:
    """Return whether a commit failed because another one came first, so that it may be tried again."""
    return _CONFLICT.search(str(error)) is not None
