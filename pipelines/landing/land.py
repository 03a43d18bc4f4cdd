"""Land files: each content read once, in bounded memory; every record is usable or in quarantine.

The stages of a file: it is discovered (`source_files`), identified by its content (identity.py), opened as pieces of
whole records (layout.py), read into canonical rows (read.py) and validated against the table (judge.py), both in a few
threads (blocks.py), gathered for a transaction (batch.py), and committed (store.py).
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa

from models.errors import NanodollarError
from models.importers import importers
from pipelines.landing.batch import Batch, HealedLine, Landing, LandingTerms, Rows
from pipelines.landing.blocks import TableBlock, TextBlock, Workers, overlong
from pipelines.landing.identity import EarlierContent, Identity, identify
from pipelines.landing.judge import FileMark, Stamp
from pipelines.landing.known import LandedBefore
from pipelines.landing.layout import OpenedText, is_table, open_table, open_text
from pipelines.landing.memory import give_back
from pipelines.landing.parts import LakeWriteError
from pipelines.landing.split import Overlong, Piece
from pipelines.sources.places import files_at
from pipelines.sources.spec import SourceSpec
from pipelines.sources.stored import StoredFile

_WORKER_BYTES = 192 << 20
Block = TextBlock | TableBlock | Overlong


@dataclass(frozen=True)
class _Work:
    """What stays the same from the first file of a landing to the last."""

    source: SourceSpec
    stamp: Stamp
    known: LandedBefore
    terms: LandingTerms
    workers: Workers
    on_progress: Callable[[str], None]


def source_files(source: SourceSpec, *, project: Path) -> list[StoredFile]:
    """Return the files of a source's path, by name; none where the source has a url."""
    return files_at(source.path, project=project) if source.path is not None else []


def land_files(
    source: SourceSpec,
    files: Iterable[StoredFile],
    *,
    known: LandedBefore,
    terms: LandingTerms,
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
        source.time_zone,
    )
    listed = list(files)
    count = max(1, min(os.cpu_count() or 1, 4, terms.memory_bytes // _WORKER_BYTES))
    with Workers(
        stamp,
        source.columns,
        terms.hash_key,
        count=count,
        memory_bytes=max(terms.memory_bytes // 2, 256 << 20),
    ) as workers:
        work = _Work(source, stamp, known, terms, workers, on_progress)
        batch = Batch(source, stamp, terms, workers)
        for number, file in enumerate(listed, start=1):
            if known.is_unchanged(file):
                continue
            shown = f"file {number} of {len(listed)}"
            on_progress(shown)
            _land_file(work, batch, file, number=number, shown=shown)
            if batch.is_full:
                yield batch.finish()
                batch = Batch(source, stamp, terms, workers)
        if not batch.is_empty:
            yield batch.finish()


def _land_file(work: _Work, batch: Batch, file: StoredFile, *, number: int, shown: str) -> None:
    """Bring one file into the batch: its records where its content is new, else what its path holds now."""
    known, terms = work.known, work.terms
    try:
        identity = identify(file, known.by_path.get(file.path, ()), now=terms.ingested_at)
    except OSError as error:
        batch.refuse(file, None, error, known)
        return
    if identity.file_hash not in known.hashes:
        mark = FileMark(identity.file_hash, file.path, terms.ingested_at + timedelta(microseconds=number))
        try:
            read = _read_file(work, batch, file, identity, mark, shown)
            if not read.is_whole:
                # Equal records without ids are told apart by their place in the whole file.
                read = _read_file(work, batch, file, replace(identity, grown=None), mark, shown)
        except LakeWriteError:
            raise
        except (NanodollarError, OSError) as error:
            batch.refuse(file, identity.file_hash, error, known)
            return
        notes, earlier = read.notes, known.by_path.setdefault(file.path, [])
        if read.grown is not None:
            lines, file_hash = read.grown.line_count, read.grown.file_hash
            notes.append(f"grown: its first {lines:,} lines were read as {file_hash[:8]}")
            batch.add_healed(HealedLine(file_hash, lines + 1))
        elif earlier:
            notes.append(f"the path held {earlier[-1][0][:8]} before, whose records stay")
        if identity.is_cut:
            notes.append("its last line was still being written; it is read once it is whole")
        batch.add_file(file, identity, notes)
        earlier.append((identity.file_hash, identity.size_bytes))
        known.hashes.add(identity.file_hash)
    batch.add_path(file, identity, looked_at=terms.ingested_at)


@dataclass(frozen=True)
class _FileRead:
    """What is to be said of a file that was read.

    Attributes:
        notes: what a reader should know.
        grown: the earlier content whose records were not read again.
        is_whole: whether the rows are in the batch: they are not where a grown part has records without ids.
    """

    notes: list[str]
    grown: EarlierContent | None = None
    is_whole: bool = True


def _read_file(
    work: _Work, batch: Batch, file: StoredFile, identity: Identity, mark: FileMark, shown: str
) -> _FileRead:
    """Open a file, and bring its rows into the batch: a small one with others, any other by itself.

    Raises:
        DataError: it is of another kind, or broken; nothing of it is in the batch.
        OSError: it cannot be read.
    """
    importer, columns = work.stamp.importer, work.source.columns
    with file.open() as handle:
        if is_table(handle):
            blocks = _table_blocks(open_table(handle, importer, columns), mark)
            batch.rows.absorb(_read_alone(work, batch, blocks, mark, file.size_bytes, shown))
            return _FileRead([])
        opened = open_text(handle, identity, importer, columns, memory_bytes=work.terms.memory_bytes)
        head = list(islice(opened.pieces, 2))
        if len(head) < 2 and opened.layout.form != "csv" and opened.grown is None:  # noqa: PLR2004
            batch.add_small(head, opened.layout, mark)
            return _FileRead(opened.notes)
        rows = _read_alone(work, batch, _text_blocks(head, opened, mark), mark, file.size_bytes, shown)
        if opened.grown is not None and rows.has_content_keys:
            rows.discard()
            return _FileRead([], is_whole=False)
        batch.rows.absorb(rows)
        return _FileRead(opened.notes, opened.grown)


def _read_alone(
    work: _Work, batch: Batch, blocks: Iterator[Block], mark: FileMark, size_bytes: int, shown: str
) -> Rows:
    """Read a file's blocks by itself, so that nothing of it stays where it breaks."""
    batch.settle()
    rows, done = Rows(work.stamp, work.terms), 0
    try:
        for block in blocks:
            if isinstance(block, Overlong):
                rows.add(overlong(block, mark, work.stamp))
                continue
            for judged in work.workers.submit(block):
                rows.add(judged)
            give_back()
            if isinstance(block, TextBlock):
                done += len(block.pieces[0][1].data)
                work.on_progress(f"{shown}, {done >> 20:,} MiB of {size_bytes >> 20:,} on disk")
        for judged in work.workers.drain():
            rows.add(judged)
    except BaseException:
        work.workers.forget()
        rows.discard()
        raise
    return rows


def _text_blocks(head: list[Piece | Overlong], opened: OpenedText, mark: FileMark) -> Iterator[Block]:
    for piece in chain(head, opened.pieces):
        yield piece if isinstance(piece, Overlong) else TextBlock(opened.layout, [mark], [(0, piece)])


def _table_blocks(tables: Iterator[pa.Table], mark: FileMark) -> Iterator[Block]:
    first_row = 1
    for rows in tables:
        yield TableBlock(mark, rows, first_row)
        first_row += rows.num_rows
