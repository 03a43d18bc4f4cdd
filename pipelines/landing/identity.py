"""What a file is by its content: its hash, and whether it is an earlier one that has grown."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.landing.plain import PIECE_BYTES, is_packed
from pipelines.sources.stored import StoredFile


@dataclass(frozen=True)
class Grown:
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
    """A file's SHA-256, how many bytes that is of, and the earlier content that it has grown from."""

    file_hash: str
    size_bytes: int
    grown: Grown | None = None


def identify(file: StoredFile, earlier: Iterable[tuple[str, int]] = ()) -> Identity:
    """Read a file once and tell what it is.

    Args:
        file: the file.
        earlier: hash and size of contents that were landed from the same path.

    Raises:
        OSError: it cannot be read.
    """
    sizes = {size: file_hash for file_hash, size in sorted(earlier, key=lambda pair: pair[1]) if size}
    marks = sorted(size for size in sizes if size < file.size_bytes)
    whole = hashlib.sha256()
    at = lines = line_end = 0
    grown: Grown | None = None
    with file.open() as handle:
        is_plain = not is_packed(handle.read(8))
        handle.seek(0)
        while piece := handle.read(min(PIECE_BYTES, marks[0] - at) if marks else PIECE_BYTES):
            whole.update(piece)
            if marks:
                lines += piece.count(b"\n")
                line_end = at + piece.rfind(b"\n") + 1 if b"\n" in piece else line_end
            at += len(piece)
            if marks and at == marks[0]:
                size = marks.pop(0)
                if is_plain and whole.copy().hexdigest() == sizes[size]:
                    grown = Grown(sizes[size], lines, line_end)
    return Identity(whole.hexdigest(), at, grown)
