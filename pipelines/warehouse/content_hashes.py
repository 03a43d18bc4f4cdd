"""What tells whether a partition has changed: a hash of its rows in the order of its key."""

import hashlib
import io

import polars as pl

_JSON_ROWS = 200
"""A partition of no more rows is hashed as lines of JSON."""
_JSON_ROWS_AT_ONCE = 5_000


def content_hash(rows: pl.DataFrame) -> str:
    """Hash the rows of a partition, in the order of its key."""
    return ContentHashes(rows).of(0, rows.height)


class ContentHashes:
    """Hashes of partitions that lie one after another in a frame, each in the order of its key.

    A small one is hashed as lines of JSON, which are written for many partitions at once; to write a Parquet file of
    each takes far longer than the rows.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self._rows = rows
        self._columns = hashlib.sha256(repr(list(rows.schema.items())).encode())
        self._lines: list[bytes] = []
        self._first = 0

    def of(self, start: int, count: int) -> str:
        """Return the hash of the partition of `count` rows that begins at row `start`; best asked for in order."""
        if count > _JSON_ROWS:
            return parquet_hash(self._rows.slice(start, count))
        if start < self._first or start + count > self._first + len(self._lines):
            text = self._rows.slice(start, _JSON_ROWS_AT_ONCE).write_ndjson()
            self._lines, self._first = text.encode().splitlines(keepends=True), start
        digest = self._columns.copy()
        for line in self._lines[start - self._first :][:count]:
            digest.update(line)
        return digest.hexdigest()


def parquet_hash(rows: pl.DataFrame) -> str:
    """Hash the rows of a large partition, and as those of all were hashed by earlier versions."""
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="uncompressed", statistics=False)
    return hashlib.sha256(buffer.getbuffer()).hexdigest()
