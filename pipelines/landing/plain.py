"""Read any landed file as plain UTF-8 bytes, piece by piece: gzip, zstd, zip, UTF-16 and byte order marks are undone.

What is broken ends the stream and leaves a note; what came before it is kept. Memory does not grow with the file.
"""

import codecs
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from models.errors import DataError
from pipelines.landing.archives import (
    GZIP_MAGIC,
    PACKED_BYTES,
    PARQUET_MAGIC,
    PIECE_BYTES,
    Note,
    gunzipped,
    unzipped,
    unzstd,
)

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZIP_MAGIC = b"PK\x03\x04"
_UTF8_BOM = codecs.BOM_UTF8
_FOREIGN = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"ORC": "ORC",
    b"Obj\x01": "Avro",
    b"%PDF": "PDF",
}


def plain_bytes(handle: BinaryIO, note: Note, *, size: int, offset: int = 0) -> Iterator[bytes]:
    """Yield a file's content as plain UTF-8, some megabytes at a time.

    Args:
        handle: the open file, at its start.
        note: told what a reader should know, such as that an archive is truncated.
        size: bytes to read at most: what is written meanwhile belongs to the next landing.
        offset: where to begin in a file that is stored as its plain bytes.

    Raises:
        DataError: the file is packed in a way that is not read.
        OSError: the file cannot be read.
    """
    head = handle.read(8)
    handle.seek(offset)
    for magic, name in _FOREIGN.items():
        if head.startswith(magic):
            raise DataError(
                f"it is a {name} file, which is not read; deliver it as JSONL, CSV, Parquet, gzip, zstd or zip"
            )
    if head.startswith(GZIP_MAGIC):
        pieces = gunzipped(_pieces(handle, size, at_once=PACKED_BYTES), note)
    elif head.startswith(_ZSTD_MAGIC):
        pieces = unzstd(handle, note)
    elif head.startswith(_ZIP_MAGIC):
        pieces = unzipped(handle, note)
    else:
        pieces = _pieces(handle, size - offset)
    return _as_utf8(pieces, note)


def is_packed(head: bytes) -> bool:
    """Return whether a file that begins so is not stored as its own plain bytes."""
    return head.startswith(
        (
            GZIP_MAGIC,
            _ZSTD_MAGIC,
            _ZIP_MAGIC,
            _UTF8_BOM,
            codecs.BOM_UTF16_LE,
            codecs.BOM_UTF16_BE,
            PARQUET_MAGIC,
        )
    )


def _pieces(handle: BinaryIO, size: int, *, at_once: int = PIECE_BYTES) -> Iterator[bytes]:
    while piece := handle.read(min(at_once, size)):
        size -= len(piece)
        yield piece


def _as_utf8(pieces: Iterator[bytes], note: Note) -> Iterator[bytes]:
    first = next(pieces, b"")
    while len(first) < 4 and (more := next(pieces, b"")):  # noqa: PLR2004
        first += more
    if first.startswith(_UTF8_BOM):
        yield from chain([first[len(_UTF8_BOM) :]], pieces)
    elif encoding := _utf16(first):
        note(f"recoded from {encoding}")
        # What is no text becomes bytes that are no UTF-8, so that the line is refused and not mended.
        decoder = codecs.getincrementaldecoder(encoding)(errors="surrogatepass")
        for piece in chain([first], pieces):
            yield decoder.decode(piece).encode("utf-8", errors="surrogatepass")
        if decoder.getstate()[0]:
            note("its last character is cut")
            yield b"\xff"
    else:
        yield from chain([first], pieces)


def _utf16(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(head) >= 4:  # noqa: PLR2004
        if head[1] == head[3] == 0 and head[0] and head[2]:
            return "utf-16-le"
        if head[0] == head[2] == 0 and head[1] and head[3]:
            return "utf-16-be"
    return None
