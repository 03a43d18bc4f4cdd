"""Read any landed file as plain UTF-8 bytes, piece by piece: gzip, zstd, UTF-16 and byte order marks are undone.

What is broken ends the stream and leaves a note; what came before it is kept. Memory does not grow with the file.
"""

import codecs
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO

import pyarrow as pa

from models.errors import DataError

PIECE_BYTES = 1 << 22
_PACKED_BYTES = 1 << 14
"""What is unpacked at once: what is left of it is copied for each member of an archive and each piece unpacked."""
PARQUET_MAGIC = b"PAR1"
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_UTF8_BOM = codecs.BOM_UTF8
_FOREIGN = {
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"ORC": "ORC",
    b"Obj\x01": "Avro",
    b"%PDF": "PDF",
}
_ZSTD_READ = 1 << 16

_MOST_DEEP = 2
"""Archives within archives are unpacked so deep."""

Note = Callable[[str], None]


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
                f"it is a {name} file, which is not read; deliver it as JSONL, CSV, Parquet, gzip or zstd"
            )
    if head.startswith(_GZIP_MAGIC):
        pieces = _gunzip_all(_pieces(handle, size, at_once=_PACKED_BYTES), note)
    elif head.startswith(_ZSTD_MAGIC):
        pieces = _unzstd(handle, note)
    else:
        pieces = _pieces(handle, size - offset)
    return _as_utf8(pieces, note)


def is_packed(head: bytes) -> bool:
    """Return whether a file that begins so is not stored as its own plain bytes."""
    return head.startswith(
        (_GZIP_MAGIC, _ZSTD_MAGIC, _UTF8_BOM, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, PARQUET_MAGIC)
    )


def _pieces(handle: BinaryIO, size: int, *, at_once: int = PIECE_BYTES) -> Iterator[bytes]:
    while piece := handle.read(min(at_once, size)):
        size -= len(piece)
        yield piece


def _gunzip_all(packed_pieces: Iterator[bytes], note: Note) -> Iterator[bytes]:
    """Unpack an archive, and archives in it: a delivery stream packs once more what a log group sends packed."""
    for _ in range(_MOST_DEEP):
        packed_pieces = _gunzip(packed_pieces, note)
        first = next(packed_pieces, b"")
        packed_pieces = chain([first], packed_pieces)
        if not first.startswith(_GZIP_MAGIC):
            break
        packed_pieces = _cut(packed_pieces, _PACKED_BYTES)
    yield from packed_pieces


def _cut(pieces: Iterator[bytes], at_once: int) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), at_once):
            yield piece[start : start + at_once]


def _gunzip(packed_pieces: Iterator[bytes], note: Note) -> Iterator[bytes]:
    engine, is_inside = zlib.decompressobj(wbits=31), False
    for packed in packed_pieces:
        rest = packed
        while rest:
            if not is_inside and not _GZIP_MAGIC.startswith(rest[:2]):
                note("bytes after the end of the gzip archive were passed over")
                return
            try:
                # The bound keeps a small archive of much text from filling the memory.
                piece = engine.decompress(rest, PIECE_BYTES)
            except zlib.error:
                note("broken gzip: what follows the damage is lost; deliver the file again")
                return
            if piece:
                yield piece
            is_inside = not engine.eof
            rest = engine.unconsumed_tail if is_inside else engine.unused_data.lstrip(b"\0")
            if not is_inside:
                engine = zlib.decompressobj(wbits=31)
    if is_inside:
        note("truncated gzip: its end is missing; deliver the file again")


def _unzstd(handle: BinaryIO, note: Note) -> Iterator[bytes]:
    with pa.CompressedInputStream(pa.PythonFile(handle, mode="r"), "zstd") as stream:
        while True:
            try:
                piece = stream.read(_ZSTD_READ)
            except OSError as error:
                word = "truncated" if "Truncated" in str(error) else "broken"
                note(f"{word} zstd: what follows is lost; deliver the file again")
                return
            if not piece:
                return
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
