"""Bring landings into the lake, one transaction a batch; know what has landed before."""

import fcntl
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from models.schemas import table
from pipelines.landing.land import UNREADABLE, Known, Landing, Look
from pipelines.warehouse.resource import Warehouse

_DRAFTS = ".drafts"


def known_of(warehouse: Warehouse, source: str) -> Known:
    """Return what has landed from a source before."""
    known = Known()
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
        for path, *look in con.execute(
            "SELECT path, file_hash, size_bytes, modified_at, looked_at FROM ops.file_paths WHERE source = ?",
            [source],
        ).fetchall():
            known.looks[path] = Look(*look)
    return known


@contextmanager
def landing_turn(warehouse: Warehouse) -> Iterator[Path]:
    """Hold the project's landing lock and yield an empty draft folder; the lock dies with its process.

    Drafts of a landing that was killed are removed: nothing in the lake names them.
    """
    folder = Path(warehouse.project.data_path) / "raw" / _DRAFTS
    with (warehouse.project.folder / ".nanodollar.landing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield folder / uuid.uuid4().hex
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def bring_in(warehouse: Warehouse, source: str, landing: Landing, *, run_id: str) -> None:
    """Commit a landing: its rows, its quarantine and the file index, all or nothing.

    Raises:
        DataError: the lake cannot be written.
    """
    paths = sorted({str(row["path"]) for row in (*landing.files, *landing.paths)})
    with warehouse.committing(run_id=run_id, job="raw") as commit:
        for dotted, drafts in landing.parts.items():
            final = [path.rename(commit.new_file(dotted, path.stem)) for path in drafts]
            commit.add_files(dotted, final)
        commit.execute(
            f"DELETE FROM ops.landed_files WHERE source = ? AND file_hash LIKE '{UNREADABLE}%' "
            "AND list_contains(?, path)",
            [source, paths],
        )
        for mended in landing.mended:
            at = [mended.file_hash, source, mended.line_number]
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
