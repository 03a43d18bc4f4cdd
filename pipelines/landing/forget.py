"""Take out of the lake what a file brought, as if it had never landed; what was computed from it becomes stale."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from models.importers import importers
from models.periods import HOUR, floor_hour
from models.schemas.base import INSTANT
from pipelines.landing.identity import identify
from pipelines.landing.store import landing_turn
from pipelines.sources.stored import StoredFile
from pipelines.warehouse.resource import Warehouse, frame

_FORGOTTEN = "forgotten:"
"""Start of the file_hash of hours in ops.file_hours whose records are gone: their facts are computed anew."""


@dataclass(frozen=True)
class Forgotten:
    """What was taken out: of which source and kind, and how many records."""

    source: str
    kind: str
    landed_count: int
    quarantined_count: int


def forget(
    warehouse: Warehouse, path: str, file: StoredFile | None, *, kind: str | None, run_id: str
) -> list[Forgotten]:
    """Take out every content that was landed from a path, and the content that it holds now wherever that came from.

    Args:
        warehouse: the lake.
        path: as the lake calls it.
        file: what lies there now, if anything.
        kind: only what was landed as this kind.
        run_id: run that the commit is booked to.

    Raises:
        DataError: the lake cannot be written.
    """
    held = None
    if file is not None:
        with suppress(OSError):
            held = identify(file).file_hash
    with landing_turn(warehouse):
        with warehouse.reading() as con:
            found = con.execute(
                "SELECT file_hash, source, source_kind, landed_count, quarantined_count, first_at, last_at "
                "FROM ops.landed_files f WHERE coalesce(source_kind = $kind, true) AND (path = $path "
                "OR file_hash = $held OR EXISTS (FROM ops.file_paths p WHERE p.path = $path "
                "AND p.file_hash = f.file_hash AND p.source = f.source)) ORDER BY source, landed_at",
                {"kind": kind, "path": path, "held": held},
            ).fetchall()
        done = []
        for file_hash, source, landed_kind, landed, quarantined, first_at, last_at in found:
            importer = importers().get(landed_kind)
            raw = importer.table if importer is not None else "raw.requests"
            hours = _hours(warehouse, file_hash, source)
            if raw == "raw.replica_events" and first_at is not None:
                # A replica lives on after its last event.
                ends_at = max(last_at, datetime.now(UTC))
                hours += _filled(floor_hour(first_at.astimezone(UTC)), ends_at)
            _take_out(warehouse, raw, file_hash, source, hours, run_id)
            done.append(Forgotten(source, landed_kind, landed, quarantined))
    return done


def _hours(warehouse: Warehouse, file_hash: str, source: str) -> list[tuple[datetime, datetime | None]]:
    """Return the hours that a file's records touch, each with the latest end in it."""
    with warehouse.reading() as con:
        rows = frame(
            con,
            "SELECT touched_hour, last_finished_at FROM ops.file_hours WHERE file_hash = ? AND source = ?",
            [file_hash, source],
        )
    return rows.rows()


def _filled(start: datetime, end: datetime) -> list[tuple[datetime, datetime | None]]:
    return [(start + HOUR * number, None) for number in range(int((end - start) / HOUR) + 1)]


def _take_out(
    warehouse: Warehouse,
    raw: str,
    file_hash: str,
    source: str,
    hours: list[tuple[datetime, datetime | None]],
    run_id: str,
) -> None:
    key = [file_hash, source]
    mark = f"{_FORGOTTEN}{hashlib.sha256(file_hash.encode()).hexdigest()[:16]}"
    with warehouse.committing(run_id=run_id, job="raw") as commit:
        for dotted in (raw, "ops.quarantine", "ops.landed_files", "ops.file_paths", "ops.file_hours"):
            commit.execute(f"DELETE FROM {dotted} WHERE file_hash = ? AND source = ?", key)
        commit.execute("DELETE FROM ops.file_hours WHERE file_hash = ? AND source = ?", [mark, source])
        marks = (
            pl.DataFrame(hours, schema={"touched_hour": INSTANT, "last_finished_at": INSTANT}, orient="row")
            .group_by("touched_hour")
            .agg(pl.col("last_finished_at").max())
            .with_columns(file_hash=pl.lit(mark), source=pl.lit(source), record_count=pl.lit(0))
            .with_columns(landed_at=pl.lit(datetime.now(UTC)))
        )
        commit.append("ops.file_hours", marks)
