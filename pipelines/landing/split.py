"""Cut a stream of plain bytes into pieces of whole records: lines, CSV rows, or the parts of one JSON document.

A piece's records end with a newline each, so that every reader behind it sees lines. Numbers and byte offsets of
records are known for each, and memory is bounded by the longest record that is allowed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

Layout = Literal["lines", "rows", "document"]
Positions = npt.NDArray[np.int64]

SHORT_RECORD = 4 << 20
"""A record beyond this is a piece of its own, so that the others are read with small buffers."""
MOST_RECORDS = 50_000
"""Short records are cut into pieces of so many, since a row takes far more memory than its text."""
_HEAD = 1 << 20
_WHITE_SPACE = np.frombuffer(b" \t\r\n", np.uint8)
_NEWLINE, _QUOTE, _BACKSLASH, _COMMA, _SPACE = 10, 34, 92, 44, 32


@dataclass(frozen=True)
class Piece:
    """Whole records of a file, each ended by a newline.

    Attributes:
        data: their bytes.
        first: number of the first: the line of a text, else the ordinal in the document.
        offset: where they start in the unpacked file; below 0 where they do not stand in it so.
        ends: where each record ends in `data`, its newline included; None when every newline ends one.
    """

    data: bytes
    first: int
    offset: int
    ends: Positions | None = None

    def parts(self, most_records: int) -> Iterator["Piece"]:
        """Yield the piece in parts of so many records at most, all of about the same size."""
        newlines = self.newlines
        ends = newlines if self.ends is None else self.ends
        if len(ends) <= most_records:
            yield self
            return
        each = -(-len(ends) // -(-len(ends) // most_records))
        start = 0
        for stop in [*ends[each - 1 : -1 : each], ends[-1]]:
            inside = (
                None if self.ends is None else self.ends[(self.ends > start) & (self.ends <= stop)] - start
            )
            first = self.first + int(np.searchsorted(newlines, start, side="right"))
            offset = self.offset + int(start) if self.offset >= 0 else self.offset
            yield Piece(self.data[start:stop], first, offset, inside)
            start = int(stop)

    @cached_property
    def newlines(self) -> Positions:
        """Return where each line ends, the newline included."""
        return (np.flatnonzero(np.frombuffer(self.data, np.uint8) == _NEWLINE) + 1).astype(np.int64)


@dataclass(frozen=True)
class Overlong:
    """A record that is too long to be held."""

    number: int
    offset: int
    length: int


def layout_of(head: bytes, *, takes_rows: bool) -> Layout:
    """Return how the records of a file lie, from its beginning.

    Args:
        head: its first bytes, unpacked.
        takes_rows: whether the format may come as CSV.
    """
    text = head.lstrip()
    if not text.startswith((b"{", b"[")):
        return "rows" if takes_rows else "lines"
    if text.startswith(b"["):
        return "document"
    first, newline, rest = text.partition(b"\n")
    if _is_end_to_end(first):
        return "document"
    if not newline or not rest.strip() or _is_json(first):
        return "lines"
    # An object over several lines is a document; a broken first line of many is not.
    scanner = _Scanner()
    lines = scanner.lines(text[:_HEAD]).split(b"\n")
    if len(lines) > 1 and _is_json(lines[0]):
        return "document"
    is_open_ended = len(lines) == 1 and first.rstrip().endswith((b"{", b"[", b","))
    return "document" if is_open_ended else "lines"


def _is_end_to_end(line: bytes) -> bool:
    """Return whether a line begins with an object and goes on with another."""
    try:
        text = line.decode("utf-8", "replace")
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return text[end:].lstrip().startswith("{")


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def split(
    pieces: Iterator[bytes],
    layout: Layout,
    *,
    at_least: int,
    longest: int,
    most_records: int = MOST_RECORDS,
    first: int = 1,
    offset: int = 0,
) -> Iterator[Piece | Overlong]:
    """Yield pieces of whole records, and the records that are too long.

    Args:
        pieces: plain bytes of the file, from `offset` on.
        layout: how its records lie.
        at_least: pieces grow to about this many bytes.
        longest: a record of more bytes is refused; it is skipped without being held.
        most_records: a piece of shorter records holds so many.
        first: number of the first record.
        offset: where the bytes begin in the unpacked file.
    """
    scanner = _Scanner()
    if layout == "document":
        pieces = (scanner.lines(piece) for piece in pieces)
    splitter = _Splitter(at_least, longest, first, offset, has_quotes=layout == "rows")
    for piece in splitter.split(pieces):
        if scanner.has_inserted:
            piece = replace(piece, offset=-1)  # noqa: PLW2901
        yield from [piece] if isinstance(piece, Overlong) else piece.parts(most_records)


class _Splitter:
    def __init__(self, at_least: int, longest: int, number: int, offset: int, *, has_quotes: bool) -> None:
        self._at_least, self._longest, self._number, self._offset = at_least, longest, number, offset
        self._has_quotes, self._is_quoted = has_quotes, False
        self._done: list[bytes | memoryview] = []
        self._ends: list[Positions] = []
        self._done_bytes = 0
        self._open: list[bytes] = []
        self._open_bytes = 0
        self._skipped_bytes = 0

    def split(self, pieces: Iterator[bytes]) -> Iterator[Piece | Overlong]:
        for piece in pieces:
            ends = self._record_ends(piece)
            if not len(ends):
                yield from self._grow(piece)
                continue
            rest = piece[ends[-1] :]
            if self._skipped_bytes or self._open_bytes > SHORT_RECORD:
                yield from self._flush()
                yield self._alone(piece[: ends[0]])
                piece, ends = piece[ends[0] :], ends[1:] - ends[0]  # noqa: PLW2901
            if len(ends):
                self._take(memoryview(piece)[: ends[-1]], ends)
            if self._done_bytes >= self._at_least:
                yield from self._flush()
            yield from self._grow(rest)
        # The last record may lack its newline.
        if self._skipped_bytes or self._open_bytes > SHORT_RECORD:
            yield from self._flush()
            yield self._alone(b"" if self._skipped_bytes else b"\n")
        elif self._open_bytes:
            self._take(b"\n", np.array([1], np.int64))
        yield from self._flush()

    def _record_ends(self, piece: bytes) -> Positions:
        """Return where records end in a piece; of lines the first and the last end are enough."""
        if not self._has_quotes:
            last = piece.rfind(b"\n") + 1
            return np.array(sorted({piece.find(b"\n") + 1, last}) if last else [], np.int64)
        codes = np.frombuffer(piece, np.uint8)
        newlines, quotes = np.flatnonzero(codes == _NEWLINE), np.flatnonzero(codes == _QUOTE)
        before = np.searchsorted(quotes, newlines) + self._is_quoted
        self._is_quoted = bool((len(quotes) + self._is_quoted) % 2)
        ends: Positions = (newlines[before % 2 == 0] + 1).astype(np.int64)
        return ends

    def _grow(self, piece: bytes) -> Iterator[Piece]:
        if not piece:
            return
        if self._skipped_bytes or self._open_bytes + len(piece) > self._longest:
            self._skipped_bytes += self._open_bytes + len(piece)
            self._open, self._open_bytes = [], 0
            yield from self._flush()
        else:
            self._open.append(piece)
            self._open_bytes += len(piece)

    def _alone(self, end: bytes) -> Piece | Overlong:
        """Return the long record that is open as a piece of its own, or as one that was skipped."""
        data = b"".join([*self._open, end])
        length, number, offset = self._skipped_bytes + len(data), self._number, self._offset
        is_skipped = self._skipped_bytes > 0
        self._open, self._open_bytes, self._skipped_bytes = [], 0, 0
        self._number, self._offset = number + 1, offset + length
        if is_skipped:
            return Overlong(number, offset, length)
        piece = Piece(data, number, offset, np.array([length], np.int64))
        self._number += data.count(b"\n") - 1
        return piece

    def _take(self, piece: bytes | memoryview, ends: Positions) -> None:
        """Take whole records: the open one, which ends in this piece, and those behind it."""
        if self._has_quotes:
            self._ends.append(ends + (self._done_bytes + self._open_bytes))
        self._done += [*self._open, piece]
        self._done_bytes += self._open_bytes + len(piece)
        self._open, self._open_bytes = [], 0

    def _flush(self) -> Iterator[Piece]:
        if not self._done:
            return
        data = b"".join(self._done)
        ends = np.concatenate(self._ends) if self._has_quotes else None
        yield Piece(data, self._number, self._offset, ends)
        self._number, self._offset = self._number + data.count(b"\n"), self._offset + len(data)
        self._done, self._ends, self._done_bytes = [], [], 0


class _Scanner:
    """Turn JSON documents into lines: an element of the outer list, or an outer object, each.

    Newlines inside a record become spaces, and what divides records becomes a newline, so that offsets stay true;
    between objects that nothing divides a newline is put in.

    Attributes:
        has_inserted: whether a newline was put in, so that offsets behind it are not those of the file.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._is_quoted = False
        self._is_escaped = False
        self._in_list = False
        self._is_after_object = False
        self.has_inserted = False

    def lines(self, piece: bytes) -> bytes:
        window = 1 << 20
        return b"".join(self._window(piece[start : start + window]) for start in range(0, len(piece), window))

    def _window(self, piece: bytes) -> bytes:
        codes = np.frombuffer(piece, np.uint8).copy()
        is_quote = (codes == _QUOTE) & ~self._escaped(codes)
        inside = (np.cumsum(is_quote) + self._is_quoted) % 2 == 1
        self._is_quoted = bool(inside[-1])
        is_text = inside | is_quote
        opens = ((codes == ord("{")) | (codes == ord("["))) & ~is_text
        closes = ((codes == ord("}")) | (codes == ord("]"))) & ~is_text
        depth = self._depth + np.cumsum(opens.astype(np.int64) - closes)
        before = np.concatenate([[self._depth], depth[:-1]])
        newline = codes == _NEWLINE
        lists = (codes == ord("[")) & opens & (before == 0)
        ends = (codes == ord("]")) & closes & (depth == 0)
        # Which outer list a position lies in, where there is one.
        change = lists.astype(np.int64) - ends
        in_list = (self._in_list + np.cumsum(change)) > 0
        self._depth, self._in_list = int(depth[-1]), bool(in_list[-1])
        # A raw newline inside a text is no JSON; it stays wrong and cannot cut the record.
        codes[newline & inside] = 1
        codes[newline & ~inside & ~((depth == 0) & ~in_list)] = _SPACE
        codes[lists | ends] = _SPACE
        codes[(codes == _COMMA) & in_list & (depth == 1) & ~is_text] = _NEWLINE
        # An object outside of a list ends a record: the space behind it becomes a newline; where there is none, as
        # between objects that were put end to end, one is put in.
        after = np.flatnonzero((codes == ord("}")) & closes & (depth == 0) & ~in_list) + 1
        if self._is_after_object:
            after = np.concatenate([np.zeros(1, np.int64), after])
        self._is_after_object = bool(len(after) and after[-1] == len(codes))
        after = after[after < len(codes)]
        is_space = np.isin(codes[after], _WHITE_SPACE)
        codes[after[is_space]] = _NEWLINE
        self.has_inserted |= not is_space.all()
        return np.insert(codes, after[~is_space], _NEWLINE).tobytes()

    def _escaped(self, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Return which bytes an odd run of backslashes precedes."""
        slashes = codes == _BACKSLASH
        places = np.arange(len(codes))
        last_other = np.maximum.accumulate(np.where(slashes, -1, places))
        run = places - last_other
        if self._is_escaped:
            run[last_other == -1] += 1
        escaped = np.empty(len(codes), np.bool_)
        escaped[0] = self._is_escaped
        escaped[1:] = (run[:-1] % 2 == 1) & slashes[:-1]
        self._is_escaped = bool(slashes[-1] and run[-1] % 2 == 1)
        return escaped
