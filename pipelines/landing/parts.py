"""Rows of one table on their way into the lake: gathered, and written as Parquet files of a draft folder."""

import io
import uuid
from pathlib import Path

import polars as pl

from models.errors import DataError
from pipelines.durable import durable
from pipelines.warehouse.disk import full_disk_sentence, is_full_disk

_ROWS = 500_000
_ROW_GROUP = 50_000
_OWN_PART = 10_000
"""So many rows of one block are a part of their own: to gather them with others takes longer than to write them."""


class LakeWriteError(DataError):
    """The lake's folder cannot be written, as on a full disk."""


class ParquetParts:
    """Parquet parts of one table.

    Args:
        folder: where they are written.
        name: the table's name, which begins the file names.
        sort_by: column by which a part is sorted, so that hours are found by its statistics.
        most_bytes: rows in memory beyond this are written out.
    """

    def __init__(self, folder: Path, name: str, sort_by: str, most_bytes: int) -> None:
        self.paths: list[Path] = []
        self._folder, self._name, self._sort_by, self._most_bytes = folder, name, sort_by, most_bytes
        self._held: list[bytes] = []
        self._rows = self._bytes = 0

    def add(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        if rows.height >= _OWN_PART:
            self._write(rows)
            return
        # A frame holds on to all that was read along with it: many times its own size.
        packed = io.BytesIO()
        rows.write_ipc(packed, compression="lz4")
        self._held.append(packed.getvalue())
        self._rows += rows.height
        self._bytes += int(rows.estimated_size())
        if self._rows >= _ROWS or self._bytes >= self._most_bytes:
            self.flush()

    def flush(self) -> None:
        if not self._held:
            return
        rows = pl.concat([pl.read_ipc(packed) for packed in self._held])
        self._held, self._rows, self._bytes = [], 0, 0
        self._write(rows)

    def _write(self, rows: pl.DataFrame) -> None:
        if not rows[self._sort_by].is_sorted():
            rows = rows.sort(self._sort_by, maintain_order=True)
        path = self._folder / f"{self._name}-{uuid.uuid4().hex}.parquet"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            durable("landing: write a part")
            rows.write_parquet(path, compression="zstd", compression_level=1, row_group_size=_ROW_GROUP)
        except (OSError, pl.exceptions.PolarsError) as error:
            path.unlink(missing_ok=True)
            if is_full_disk(error, self._folder):
                why = f"The lake cannot be written. {full_disk_sentence(self._folder)} Then run again"
            else:
                said = str(error).splitlines()[0]
                why = f"The lake cannot be written to {self._folder} ({said}); mend that and run again"
            raise LakeWriteError(f"{why}: what was committed before stays.") from error
        self.paths.append(path)

    def absorb(self, other: "ParquetParts") -> None:
        """Take over the rows of another buffer of the same table."""
        self.paths += other.paths
        for packed in other._held:  # noqa: SLF001
            self.add(pl.read_ipc(packed))

    def discard(self) -> None:
        """Forget all rows, written or not."""
        for path in self.paths:
            path.unlink(missing_ok=True)
        self._held, self.paths, self._rows, self._bytes = [], [], 0, 0
