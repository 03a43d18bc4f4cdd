"""Read quarantined records again, after the importer, the settings or the file were mended; each lands exactly once."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from models.errors import NanodollarError
from models.importers import importers
from models.schemas import table
from pipelines.landing.blocks import overlong
from pipelines.landing.drive import first_instant, land
from pipelines.landing.forget import forget
from pipelines.landing.identity import Identity, identify
from pipelines.landing.judge import FileMark, JudgedRows, Stamp, judge, time_column
from pipelines.landing.known import UNREADABLE
from pipelines.landing.layout import is_table, open_table, open_text
from pipelines.landing.parts import ParquetParts
from pipelines.landing.read import Layout, Reader
from pipelines.landing.records import Records
from pipelines.landing.split import Overlong
from pipelines.landing.store import (
    SecondReading,
    commit_second_reading,
    landing_turn,
    take_out_of_quarantine,
)
from pipelines.sources.places import file_at
from pipelines.sources.spec import SourceSpec
from pipelines.sources.stored import StoredFile
from pipelines.warehouse.connect import memory_connection
from pipelines.warehouse.resource import Warehouse, frame


@dataclass(frozen=True)
class Retried:
    """What became of the quarantined records of one file."""

    path: str
    landed: int
    kept: int
    note: str


def retry(warehouse: Warehouse, *, source: str | None = None) -> Iterator[Retried]:
    """Read again every file with quarantined records, and every file of which nothing could be read.

    Args:
        warehouse: the lake.
        source: files of this source only.
    """
    with warehouse.reading() as con:
        files = con.execute(
            "SELECT file_hash, source, source_kind, path, size_bytes, landed_count, quarantined_count "
            f"FROM ops.landed_files WHERE (quarantined_count > 0 OR file_hash LIKE '{UNREADABLE}%') "
            "AND coalesce(source = ?, true) ORDER BY landed_at, path",
            [source],
        ).fetchall()
    for row in files:
        file = _File(*row)
        try:
            yield _retry(warehouse, file)
        except (NanodollarError, OSError) as error:
            why = "the file is gone" if isinstance(error, FileNotFoundError) else str(error)
            yield Retried(file.path, 0, file.quarantined_count, why)


@dataclass(frozen=True)
class _File:
    file_hash: str
    source: str
    kind: str
    path: str
    size_bytes: int
    landed_count: int
    quarantined_count: int


def _retry(warehouse: Warehouse, file: _File) -> Retried:
    run_id = f"retry-{uuid.uuid4().hex[:12]}"
    configured = {item.name: item for item in warehouse.project.sources}
    spec = configured.get(file.source) or SourceSpec(file.source, file.kind)
    stored = file_at(file.path, project=warehouse.project.folder)
    if file.file_hash.startswith(UNREADABLE):
        done = land(warehouse, spec, run_id=run_id, files=[stored]).files
        landed, kept = (sum(row[f"{name}_count"] for row in done) for name in ("landed", "quarantined"))
        return Retried(file.path, landed, kept, done[0]["note"] or "" if done else "still unreadable")
    identity = identify(stored, [(file.file_hash, file.size_bytes)])
    begins = identity.grown.file_hash if identity.grown is not None else identity.file_hash
    if begins == file.file_hash and file.landed_count:
        return _read_again(warehouse, file, spec, stored, run_id)
    if begins == file.file_hash:
        # It was refused whole, maybe by a version that did not know its form: then its lines were others.
        forget(warehouse, file.path, stored, kind=file.kind, run_id=run_id)
        (row,) = land(warehouse, spec, run_id=run_id, files=[stored]).files
        return Retried(file.path, row["landed_count"], row["quarantined_count"], row["note"] or "")
    land(warehouse, spec, run_id=run_id, files=[stored])
    if file.landed_count and not _repeats(warehouse, file, spec, identity.file_hash):
        note = "the path holds another file now; bring the old one back to read it again"
        return Retried(file.path, 0, file.quarantined_count, note)
    take_out_of_quarantine(warehouse, file.file_hash, file.source, by=identity.file_hash, run_id=run_id)
    return Retried(file.path, 0, 0, f"replaced by {identity.file_hash[:8]}, which was read instead")


def _repeats(warehouse: Warehouse, file: _File, spec: SourceSpec, by: str) -> bool:
    """Return whether another file brings a record of this one again, so that it is its mended version."""
    raw = importers()[spec.kind].table
    with warehouse.reading() as con:
        found = con.execute(
            f"SELECT 1 FROM {raw} WHERE file_hash = $1 AND source = $3 AND dedupe_key IN "
            f"(SELECT dedupe_key FROM {raw} WHERE file_hash = $2 AND source = $3) LIMIT 1",
            [by, file.file_hash, file.source],
        ).fetchone()
    return found is not None


def _read_again(
    warehouse: Warehouse, file: _File, spec: SourceSpec, stored: StoredFile, run_id: str
) -> Retried:
    project = warehouse.project
    importer = importers()[spec.kind]
    known = (spec.constants, spec.dimensions, spec.time_zone)
    stamp = Stamp(spec.name, importer, datetime.now(UTC), first_instant(project), *known)
    with landing_turn(warehouse) as drafts, memory_connection() as con:
        with warehouse.reading() as lake:
            only = frame(
                lake,
                "SELECT line_number, record_number FROM ops.quarantine WHERE file_hash = ? AND source = ?",
                [file.file_hash, file.source],
            )
        reader = Reader(
            con,
            stamp.importer,
            spec.columns,
            project.hash_key(),
            constants=stamp.constants,
            tag_names=stamp.tag_names,
            time_zone=stamp.time_zone,
        )
        gathered = _SecondReadingRows(stamp, drafts, project.landing_memory_bytes)
        try:
            for lines, judged in _judged(
                stored, file, spec, stamp, reader, only, project.landing_memory_bytes
            ):
                gathered.add(lines, judged)
        finally:
            reader.close()
        reading = gathered.second_reading(file, only)
        commit_second_reading(warehouse, reading, run_id=run_id)
    return Retried(file.path, reading.landed_count, reading.kept_count, "")


def _judged(
    stored: StoredFile,
    file: _File,
    spec: SourceSpec,
    stamp: Stamp,
    reader: Reader,
    only: pl.DataFrame,
    memory_bytes: int,
) -> Iterator[tuple[set[int], JudgedRows]]:
    """Yield the lines of each block that were looked at, and what became of them."""
    mark = FileMark(file.file_hash, file.path, stamp.ingested_at)
    wanted = only["line_number"].to_numpy()
    with stored.open() as handle:
        if is_table(handle):
            first_row = 1
            for rows in open_table(handle, stamp.importer, spec.columns):
                done = judge(
                    reader.read_table(rows), Layout("text"), [mark], stamp, first_row=first_row, only=only
                )
                yield {*range(first_row, first_row + rows.num_rows)}.intersection(wanted.tolist()), done
                first_row += rows.num_rows
            return
        whole = Identity(file.file_hash, file.size_bytes)
        opened = open_text(handle, whole, stamp.importer, spec.columns, memory_bytes=memory_bytes)
        for piece in opened.pieces:
            if isinstance(piece, Overlong):
                if piece.number in wanted:
                    yield {piece.number}, overlong(piece, mark, stamp)
                continue
            records = Records.of([(0, piece)])
            if opened.layout.form != "csv":
                # A row of CSV may turn out to be several lines, so that all of them are read.
                records = records.take(np.flatnonzero(np.isin(records.number, wanted)))
            found = reader.read(records, opened.layout)
            lines = set() if found.records is None else {*found.records.number.tolist()}
            yield lines.intersection(wanted.tolist()), judge(found, opened.layout, [mark], stamp, only=only)


class _SecondReadingRows:
    """Rows of a second reading, on their way into one transaction."""

    def __init__(self, stamp: Stamp, drafts: Path, memory_bytes: int) -> None:
        self._stamp = stamp
        target = table(stamp.importer.table)
        self._rows = ParquetParts(drafts, target.name, time_column(stamp.importer), memory_bytes // 8)
        self._bad = ParquetParts(drafts, "quarantine", "line_number", memory_bytes // 8)
        self._hours: list[pl.DataFrame] = [table("ops.file_hours").empty()]
        self._lines: set[int] = set()
        self._counts: dict[str, int] = dict.fromkeys(("landed", "quarantined", "ignored"), 0)

    def add(self, lines: set[int], judged: JudgedRows) -> None:
        self._lines |= lines
        self._rows.add(judged.usable)
        self._bad.add(judged.quarantine)
        self._hours.append(judged.hours)
        for name in self._counts:
            column = f"{name}_count"
            if column in judged.tallies.columns:
                self._counts[name] += int(judged.tallies[column].sum())

    def second_reading(self, file: _File, only: pl.DataFrame) -> SecondReading:
        self._rows.flush()
        self._bad.flush()
        unread = sorted({*only["line_number"]} - self._lines)
        return SecondReading(
            file_hash=file.file_hash,
            source=file.source,
            parts={self._stamp.importer.table: self._rows.paths, "ops.quarantine": self._bad.paths},
            hours=pl.concat(self._hours),
            landed_count=self._counts["landed"],
            kept_count=self._counts["quarantined"] + len(unread),
            ignored_count=self._counts["ignored"],
            unread=unread,
            read_at=self._stamp.ingested_at,
        )
