"""Bring landings into the lake, one transaction a batch; know what has landed before."""

import fcntl
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from models.schemas import table
from pipelines.durable import durable
from pipelines.landing.batch import Landing
from pipelines.landing.known import UNREADABLE, LandedBefore, PathState
from pipelines.quoting import sql_text
from pipelines.warehouse.claim import LANDING, turn_of_machines
from pipelines.warehouse.commit import THIS_SNAPSHOT, Commit
from pipelines.warehouse.data_files import staging
from pipelines.warehouse.resource import Warehouse, frame

_DRAFTS = ".drafts"


def known_of(warehouse: Warehouse, source: str) -> LandedBefore:
    """Return what has landed from a source before."""
    known = LandedBefore()
    with warehouse.reading() as con:
        for file_hash, path, size, note in con.execute(
            "SELECT file_hash, path, size_bytes, note FROM ops.landed_files WHERE source = ? ORDER BY landed_at",
            [source],
        ).fetchall():
            if file_hash.startswith(UNREADABLE):
                known.unreadable[path] = (file_hash, note)
            else:
                known.hashes.add(file_hash)
                known.by_path.setdefault(path, []).append((file_hash, size))
        for path, *state in con.execute(
            "SELECT path, file_hash, size_bytes, modified_at, looked_at FROM ops.file_paths WHERE source = ?",
            [source],
        ).fetchall():
            known.paths[path] = PathState(*state)
    return known


def unreadable_files(warehouse: Warehouse) -> list[tuple[str, str]]:
    """Return path and note of each file of a configured source of which nothing could be read."""
    # Written out: for a parameter DuckDB imports pandas, which costs more than all else that a run without news does.
    names = ", ".join(sql_text(source.name) for source in warehouse.project.sources)
    if not names:
        return []
    with warehouse.reading() as con:
        return con.execute(
            f"SELECT path, note FROM ops.landed_files WHERE starts_with(file_hash, {sql_text(UNREADABLE)}) "
            f"AND source IN ({names}) ORDER BY source, path"
        ).fetchall()


def forget_unreadable(warehouse: Warehouse, source: str, paths: Iterable[str], *, run_id: str) -> None:
    """Forget files of which nothing could be read and that are there no more."""
    gone = sorted(paths)
    if gone:
        with warehouse.committing(run_id=run_id, job="raw") as commit:
            commit.execute(
                f"DELETE FROM ops.landed_files WHERE source = ? AND file_hash LIKE '{UNREADABLE}%' "
                "AND list_contains(?, path)",
                [source, gone],
            )


@contextmanager
def landing_turn(warehouse: Warehouse) -> Iterator[Path]:
    """Hold the lake's turn to land and yield an empty draft folder; the turn ends with its process.

    Drafts of a landing that was killed are removed: nothing in the lake names them.
    """
    folder = staging(warehouse.project) / "raw" / _DRAFTS
    with (warehouse.project.folder / ".nanodollar.landing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with turn_of_machines(warehouse.project, LANDING):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                yield folder / uuid.uuid4().hex
            finally:
                shutil.rmtree(folder, ignore_errors=True)


def commit_landing(warehouse: Warehouse, source: str, landing: Landing, *, run_id: str) -> None:
    """Commit a landing: its rows, its quarantine and the file index, all or nothing.

    Raises:
        DataError: the lake cannot be written.
    """
    paths = sorted({str(row["path"]) for row in (*landing.files, *landing.paths)})
    new = [row["file_hash"] for row in landing.files if not row["file_hash"].startswith(UNREADABLE)]
    with warehouse.committing(run_id=run_id, job="raw") as commit:
        commit.refuse_if(
            "FROM ops.landed_files WHERE source = ? AND list_contains(?, file_hash)",
            [source, new],
            f"Another machine has landed a file of {source} meanwhile, while this one was cut off from the database",
        )
        _register(commit, landing.parts)
        commit.execute(
            f"DELETE FROM ops.landed_files WHERE source = ? AND file_hash LIKE '{UNREADABLE}%' "
            "AND list_contains(?, path)",
            [source, paths],
        )
        for line in landing.healed:
            at = [line.file_hash, source, line.line_number]
            commit.execute(
                "UPDATE ops.landed_files SET read_count = read_count - 1, quarantined_count = quarantined_count - 1 "
                "WHERE file_hash = $1 AND source = $2 AND EXISTS (FROM ops.quarantine q "
                "WHERE q.file_hash = $1 AND q.source = $2 AND q.line_number = $3 AND q.record_number = 0)",
                at,
            )
            commit.execute(
                "DELETE FROM ops.quarantine "
                "WHERE file_hash = $1 AND source = $2 AND line_number = $3 AND record_number = 0",
                at,
            )
        commit.execute(
            "DELETE FROM ops.file_paths WHERE source = ? AND list_contains(?, path)", [source, paths]
        )
        # The instant of the commit, not of the reading: hours that were computed meanwhile have not seen these rows.
        landed_at = datetime.now(UTC)
        files = [{**row, "landed_at": landed_at} for row in landing.files]
        commit.append("ops.landed_files", table("ops.landed_files").frame(files))
        commit.append("ops.file_paths", table("ops.file_paths").frame(landing.paths))
        commit.append("ops.file_hours", landing.hours.with_columns(landed_at=pl.lit(landed_at)))


@dataclass(frozen=True)
class SecondReading:
    """What a second reading of quarantined records brings.

    Attributes:
        file_hash: the file.
        source: the configured source.
        parts: table -> Parquet files in the draft folder; of ops.quarantine those that are still bad.
        hours: rows of ops.file_hours for the records that land now.
        landed_count: how many land now.
        kept_count: how many are still bad.
        ignored_count: how many turned out to be of another grain.
        unread: lines that the second reading did not meet; they stay as they are.
        read_at: when it was read: what was quarantined before is done with.
    """

    file_hash: str
    source: str
    parts: dict[str, list[Path]]
    hours: pl.DataFrame
    landed_count: int
    kept_count: int
    ignored_count: int
    unread: list[int]
    read_at: datetime


def commit_second_reading(warehouse: Warehouse, back: SecondReading, *, run_id: str) -> None:
    """Commit a second reading: what is good lands and leaves the quarantine in one transaction.

    Raises:
        DataError: the lake cannot be written.
    """
    key = [back.file_hash, back.source]
    with warehouse.reading() as con:
        before = frame(con, "FROM ops.file_hours WHERE file_hash = ? AND source = ?", key)
    with warehouse.committing(run_id=run_id, job="raw") as commit:
        landed_at = datetime.now(UTC)
        new = back.hours.with_columns(landed_at=pl.lit(landed_at))
        hours = (
            pl.concat([before.select(new.columns).cast(new.schema), new])
            .group_by("file_hash", "source", "touched_hour")
            .agg(
                pl.col("last_finished_at").max(),
                pl.col("record_count").sum(),
                pl.col("landed_at").max(),
                # What came now has no number yet: the commit's.
                pl.when(~pl.col("landed_snapshot").is_null().any()).then(pl.col("landed_snapshot").max()),
            )
        )
        _register(commit, back.parts)
        commit.execute(
            "DELETE FROM ops.quarantine WHERE file_hash = ? AND source = ? AND quarantined_at < ? "
            "AND NOT list_contains(?::BIGINT[], line_number)",
            [*key, back.read_at, back.unread],
        )
        commit.execute(
            "UPDATE ops.landed_files SET landed_count = landed_count + $3, ignored_count = ignored_count + $4, "
            "quarantined_count = $5, read_count = landed_count + $3 + $5, "
            "first_at = least(first_at, $6), last_at = greatest(last_at, $7), "
            f"landed_snapshot = {THIS_SNAPSHOT} WHERE file_hash = $1 AND source = $2",
            [
                *key,
                back.landed_count,
                back.ignored_count,
                back.kept_count,
                new["touched_hour"].min(),
                new.select(pl.max_horizontal("touched_hour", "last_finished_at").max()).item(),
            ],
        )
        commit.execute("DELETE FROM ops.file_hours WHERE file_hash = ? AND source = ?", key)
        commit.append("ops.file_hours", hours)


def take_out_of_quarantine(
    warehouse: Warehouse, file_hash: str, source: str, *, by: str, run_id: str
) -> None:
    """Take a file's records out of the quarantine because another file has brought them again."""
    with warehouse.committing(run_id=run_id, job="raw") as commit:
        commit.execute(
            "UPDATE ops.landed_files SET read_count = read_count - quarantined_count, quarantined_count = 0, "
            "note = concat_ws('; ', note, quarantined_count || ' quarantined records came again in ' || $3) "
            "WHERE file_hash = $1 AND source = $2",
            [file_hash, source, by[:8]],
        )
        commit.execute("DELETE FROM ops.quarantine WHERE file_hash = ? AND source = ?", [file_hash, source])


def _register(commit: Commit, parts: dict[str, list[Path]]) -> None:
    for dotted, drafts in parts.items():
        durable("landing: hand parts over")
        commit.add_files(dotted, [path.rename(commit.new_file(dotted, path.stem)) for path in drafts])
