"""Unpack gzip, zstd and zip, piece by piece: what is broken leaves a note, and what came before it is kept."""

import codecs
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import IO, BinaryIO

import pyarrow as pa

from models.errors import DataError

PIECE_BYTES = 1 << 22
PACKED_BYTES = 1 << 14
"""What is unpacked at once: what is left of it is copied for each member of an archive and each piece unpacked."""
GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"
_ZSTD_READ = 1 << 16
_MOST_DEEP = 2
"""Archives within archives are unpacked so deep."""
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods of zip of which a piece can be unpacked at once, however much a member holds."""

Note = Callable[[str], None]


def gunzipped(packed_pieces: Iterator[bytes], note: Note) -> Iterator[bytes]:
    """Unpack an archive, and archives in it: a delivery stream packs once more what a log group sends packed."""
    for _ in range(_MOST_DEEP):
        first, packed_pieces = _peeked(_gunzip(packed_pieces, note))
        if not first.startswith(GZIP_MAGIC):
            break
        packed_pieces = _cut(packed_pieces, PACKED_BYTES)
    yield from packed_pieces


def _peeked(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first piece, and all pieces."""
    first = next(pieces, b"")
    return first, chain([first], pieces)


def _cut(pieces: Iterator[bytes], at_once: int) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), at_once):
            yield piece[start : start + at_once]


def _gunzip(packed_pieces: Iterator[bytes], note: Note) -> Iterator[bytes]:
    engine, is_inside = zlib.decompressobj(wbits=31), False
    for packed in packed_pieces:
        rest = packed
        while rest:
            if not is_inside and not GZIP_MAGIC.startswith(rest[:2]):
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


def unzstd(handle: BinaryIO, note: Note) -> Iterator[bytes]:
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


def unzipped(handle: BinaryIO, note: Note) -> Iterator[bytes]:
    """Yield the members of a zip archive one after the other, in the order of their names.

    A header of CSV that members have in common comes once. A member may be gzip.

    Raises:
        DataError: the archive cannot be read, or holds what is no text.
    """
    try:
        archive = zipfile.ZipFile(handle)
    except zipfile.BadZipFile:
        raise DataError("it is a broken zip file; deliver it again") from None
    members = sorted(
        (each for each in archive.infolist() if _is_content(each)), key=lambda each: each.filename
    )
    if any(each.filename == "[Content_Types].xml" for each in members):
        raise DataError("it is a workbook or another document in zip; deliver its table as CSV")
    if odd := next(
        (each for each in members if each.flag_bits & 1 or each.compress_type not in _BOUNDED), None
    ):
        how = "encrypted" if odd.flag_bits & 1 else "packed by another method than deflate"
        raise DataError(f"its members are {how}, which is not read; deliver it as gzip")
    if any(archive.open(each).read(4) == PARQUET_MAGIC for each in members):
        raise DataError("it is a zip file with Parquet in it, which is not read; deliver what it holds")
    header = b""
    for number, member in enumerate(members):
        with archive.open(member) as packed:
            pieces = _member(packed, note)
            first = next(pieces, b"")
            if number:
                first = first.removeprefix(codecs.BOM_UTF8)
            line, _, rest = first.partition(b"\n")
            if number == 0:
                header = line
            elif line == header and not line.lstrip().startswith((b"{", b"[")):
                first = rest
            last = b"\n" if not first else first[-1:]
            for piece in chain([first], pieces):
                yield piece
                last = piece[-1:] or last
            if last != b"\n":
                yield b"\n"


def _is_content(member: zipfile.ZipInfo) -> bool:
    name = member.filename
    return (
        not member.is_dir() and not name.startswith("__MACOSX/") and not name.split("/")[-1].startswith(".")
    )


def _member(packed: IO[bytes], note: Note) -> Iterator[bytes]:
    first, pieces = _peeked(_read_member(packed, note))
    return gunzipped(_cut(pieces, PACKED_BYTES), note) if first.startswith(GZIP_MAGIC) else pieces


def _read_member(packed: IO[bytes], note: Note) -> Iterator[bytes]:
    while True:
        try:
            piece = packed.read(PIECE_BYTES)
        except (zipfile.BadZipFile, zlib.error, EOFError):
            note("broken zip: what follows the damage in a member is lost; deliver the file again")
            return
        if not piece:
            return
        yield piece
