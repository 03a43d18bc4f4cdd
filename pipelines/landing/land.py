"""Land files: each content read once, in bounded memory; every record is usable or in quarantine.

Files are cut into blocks of whole records, which are read side by side. Their rows are written as Parquet parts into
a draft folder of the lake; whoever drives the landing commits them with the file index in one transaction.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from models.errors import NanodollarError
from models.importers import importers
from models.schemas import table
from models.schemas.base import INSTANT
from pipelines.landing.blocks import TableBlock, TextBlock, Workers, overlong
from pipelines.landing.forms import Bounds
from pipelines.landing.identity import Grown, Identity, identify
from pipelines.landing.judge import CONTENT_KEY, FileMark, Judged, Stamp, time_column
from pipelines.landing.layout import Opened, is_table, open_table, open_text
from pipelines.landing.memory import give_back
from pipelines.landing.parts import LakeWriteError, Parts
from pipelines.landing.read import Layout
from pipelines.landing.split import Overlong, Piece
from pipelines.sources.places import files_at
from pipelines.sources.spec import SourceSpec
from pipelines.sources.stored import StoredFile

UNREADABLE = "unreadable:"
"""Start of the file_hash of a file of which nothing could be read; the next landing tries again."""
_COMMIT_BYTES = 1 << 30
_COMMIT_FILES = 2_000
_WORKER_BYTES = 192 << 20
_SETTLED = timedelta(seconds=2)
"""A file that changed so shortly before it was looked at may change again within the same time stamp."""


@dataclass(frozen=True)
class Look:
    """A path as it was when it was last looked at."""

    file_hash: str
    size_bytes: int
    modified_at: datetime
    looked_at: datetime


@dataclass
class Known:
    """What has landed from a source before.

    Attributes:
        hashes: contents.
        by_path: path -> hash and size of each content that was landed from it, oldest first.
        looks: path -> what it was when it was last looked at.
        unreadable: path -> hash and note of a file of which nothing could be read.
    """

    hashes: set[str] = field(default_factory=set)
    by_path: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    looks: dict[str, Look] = field(default_factory=dict)
    unreadable: dict[str, tuple[str, str]] = field(default_factory=dict)

    def is_unchanged(self, file: StoredFile) -> bool:
        look = self.looks.get(file.path)
        return (
            look is not None
            and look.file_hash in self.hashes
            and (look.size_bytes, look.modified_at) == (file.size_bytes, file.modified_at)
            and look.modified_at < look.looked_at - _SETTLED
        )


@dataclass(frozen=True)
class Mended:
    """A half line at the end of an earlier content, which its grown successor holds whole."""

    file_hash: str
    line_number: int


@dataclass
class Landing:
    """What one transaction brings into the lake.

    Attributes:
        parts: table -> Parquet files in the draft folder.
        files: rows of ops.landed_files.
        paths: rows of ops.file_paths.
        hours: rows of ops.file_hours.
        mended: lines to take out of the quarantine.
    """

    parts: dict[str, list[Path]]
    files: list[dict[str, Any]] = field(default_factory=list)
    paths: list[dict[str, Any]] = field(default_factory=list)
    hours: pl.DataFrame = field(default_factory=lambda: table("ops.file_hours").empty())
    mended: list[Mended] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a landing goes by.

    Attributes:
        drafts: folder for Parquet parts that are not yet in the lake.
        ingested_at: stamped on every row, UTC.
        not_before: the first instant that the warehouse has hours for.
        hash_key: key of the API keys' hash.
        memory_bytes: what the landing may use beside the program itself.
    """

    drafts: Path
    ingested_at: datetime
    not_before: datetime
    hash_key: bytes
    memory_bytes: int


def source_files(source: SourceSpec, *, project: Path) -> list[StoredFile]:
    """Return the files of a source's path, by name; none where the source has a url."""
    return files_at(source.path, project=project) if source.path is not None else []


def land_files(
    source: SourceSpec,
    files: Iterable[StoredFile],
    *,
    known: Known,
    terms: Terms,
    on_progress: Callable[[str], None] = lambda _note: None,
) -> Iterator[Landing]:
    """Read what is new among files, and yield it in batches to commit.

    Args:
        source: where they come from.
        files: the files, each read once by content.
        known: what has landed before; grows as batches are yielded.
        terms: what the landing goes by.
        on_progress: told how far the reading is.

    Raises:
        OSError: the draft folder cannot be written, as on a full disk; what was committed before stays.
    """
    stamp = Stamp(
        source.name,
        importers()[source.kind],
        terms.ingested_at,
        terms.not_before,
        source.constants,
        source.dimensions,
    )
    count = max(1, min(os.cpu_count() or 1, 4, terms.memory_bytes // _WORKER_BYTES))
    with Workers(
        stamp, source.columns, terms.hash_key, count=count, memory_bytes=terms.memory_bytes // 2
    ) as workers:
        yield from _Lander(source, stamp, known, terms, workers, on_progress).run(list(files))


class _Batch:
    """Rows on their way into one transaction."""

    def __init__(self, stamp: Stamp, terms: Terms) -> None:
        target = table(stamp.importer.table)
        share = terms.memory_bytes // 32
        self.rows = Parts(terms.drafts, target.name, time_column(stamp.importer), share)
        self.quarantine = Parts(terms.drafts, "quarantine", "line_number", share)
        self.hours: list[pl.DataFrame] = []
        self.tallies: list[pl.DataFrame] = []
        self.has_content_keys = False

    def add(self, judged: Judged) -> None:
        self.rows.add(judged.usable)
        self.quarantine.add(judged.quarantine)
        self.hours.append(judged.hours)
        self.tallies.append(judged.tallies)
        self.has_content_keys |= bool(judged.usable["dedupe_key"].str.starts_with(CONTENT_KEY).any())

    def absorb(self, other: "_Batch") -> None:
        self.rows.absorb(other.rows)
        self.quarantine.absorb(other.quarantine)
        self.hours += other.hours
        self.tallies += other.tallies

    def discard(self) -> None:
        self.rows.discard()
        self.quarantine.discard()


class _Lander:
    def __init__(
        self,
        source: SourceSpec,
        stamp: Stamp,
        known: Known,
        terms: Terms,
        workers: Workers,
        on_progress: Callable[[str], None],
    ) -> None:
        self._source, self._stamp, self._known, self._terms = source, stamp, known, terms
        self._workers, self._on_progress = workers, on_progress
        self._begin()

    def _begin(self) -> None:
        self._batch = _Batch(self._stamp, self._terms)
        self._landing = Landing({})
        self._batch_bytes = 0
        self._shared: list[tuple[FileMark, Layout, Piece]] = []

    def run(self, files: list[StoredFile]) -> Iterator[Landing]:
        for number, file in enumerate(files, start=1):
            if self._known.is_unchanged(file):
                continue
            self._number, self._shown = number, f"file {number} of {len(files)}"
            self._on_progress(self._shown)
            self._look_at(file)
            if self._batch_bytes >= _COMMIT_BYTES or len(self._landing.paths) >= _COMMIT_FILES:
                yield self._finish()
        if self._landing.paths or self._landing.files:
            yield self._finish()

    def _look_at(self, file: StoredFile) -> None:
        try:
            identity = identify(file, self._known.by_path.get(file.path, ()))
        except OSError as error:
            self._refuse(file, hashlib.sha256(file.path.encode()).hexdigest(), error)
            return
        if identity.file_hash not in self._known.hashes:
            try:
                self._land(file, identity)
            except LakeWriteError:
                raise
            except (NanodollarError, OSError) as error:
                self._refuse(file, identity.file_hash, error)
                return
        self._landing.paths.append(
            {
                "source": self._source.name,
                "path": file.path,
                "file_hash": identity.file_hash,
                "size_bytes": identity.size_bytes,
                "modified_at": file.modified_at,
                "looked_at": self._terms.ingested_at,
            }
        )

    def _refuse(self, file: StoredFile, digest: str, error: Exception) -> None:
        """Note a file of which nothing can be read, unless it is noted already."""
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        known = (f"{UNREADABLE}{digest}", f"unreadable: {why}")
        if self._known.unreadable.get(file.path) != known:
            self._known.unreadable[file.path] = known
            self._landing.files.append(self._file_row(file, *known))

    def _land(self, file: StoredFile, identity: Identity) -> None:
        ingested_at = self._terms.ingested_at + timedelta(microseconds=self._number)
        mark = FileMark(identity.file_hash, file.path, ingested_at)
        notes: list[str] = []
        grown: Grown | None = None
        with file.open() as handle:
            if is_table(handle):
                tables = open_table(handle, self._stamp.importer, self._source.columns)
                self._batch.absorb(self._alone(_table_blocks(tables, mark), mark, file.size_bytes))
            else:
                opened = open_text(
                    handle,
                    identity,
                    self._stamp.importer,
                    self._source.columns,
                    memory_bytes=self._terms.memory_bytes,
                )
                notes, grown = opened.notes, opened.grown
                if not self._land_text(opened, mark, file.size_bytes):
                    # Equal records without ids are told apart by their place in the whole file.
                    self._land(file, Identity(identity.file_hash, identity.size_bytes))
                    return
        earlier = self._known.by_path.setdefault(file.path, [])
        if grown is not None:
            notes.append(f"grown: its first {grown.line_count:,} lines were read as {grown.file_hash[:8]}")
            self._landing.mended.append(Mended(grown.file_hash, grown.line_count + 1))
        elif earlier:
            notes.append(f"the path held {earlier[-1][0][:8]} before, whose records stay")
        earlier.append((identity.file_hash, identity.size_bytes))
        self._known.hashes.add(identity.file_hash)
        self._batch_bytes += file.size_bytes
        # It may have grown since it was listed: what is known of it is what was hashed.
        hashed = replace(file, size_bytes=identity.size_bytes)
        self._landing.files.append(self._file_row(hashed, identity.file_hash, "; ".join(notes) or None))

    def _land_text(self, opened: Opened, mark: FileMark, size_bytes: int) -> bool:
        """Read a text file; return False where its grown part cannot be told apart from the rest."""
        head = list(islice(opened.pieces, 2))
        if len(head) < 2 and opened.layout.form != "csv" and opened.grown is None:  # noqa: PLR2004
            self._share(head, opened.layout, mark)
            return True
        batch = self._alone(
            (
                piece if isinstance(piece, Overlong) else TextBlock(opened.layout, [mark], [(0, piece)])
                for piece in chain(head, opened.pieces)
            ),
            mark,
            size_bytes,
        )
        if opened.grown is not None and batch.has_content_keys:
            batch.discard()
            return False
        self._batch.absorb(batch)
        return True

    def _share(self, pieces: list[Piece | Overlong], layout: Layout, mark: FileMark) -> None:
        """Read a small file together with others."""
        for piece in pieces:
            if isinstance(piece, Overlong):
                self._batch.add(overlong(piece, mark, self._stamp))
                continue
            if self._shared and self._shared[0][1] != layout:
                self._submit_shared()
            self._shared.append((mark, layout, piece))
        if sum(len(piece.data) for _, _, piece in self._shared) >= Bounds(self._terms.memory_bytes).piece:
            self._submit_shared()

    def _submit_shared(self) -> None:
        if self._shared:
            marks = [mark for mark, _, _ in self._shared]
            pieces = [(index, piece) for index, (_, _, piece) in enumerate(self._shared)]
            for judged in self._workers.submit(TextBlock(self._shared[0][1], marks, pieces)):
                self._batch.add(judged)
            self._shared = []

    def _alone(
        self, blocks: Iterator[TextBlock | TableBlock | Overlong], mark: FileMark, size_bytes: int
    ) -> _Batch:
        """Read a file by itself, so that nothing of it stays where it breaks."""
        self._settle()
        batch = _Batch(self._stamp, self._terms)
        done = 0
        try:
            for block in blocks:
                if isinstance(block, Overlong):
                    batch.add(overlong(block, mark, self._stamp))
                    continue
                for judged in self._workers.submit(block):
                    batch.add(judged)
                give_back()
                if isinstance(block, TextBlock):
                    done += len(block.pieces[0][1].data)
                    self._on_progress(f"{self._shown}, {done >> 20:,} MiB of {size_bytes >> 20:,} on disk")
            for judged in self._workers.drain():
                batch.add(judged)
        except BaseException:
            self._workers.forget()
            batch.discard()
            raise
        return batch

    def _settle(self) -> None:
        """Bring all that is in flight into the batch."""
        self._submit_shared()
        for judged in self._workers.drain():
            self._batch.add(judged)

    def _file_row(self, file: StoredFile, file_hash: str, note: str | None) -> dict[str, Any]:
        return {
            "file_hash": file_hash,
            "source": self._source.name,
            "source_kind": self._source.kind,
            "path": file.path,
            "size_bytes": file.size_bytes,
            "note": note,
        }

    def _finish(self) -> Landing:
        self._settle()
        batch, landing = self._batch, self._landing
        batch.rows.flush()
        batch.quarantine.flush()
        tallies = pl.concat([_NO_TALLY, *batch.tallies], how="diagonal").group_by("file_hash")
        counts = {row["file_hash"]: row for row in tallies.agg(_TALLY).to_dicts()}
        for row in landing.files:
            tally = counts.get(row["file_hash"], {})
            row |= {name: tally.get(name, 0) for name in _COUNTS}
            row |= {name: tally.get(name) for name in ("first_at", "last_at")}
            row["read_count"] = row["landed_count"] + row["quarantined_count"]
            if row["read_count"] + row["ignored_count"] == 0:
                row["note"] = row["note"] or "no record in it"
        landing.parts = {
            self._stamp.importer.table: batch.rows.paths,
            "ops.quarantine": batch.quarantine.paths,
        }
        landing.hours = (
            pl.concat([landing.hours, *batch.hours])
            .group_by("file_hash", "source", "touched_hour")
            .agg(pl.col("last_finished_at").max(), pl.col("record_count").sum(), pl.col("landed_at").max())
            .select(landing.hours.columns)
            .sort("file_hash", "touched_hour")
        )
        self._begin()
        return landing


_COUNTS = ("landed_count", "quarantined_count", "ignored_count")
_NO_TALLY = pl.DataFrame(
    schema={
        "file_hash": pl.String,
        **dict.fromkeys(_COUNTS, pl.Int64),
        "first_at": INSTANT,
        "last_at": INSTANT,
    }
)
_TALLY = [*(pl.col(name).sum() for name in _COUNTS), pl.col("first_at").min(), pl.col("last_at").max()]


def _table_blocks(tables: Iterator[pa.Table], mark: FileMark) -> Iterator[TableBlock]:
    first_row = 1
    for rows in tables:
        yield TableBlock(mark, rows, first_row)
        first_row += rows.num_rows
