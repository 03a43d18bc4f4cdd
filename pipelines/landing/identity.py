"""What a file is by its content: its hash, and whether it is an earlier one that has grown."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.landing.archives import PIECE_BYTES
from pipelines.landing.plain import is_packed
from pipelines.sources.stored import StoredFile

SETTLED = timedelta(seconds=2)
"""A file that changed so shortly before it was looked at may change again, even within the same time stamp."""
_LONGEST_LINE = 1 << 20
"""A longer first or last line is not looked into."""


@dataclass(frozen=True)
class EarlierContent:
    """An earlier content that a file begins with.

    Attributes:
        file_hash: hash of the earlier content.
        line_count: whole lines in it.
        offset: where its last whole line ends.
    """

    file_hash: str
    line_count: int
    offset: int


@dataclass(frozen=True)
class Identity:
    """What a file is by its content.

    Attributes:
        file_hash: SHA-256 of its first bytes.
        size_bytes: how many: all of it, or all up to a last line that is still being written.
        grown: the earlier content that it begins with.
        is_cut: whether such a last line was left out.
    """

    file_hash: str
    size_bytes: int
    grown: EarlierContent | None = None
    is_cut: bool = False


def identify(
    file: StoredFile, earlier: Iterable[tuple[str, int]] = (), *, now: datetime | None = None
) -> Identity:
    """Read a file once and tell what it is.

    A half line at the end of JSON lines that changed a moment ago belongs to what is written next.

    Args:
        file: the file.
        earlier: hash and size of contents that were landed from the same path.
        now: when it is looked at; without it all of the file counts.

    Raises:
        OSError: it cannot be read.
    """
    sizes = {size: file_hash for file_hash, size in sorted(earlier, key=lambda pair: pair[1]) if size}
    marks = sorted(size for size in sizes if size < file.size_bytes)
    whole = hashlib.sha256()
    at = lines = line_end = 0
    grown: EarlierContent | None = None
    is_growing = now is not None and file.modified_at > now - SETTLED
    lined, rest, first_line = whole.copy(), b"", b""
    with file.open() as handle:
        is_plain = not is_packed(handle.read(8))
        handle.seek(0)
        while piece := handle.read(min(PIECE_BYTES, marks[0] - at) if marks else PIECE_BYTES):
            if is_growing:
                before, newline, after = piece.rpartition(b"\n")
                if newline:
                    first_line = first_line or (rest + before)[:_LONGEST_LINE].split(b"\n", 1)[0]
                    lined = whole.copy()
                    lined.update(before + newline)
                rest = after if newline else rest + after[: _LONGEST_LINE + 1]
            whole.update(piece)
            if marks:
                lines += piece.count(b"\n")
                line_end = at + piece.rfind(b"\n") + 1 if b"\n" in piece else line_end
            at += len(piece)
            if marks and at == marks[0]:
                size = marks.pop(0)
                if is_plain and whole.copy().hexdigest() == sizes[size]:
                    grown = EarlierContent(sizes[size], lines, line_end)
    has_half_line = is_plain and 0 < len(rest) <= _LONGEST_LINE and not _is_object(rest)
    if has_half_line and _is_object(first_line):
        return Identity(lined.hexdigest(), at - len(rest), grown, is_cut=True)
    return Identity(whole.hexdigest(), at, grown)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
