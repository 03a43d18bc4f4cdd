"""Open a landed file as records: find how they lie, and cut its bytes into pieces of whole ones."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet

from models.errors import DataError
from models.importers import fitting
from models.records import Importer
from pipelines.landing.archives import PARQUET_MAGIC
from pipelines.landing.forms import HEAD_BYTES, Bounds, text_form
from pipelines.landing.identity import EarlierContent, Identity
from pipelines.landing.known_names import shown_names
from pipelines.landing.plain import plain_bytes
from pipelines.landing.proposal import proposed_mapping
from pipelines.landing.read import Layout
from pipelines.landing.split import Overlong, Piece

_DELIMITERS = ",;\t|"
_DECIMAL_COMMA = re.compile(rb'(?m)(?:^|[;\t|])"?[-+]?\d[\d.]*,\d+"?(?=[;\t|]|\r?$)')
_ROWS_AT_ONCE = 50_000


@dataclass
class OpenedText:
    """A text file as pieces of whole records; `notes` grow while it is read."""

    layout: Layout
    pieces: Iterator[Piece | Overlong]
    notes: list[str] = field(default_factory=list)
    grown: EarlierContent | None = None


def open_text(
    handle: BinaryIO,
    identity: Identity,
    importer: Importer,
    columns: dict[str, str],
    *,
    memory_bytes: int,
) -> OpenedText:
    """Open JSON lines, a JSON document, CSV or text of any encoding.

    Args:
        handle: the open file.
        identity: how much of it is read, and what it has grown from.
        importer: the format of its records.
        columns: canonical name -> the source's name.
        memory_bytes: what the landing may use: pieces grow to a small share of it.

    Raises:
        DataError: the file is of another kind, or its header names none of the columns.
        OSError: it cannot be read.
    """
    notes: list[str] = []
    bounds = Bounds(memory_bytes, importer.is_joint)
    plain = plain_bytes(handle, notes.append, size=identity.size_bytes)
    head = b""
    while len(head) < HEAD_BYTES and (piece := next(plain, b"")):
        head += piece
    theirs = {*columns.values()}
    form = text_form(
        head,
        takes_rows="csv" in importer.formats,
        is_record=lambda record: bool(fitting(record) or theirs.intersection(record)),
    )
    if form.lay == "rows":
        layout, pieces = _without_header(form.split(chain([head], plain), bounds), importer, columns)
        return OpenedText(layout, pieces, notes)
    is_text = form.lay == "lines" and "text" in importer.formats and not head.lstrip().startswith(b"{")
    layout = Layout("text" if is_text and form.wrapping.is_none else "json")
    grown = identity.grown
    if grown is not None and form.lay == "lines" and form.wrapping.is_none and not importer.is_joint:
        tail = plain_bytes(handle, notes.append, size=identity.size_bytes, offset=grown.offset)
        pieces = form.split(tail, bounds, first=grown.line_count + 1, offset=grown.offset)
        return OpenedText(layout, pieces, notes, grown)
    note = form.wrapping.note()
    if note is not None:
        notes.append(note)
    return OpenedText(layout, form.split(chain([head], plain), bounds), notes)


def _without_header(
    pieces: Iterator[Piece | Overlong], importer: Importer, columns: dict[str, str]
) -> tuple[Layout, Iterator[Piece | Overlong]]:
    """Take the first row that is not blank as the header."""
    for piece in pieces:
        if isinstance(piece, Overlong) or piece.ends is None:
            raise DataError("its first line is too long for a CSV header; deliver it as JSONL")
        start = 0
        for index, end in enumerate(piece.ends):
            text = piece.data[start:end]
            if text.strip():
                layout = header_of(text)
                _check_columns(layout.header, importer, columns)
                first = piece.first + piece.data[:end].count(b"\n")
                if layout.delimiter != ",":
                    sample = piece.data[end : end + HEAD_BYTES]
                    layout = replace(layout, has_decimal_commas=_DECIMAL_COMMA.search(sample) is not None)
                rest = Piece(piece.data[end:], first, piece.offset + int(end), piece.ends[index + 1 :] - end)
                return layout, chain([rest], pieces)
            start = int(end)
    return Layout("csv"), iter(())


def header_of(text: bytes) -> Layout:
    """Return the columns that the first row of a CSV file names, and what divides them.

    Raises:
        DataError: it is no such row, or names a column twice.
    """
    try:
        line = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError("it is neither UTF-8 text nor a packed file that is read") from error
    delimiter = max(_DELIMITERS, key=line.count)
    try:
        names = [
            name.strip() for name in next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter), [])
        ]
    except csv.Error as error:
        raise DataError("its first line is no CSV header; check the source's kind") from error
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"its header names a column twice ({shown_names(twice)}); rename one")
    return Layout("csv", tuple(names), delimiter)


def _check_columns(present: Sequence[str], importer: Importer, columns: dict[str, str]) -> None:
    wanted = [columns.get(name, name) for name in importer.columns]
    names = {name.lower() for name in present} if importer.ignores_case else set(present)
    if not {name.lower() if importer.ignores_case else name for name in wanted} & names:
        mapping = proposed_mapping(present, importer.kind) or 'columns = {canonical = "theirs"}'
        hint = f" or map them with {mapping}" if importer.takes_columns else ""
        raise DataError(
            f"it has none of the columns of {importer.kind} but {shown_names(present)}; "
            f"check the source's kind{hint}"
        )


def is_table(handle: BinaryIO) -> bool:
    """Return whether an open file is Parquet; it is at its start before and after."""
    head = handle.read(len(PARQUET_MAGIC))
    handle.seek(0)
    return head == PARQUET_MAGIC


def open_table(handle: BinaryIO, importer: Importer, columns: dict[str, str]) -> Iterator[pa.Table]:
    """Yield a Parquet file's rows some at a time, with the columns that the format reads.

    Raises:
        DataError: it is no whole Parquet file, or has none of the columns.
    """
    try:
        parquet = pa.parquet.ParquetFile(handle, buffer_size=HEAD_BYTES, pre_buffer=False)
        present = parquet.schema_arrow.names
        _check_columns(present, importer, columns)
        wanted = {columns.get(name, name) for name in importer.columns}
        names = [name for name in dict.fromkeys(present) if name in wanted]
        for batch in parquet.iter_batches(batch_size=_ROWS_AT_ONCE, columns=names):
            yield pa.Table.from_batches([batch])
    except pa.ArrowException as error:
        raise DataError("it is a broken Parquet file; deliver it again") from error
