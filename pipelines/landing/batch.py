"""What one transaction brings into the lake: rows of files, the file index, and small files that are read together."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from models.schemas import table
from models.schemas.base import INSTANT
from pipelines.landing.blocks import TextBlock, Workers, overlong
from pipelines.landing.forms import Bounds
from pipelines.landing.identity import Identity
from pipelines.landing.judge import CONTENT_KEY, FileMark, JudgedRows, Stamp, time_column
from pipelines.landing.known import UNREADABLE, LandedBefore
from pipelines.landing.parts import ParquetParts
from pipelines.landing.read import Layout
from pipelines.landing.split import Overlong, Piece
from pipelines.sources.spec import SourceSpec
from pipelines.sources.stored import StoredFile

_COMMIT_BYTES = 1 << 30
_COMMIT_FILES = 2_000


@dataclass(frozen=True)
class HealedLine:
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
        healed: lines to take out of the quarantine.
    """

    parts: dict[str, list[Path]]
    files: list[dict[str, Any]] = field(default_factory=list)
    paths: list[dict[str, Any]] = field(default_factory=list)
    hours: pl.DataFrame = field(default_factory=lambda: table("ops.file_hours").empty())
    healed: list[HealedLine] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class LandingTerms:
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


class Rows:
    """Rows of files on their way into the lake, and what they sum to."""

    def __init__(self, stamp: Stamp, terms: LandingTerms) -> None:
        target = table(stamp.importer.table)
        share = terms.memory_bytes // 32
        self.rows = ParquetParts(terms.drafts, target.name, time_column(stamp.importer), share)
        self.quarantine = ParquetParts(terms.drafts, "quarantine", "line_number", share)
        self.hours: list[pl.DataFrame] = []
        self.tallies: list[pl.DataFrame] = []
        self.has_content_keys = False

    def add(self, judged: JudgedRows) -> None:
        self.rows.add(judged.usable)
        self.quarantine.add(judged.quarantine)
        self.hours.append(judged.hours)
        self.tallies.append(judged.tallies)
        self.has_content_keys |= bool(judged.usable["dedupe_key"].str.starts_with(CONTENT_KEY).any())

    def absorb(self, other: "Rows") -> None:
        """Take over the rows of another; of a file that was read by itself, for one."""
        self.rows.absorb(other.rows)
        self.quarantine.absorb(other.quarantine)
        self.hours += other.hours
        self.tallies += other.tallies

    def discard(self) -> None:
        self.rows.discard()
        self.quarantine.discard()


class Batch:
    """One transaction while it is filled.

    Args:
        source: where the files come from.
        stamp: what every row is marked with.
        terms: what the landing goes by.
        workers: who reads small files together.
    """

    def __init__(self, source: SourceSpec, stamp: Stamp, terms: LandingTerms, workers: Workers) -> None:
        self._source, self._stamp, self._terms, self._workers = source, stamp, terms, workers
        self.rows = Rows(stamp, terms)
        self._landing = Landing({})
        self._size_bytes = 0
        self._small: list[tuple[FileMark, Layout, Piece]] = []

    @property
    def is_full(self) -> bool:
        return self._size_bytes >= _COMMIT_BYTES or len(self._landing.paths) >= _COMMIT_FILES

    @property
    def is_empty(self) -> bool:
        return not self._landing.paths and not self._landing.files

    def add_small(self, pieces: list[Piece | Overlong], layout: Layout, mark: FileMark) -> None:
        """Take the pieces of a small file, to be read together with others of its layout."""
        for piece in pieces:
            if isinstance(piece, Overlong):
                self.rows.add(overlong(piece, mark, self._stamp))
                continue
            if self._small and self._small[0][1] != layout:
                self._read_small()
            self._small.append((mark, layout, piece))
        if sum(len(piece.data) for _, _, piece in self._small) >= Bounds(self._terms.memory_bytes).piece:
            self._read_small()

    def settle(self) -> None:
        """Bring all that is in flight into the rows."""
        self._read_small()
        for judged in self._workers.drain():
            self.rows.add(judged)

    def add_file(self, file: StoredFile, identity: Identity, notes: list[str]) -> None:
        """Take a file's row of the index. It may have grown since it was listed: what counts is what was hashed."""
        self._size_bytes += identity.size_bytes
        self._add_file_row(file, identity.file_hash, identity.size_bytes, "; ".join(notes) or None)

    def add_healed(self, line: HealedLine) -> None:
        self._landing.healed.append(line)

    def add_path(self, file: StoredFile, identity: Identity, *, looked_at: datetime) -> None:
        """Take what a path holds now."""
        self._landing.paths.append(
            {
                "source": self._source.name,
                "path": file.path,
                "file_hash": identity.file_hash,
                "size_bytes": identity.size_bytes,
                "modified_at": file.modified_at,
                "looked_at": looked_at,
            }
        )

    def refuse(self, file: StoredFile, file_hash: str | None, error: Exception, known: LandedBefore) -> None:
        """Take a file of which nothing can be read, unless that is known already."""
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        digest = file_hash or hashlib.sha256(file.path.encode()).hexdigest()
        found = (f"{UNREADABLE}{digest}", f"unreadable: {why}")
        if known.unreadable.get(file.path) != found:
            known.unreadable[file.path] = found
            self._add_file_row(file, found[0], file.size_bytes, found[1])

    def finish(self) -> Landing:
        """Return all of it, the rows in files of the draft folder, ready to be committed."""
        self.settle()
        rows, landing = self.rows, self._landing
        rows.rows.flush()
        rows.quarantine.flush()
        tallies = pl.concat([_NO_TALLY, *rows.tallies], how="diagonal").group_by("file_hash")
        counts = {row["file_hash"]: row for row in tallies.agg(_TALLY).to_dicts()}
        for row in landing.files:
            tally = counts.get(row["file_hash"], {})
            row |= {name: tally.get(name, 0) for name in _COUNTS}
            row |= {name: tally.get(name) for name in ("first_at", "last_at")}
            row["read_count"] = row["landed_count"] + row["quarantined_count"]
            if row["read_count"] + row["ignored_count"] == 0:
                row["note"] = row["note"] or "no record in it"
        landing.parts = {
            self._stamp.importer.table: rows.rows.paths,
            "ops.quarantine": rows.quarantine.paths,
        }
        landing.hours = (
            pl.concat([landing.hours, *rows.hours])
            .group_by("file_hash", "source", "touched_hour")
            .agg(
                pl.col("last_finished_at").max(),
                pl.col("record_count").sum(),
                pl.col("landed_at", "landed_snapshot").max(),
            )
            .select(landing.hours.columns)
            .sort("file_hash", "touched_hour")
        )
        return landing

    def _read_small(self) -> None:
        if self._small:
            marks = [mark for mark, _, _ in self._small]
            pieces = [(index, piece) for index, (_, _, piece) in enumerate(self._small)]
            for judged in self._workers.submit(TextBlock(self._small[0][1], marks, pieces)):
                self.rows.add(judged)
            self._small = []

    def _add_file_row(self, file: StoredFile, file_hash: str, size_bytes: int, note: str | None) -> None:
        self._landing.files.append(
            {
                "file_hash": file_hash,
                "source": self._source.name,
                "source_kind": self._source.kind,
                "path": file.path,
                "size_bytes": size_bytes,
                "note": note,
            }
        )


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
