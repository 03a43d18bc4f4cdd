"""Make a landed file readable: unpack it, find its encoding, count its lines. Bounded memory."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 22
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
PARQUET_MAGIC = b"PAR1"


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True)
class Plain:
    """A file as plain UTF-8 lines: the file itself, or a copy; `note` says what was wrong with it."""

    path: Path
    line_count: int
    has_blank_lines: bool
    note: str | None


def unpack(path: Path, *, scratch: Path) -> Plain:
    """Return a file as plain UTF-8 text; a truncated archive keeps its good head."""
    with path.open("rb") as handle:
        head = handle.read(4)
    is_packed = head.startswith(GZIP_MAGIC)
    is_utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    has_bom = head.startswith(b"\xef\xbb\xbf")
    note: str | None = None
    if not (is_packed or is_utf16 or has_bom):
        counter = _Counter()
        with path.open("rb") as handle:
            while chunk := handle.read(_CHUNK):
                counter.take(chunk)
        return Plain(path, counter.lines(), counter.has_blank_lines, None)
    counter = _Counter()
    target = scratch / "plain"
    with target.open("wb") as out:
        chunks = _gunzip(path) if is_packed else _recode(path, utf16=is_utf16)
        is_first = True
        for chunk, problem in chunks:
            piece = chunk.removeprefix(b"\xef\xbb\xbf") if is_first else chunk
            is_first = False
            counter.take(piece)
            out.write(piece)
            note = problem or note
    return Plain(target, counter.lines(), counter.has_blank_lines, note)


def _gunzip(path: Path) -> Iterator[tuple[bytes, str | None]]:
    with gzip.open(path, "rb") as packed:
        while True:
            try:
                chunk = packed.read1(_CHUNK)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                yield (
                    b"",
                    f"truncated or broken gzip: the rest of the file is lost ({error}); deliver it again",
                )
                return
            if not chunk:
                return
            yield chunk, None


def _recode(path: Path, *, utf16: bool) -> Iterator[tuple[bytes, str | None]]:
    encoding = "utf-16" if utf16 else "utf-8-sig"
    with path.open("r", encoding=encoding, errors="replace", newline="") as text:
        while chunk := text.read(_CHUNK):
            yield chunk.encode("utf-8"), f"recoded from {encoding}" if utf16 else None


class _Counter:
    def __init__(self) -> None:
        self._newlines = 0
        self._tail = b"\n"
        self.has_blank_lines = False

    def take(self, chunk: bytes) -> None:
        if not chunk:
            return
        seam = self._tail + chunk[:2]
        self.has_blank_lines = self.has_blank_lines or any(
            blank in part for blank in (b"\n\n", b"\n\r\n") for part in (seam, chunk)
        )
        self._newlines += chunk.count(b"\n")
        self._tail = (self._tail + chunk)[-2:]

    def lines(self) -> int:
        return self._newlines + (not self._tail.endswith(b"\n"))


def lines_of(path: Path, *, longest: int) -> Iterator[tuple[int, int, int, bytes | None]]:
    """Yield number, byte offset, length and text of each line; a line over `longest` bytes has no text."""
    with path.open("rb") as handle:
        number, offset = 0, 0
        while piece := handle.readline(longest + 1):
            number += 1
            length = len(piece)
            text: bytes | None = piece
            if len(piece) > longest and not piece.endswith(b"\n"):
                text = None
                length += _skip_line(handle)
            yield number, offset, length, text
            offset += length


def _skip_line(handle: BinaryIO) -> int:
    skipped = 0
    while piece := handle.readline(_CHUNK):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped
