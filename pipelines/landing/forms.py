"""The form of a text file, from its beginning: how its records lie, what is written before each, what they lie in."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv

from models.errors import DataError
from pipelines.landing.split import MOST_RECORDS, Overlong, Piece, layout_of, split
from pipelines.landing.split import Layout as Lay
from pipelines.landing.unwrap import Unwrapper
from pipelines.landing.wrapping import Check, UnwrapStep, Wrapping, find_wrapping

HEAD_BYTES = 1 << 20
_FIRST = 50
_STAMP = re.compile(
    rb"(?m)^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)[ \t]+"
    rb"(?:std(?:out|err) [FP] |[^\s{\"]{1,512} )?(?=\{)"
)
"""An instant before each record: CloudWatch's export tasks, `aws logs tail` (and the stream), `kubectl logs
--timestamps`, log files of containers."""
_MESSAGE = "@message"
"""Column of a CSV file of CloudWatch Logs Insights that holds the records."""
_EVENT_FIELD = (b"data:", b"event:", b"id:", b"retry:", b":")


@dataclass(frozen=True)
class Bounds:
    """Sizes that a memory allows."""

    memory_bytes: int
    is_joint: bool = False

    @property
    def piece(self) -> int:
        return max(self.memory_bytes // 16, 1 << 20)

    @property
    def record(self) -> int:
        return self.memory_bytes // 16

    @property
    def most_records(self) -> int:
        return MOST_RECORDS * (10 if self.is_joint else 1)


@dataclass(frozen=True)
class TextForm:
    """How the records of a text file lie.

    Attributes:
        lay: in lines, CSV rows, or a JSON document.
        has_stamps: whether an instant is written before each line.
        wrapping: what they lie in.
        header: the columns of CSV rows of which `@message` holds the records.
    """

    lay: Lay
    has_stamps: bool = False
    wrapping: Wrapping = field(default_factory=Wrapping)
    header: tuple[str, ...] = ()

    def split(
        self, plain: Iterator[bytes], bounds: Bounds, *, first: int = 1, offset: int = 0
    ) -> Iterator[Piece | Overlong]:
        """Yield pieces of whole records from a file's plain bytes."""
        pieces = split(
            plain,
            "rows" if self.header else self.lay,
            at_least=bounds.piece,
            longest=bounds.record,
            most_records=bounds.most_records,
            first=first,
            offset=offset,
        )
        if self.header:
            pieces = (_messages(piece, self.header) for piece in pieces)
        if self.has_stamps:
            pieces = map(_without_stamps, pieces)
        if self.wrapping.is_none:
            return pieces
        return Unwrapper(self.wrapping, longest=bounds.record).unwrap(pieces)


def text_form(head: bytes, *, takes_rows: bool, is_record: Check) -> TextForm:
    """Return the form of a file from its beginning.

    Args:
        head: its first bytes, unpacked: HEAD_BYTES, or all where it has fewer.
        takes_rows: whether the format may come as CSV.
        is_record: whether an object is a record of a format that is looked for.
    """
    text = head.lstrip()
    if text.startswith(_EVENT_FIELD) and re.search(rb"(?m)^data: ?[{\[]", text):
        return TextForm("lines", wrapping=Wrapping((UnwrapStep("data", "data"),), has_events=True))
    if (header := _message_header(text)) and _MESSAGE in header:
        rows = next(split(iter([head]), "rows", at_least=len(head), longest=1 << 30), None)
        records = [] if rows is None else _parsed(_messages(rows, header))
        return TextForm("document", wrapping=find_wrapping(records, is_record=is_record), header=header)
    has_stamps = _STAMP.match(text) is not None
    if has_stamps:
        head = _STAMP.sub(_blank, head)
    lay = layout_of(head[:HEAD_BYTES], takes_rows=takes_rows)
    if lay == "rows":
        return TextForm(lay)
    return TextForm(lay, has_stamps, find_wrapping(first_records(head, lay), is_record=is_record))


def first_records(head: bytes, lay: Lay) -> list[Any]:
    """Return the first lines or elements of a JSON file as parsed; of one longer than the head what is there."""
    found: list[Any] = []
    for piece in split(iter([head]), lay, at_least=len(head), longest=1 << 30):
        found = _parsed(piece)
        break
    if not found and len(head) >= HEAD_BYTES:
        found = [_beginning(head.decode("utf-8", "replace").lstrip("[ \t\r\n"), _DEEPEST)]
    return found


def _parsed(piece: Piece | Overlong) -> list[Any]:
    """Return the first lines of a piece that are JSON, as parsed."""
    found = []
    for line in islice([] if isinstance(piece, Overlong) else piece.data.splitlines(), _FIRST):
        try:
            found.append(json.loads(line.decode("utf-8", "replace")))
        except (ValueError, RecursionError):
            continue
    return found


def _message_header(text: bytes) -> tuple[str, ...]:
    """Return the columns that the first line of a CSV file of CloudWatch names; none of another file."""
    first = text.partition(b"\n")[0]
    if _MESSAGE.encode() not in first or first.startswith((b"{", b"[")):
        return ()
    return tuple(name.strip() for name in next(csv.reader([first.decode("utf-8", "replace")]), []))


def _messages(piece: Piece | Overlong, header: tuple[str, ...]) -> Piece | Overlong:
    """Return the records that rows of CSV hold in `@message`, a line each; the header's row is blank."""
    if isinstance(piece, Overlong):
        return piece
    try:
        rows = pa.csv.read_csv(
            io.BytesIO(piece.data),
            read_options=pa.csv.ReadOptions(
                column_names=header, use_threads=False, block_size=len(piece.data) + 1
            ),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=pa.csv.ConvertOptions(
                include_columns=[_MESSAGE], column_types={_MESSAGE: pa.large_string()}
            ),
        )
    except pa.ArrowInvalid as error:
        raise DataError("its CSV rows cannot be read; deliver them as JSON") from error
    texts = pl.Series(_MESSAGE, rows[_MESSAGE], dtype=pl.String)
    texts = texts.fill_null("").replace(_MESSAGE, "").str.replace_all("\n", " ", literal=True)
    data = texts.str.join("\n").item().encode() + b"\n"
    return Piece(data, piece.first, -1)


_DEEPEST = 4


def _beginning(text: str, depth: int) -> Any:
    """Return what can be read of an object or a list that is cut."""
    decoder = json.JSONDecoder()
    is_object, at = text.startswith("{"), 1
    fields: dict[str, Any] = {}
    items: list[Any] = []
    if not is_object and not text.startswith("["):
        return None
    while True:
        at = _skip(text, at, " \t\r\n,")
        name = ""
        try:
            if is_object:
                name, at = decoder.raw_decode(text, at)
                at = _skip(text, at, " \t\r\n:")
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            value = _beginning(text[at:], depth - 1) if depth and at < len(text) else None
            if value is not None:
                fields, items = {**fields, str(name): value}, [*items, value]
            return fields if is_object else items
        fields[str(name)] = value
        items.append(value)


def _skip(text: str, at: int, letters: str) -> int:
    while at < len(text) and text[at] in letters:
        at += 1
    return at


def _without_stamps(piece: Piece | Overlong) -> Piece | Overlong:
    """Return a piece with blanks in place of the instants, so that all stays where it was."""
    if isinstance(piece, Overlong):
        return piece
    return Piece(_STAMP.sub(_blank, piece.data), piece.first, piece.offset, piece.ends)


def _blank(found: re.Match[bytes]) -> bytes:
    return b" " * len(found[0])
