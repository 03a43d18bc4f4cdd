"""Records on their way to a reader: whole records of one file or several, and where each of them lies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.landing.split import Piece, Positions

_WHITE_SPACE = np.frombuffer(b" \t\r\n", np.uint8)


@dataclass(frozen=True)
class Records:
    """Records as bytes, each ended by a newline.

    Attributes:
        data: their bytes.
        ends: where each ends in `data`, its newline included.
        file: which of the block's files each is of.
        number: its number in that file.
        offset: where it starts in that file, unpacked; below 0 where it does not stand in it so.
    """

    data: bytes
    ends: Positions
    file: Positions
    number: Positions
    offset: Positions

    @classmethod
    def of(cls, pieces: Sequence[tuple[int, Piece]]) -> "Records":
        """Join pieces, each with the index of its file."""
        ends, files, numbers, offsets = [], [], [], []
        base = 0
        for file, piece in pieces:
            newlines = piece.newlines
            inside = newlines if piece.ends is None else piece.ends
            starts = np.concatenate([np.zeros(1, np.int64), inside[:-1]])
            ends.append(inside + base)
            files.append(np.full(len(inside), file, np.int64))
            numbers.append(piece.first + np.searchsorted(newlines, starts, side="right"))
            offsets.append(starts + piece.offset if piece.offset >= 0 else np.full(len(inside), -1, np.int64))
            base += len(piece.data)
        data = pieces[0][1].data if len(pieces) == 1 else b"".join(piece.data for _, piece in pieces)
        return cls(data, _joined(ends), _joined(files), _joined(numbers), _joined(offsets))

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def starts(self) -> Positions:
        return np.concatenate([np.zeros(1, np.int64), self.ends[:-1]])[: len(self.ends)]

    @property
    def lengths(self) -> Positions:
        return self.ends - self.starts

    def text(self, index: int) -> bytes:
        return self.data[self.starts[index] : self.ends[index]]

    def take(self, which: Positions) -> "Records":
        """Return some of the records, by ascending index."""
        if len(which) == len(self):
            return self
        lengths = self.lengths
        kept = np.zeros(len(self), np.bool_)
        kept[which] = True
        data = np.frombuffer(self.data, np.uint8)[: self.ends[-1] if len(self) else 0]
        return Records(
            data[np.repeat(kept, lengths)].tobytes(),
            np.cumsum(lengths[which]),
            self.file[which],
            self.number[which],
            self.offset[which],
        )

    def strings(self) -> pa.LargeStringArray:
        """Return the records as Arrow text without copying; they must be UTF-8."""
        bounds = np.concatenate([np.zeros(1, np.int64), self.ends])
        return pa.LargeStringArray.from_buffers(len(self), pa.py_buffer(bounds), pa.py_buffer(self.data))

    def places(self) -> pl.DataFrame:
        """Return one row per record: its 0-based `ordinal`, its file, number and byte range."""
        return pl.DataFrame(
            {
                "ordinal": np.arange(len(self), dtype=np.int64),
                "file_index": self.file,
                "line_number": self.number,
                "byte_offset": self.offset,
                "byte_length": self.lengths,
            }
        ).with_columns(byte_offset=pl.when(pl.col("byte_offset") >= 0).then(pl.col("byte_offset")))


def _joined(parts: list[Positions]) -> Positions:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def without_nul(records: Records) -> Records:
    """Return records whose texts hold U+FFFD in place of U+0000, which neither the lake nor its catalog can keep."""
    written = rb"\u0000"
    return (
        replace(records, data=records.data.replace(written, rb"\ufffd"))
        if written in records.data
        else records
    )


def not_blank(records: Records) -> Positions:
    """Return which records hold more than white space."""
    if not len(records):
        return np.empty(0, np.int64)
    codes = np.frombuffer(records.data, np.uint8)
    # Nearly every record begins with its text: the first byte of each is enough.
    is_text = codes[records.starts] > ord(" ")
    if not is_text.all():
        # Control characters are below the space too, and no white space.
        is_text = np.logical_or.reduceat(~np.isin(codes, _WHITE_SPACE), records.starts)
    return np.flatnonzero(is_text).astype(np.int64)


def decodable(records: Records, alive: Positions) -> Positions:
    """Return which of some records are UTF-8."""
    try:
        records.take(alive).data.decode("utf-8")
    except UnicodeDecodeError:
        return np.array([index for index in alive if is_utf8(records.text(index))], np.int64)
    return alive


def is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
