"""Partitions on their way into the lake: in the order of their key, checked, hashed, and where they are large written.

Staging reads nothing of the lake, so that each worker stages what it has computed, and only files travel to the one
committing room.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from models.errors import DataError
from models.schemas import table as schema_of
from models.schemas.base import Table
from pipelines.durable import durable
from pipelines.warehouse.content_hashes import ContentHashes
from pipelines.warehouse.data_files import DataFiles, Draft

PartitionValue = datetime | date | None
EMPTY = "empty"
"""The content hash of a partition without rows."""
OWN_FILE_ROWS = 50_000
"""A partition of so many rows has a file of its own."""


@dataclass(frozen=True)
class StagedPartition:
    """A partition: its rows are a file of their own, or `row_count` of the small ones' rows from `first`."""

    value: PartitionValue
    row_count: int
    content_hash: str
    file: Draft | None = None
    first: int = 0


@dataclass(frozen=True)
class Staged:
    """The new rows of partitions of a table.

    Attributes:
        table_name: the table.
        partitions: every partition to replace, those without rows too.
        small: the rows of partitions without a file of their own, one after the other.
        shared: a draft that holds them, where they were written; then `small` is None.
    """

    table_name: str
    partitions: list[StagedPartition]
    small: pl.DataFrame | None = None
    shared: Draft | None = None

    @property
    def row_count(self) -> int:
        return sum(part.row_count for part in self.partitions)

    @property
    def drafts(self) -> list[Draft]:
        """The files that were written."""
        own = [part.file for part in self.partitions if part.file is not None]
        return own if self.shared is None else [*own, self.shared]

    def written(self, files: DataFiles) -> "Staged":
        """Write what is small to a draft, so that all rows are in files."""
        if self.small is None or self.small.is_empty():
            return replace(self, small=None)
        first = next(part for part in self.partitions if part.file is None and part.row_count)
        path = write_draft(files, schema_of(self.table_name), first.value, self.small)
        return replace(self, small=None, shared=path)

    def moved(self, places: dict[Draft, Draft]) -> "Staged":
        """Name its files by where they lie now."""
        parts = [
            part if part.file is None else replace(part, file=places.get(part.file, part.file))
            for part in self.partitions
        ]
        shared = None if self.shared is None else places.get(self.shared, self.shared)
        return replace(self, partitions=parts, shared=shared)


def stage(
    files: DataFiles, dotted: str, frame: pl.DataFrame, *, partitions: Sequence[PartitionValue] = (None,)
) -> Staged:
    """Stage whole partitions of a table (all of it by default).

    Args:
        files: where large partitions are written.
        dotted: table name such as `core.requests`.
        frame: the table's columns, in any order; only rows of `partitions`.
        partitions: hours or business dates to replace; one without rows becomes empty.

    Raises:
        DataError: a required column holds NULL, a key is double, or a row lies outside.
    """
    table = schema_of(dotted)
    is_whole = partitions == (None,)
    order = [*table.key] if is_whole else [*dict.fromkeys((str(table.partition), *table.key))]
    rows = table.conform(frame.lazy()).collect(engine="in-memory")
    _refuse_nulls(table, rows)
    # What a step made in order is not sorted again; in strict order no key is double.
    if not _is_in_order(rows, order):
        rows = rows.sort(order, nulls_last=True, maintain_order=True)
        _refuse_doubles(table, rows)
    places: dict[PartitionValue, tuple[int, int]] = {None: (0, rows.height)}
    if not is_whole:
        # Sorted by partition, each is a slice.
        runs = rows.get_column(str(table.partition)).rle().struct.unnest()
        firsts = runs["len"].cum_sum() - runs["len"]
        places = dict(zip(runs["value"], zip(firsts, runs["len"], strict=True), strict=True))
        _refuse_strays(table, rows, sorted({*places} - {*partitions}))  # type: ignore[type-var]
    has_own_files = any(count >= OWN_FILE_ROWS for _, count in places.values())
    staged: list[StagedPartition] = []
    small: list[pl.DataFrame] = []
    first = 0
    hashes = ContentHashes(rows)
    for value in partitions:
        start, count = places.get(value, (0, 0))
        content = hashes.of(start, count) if count else EMPTY
        if count >= OWN_FILE_ROWS:
            path = write_draft(files, table, value, rows.slice(start, count))
            staged.append(StagedPartition(value, count, content, path))
        elif has_own_files:
            staged.append(StagedPartition(value, count, content, None, first))
            small.append(rows.slice(start, count))
            first += count
        else:
            staged.append(StagedPartition(value, count, content, None, start))
    # A frame of a thousand slices is slow to slice again.
    kept = (pl.concat(small) if small else None) if has_own_files else rows
    return Staged(dotted, staged, None if kept is None or kept.is_empty() else kept.rechunk())


def write_draft(files: DataFiles, table: Table, value: PartitionValue, rows: pl.DataFrame) -> Path:
    """Write rows to a draft that is named by a partition."""
    path = files.new(table.dotted, partition_key(value).replace(":", ""))
    durable("lake: write a file")
    rows.write_parquet(path, compression="zstd", compression_level=1, statistics=True)
    return path


def partition_key(value: PartitionValue) -> str:
    """Return the key of a partition in ops.partitions: ISO hour in UTC, business date, or `all`."""
    if value is None:
        return "all"
    return (
        value.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
        if isinstance(value, datetime)
        else value.isoformat()
    )


def _is_in_order(rows: pl.DataFrame, order: Sequence[str]) -> bool:
    """Return whether each row comes strictly after the one before; a NULL in the order is not looked into."""
    keys = rows.select(order)
    if any(keys.null_count().row(0)):
        return False
    is_after = pl.lit(value=False)
    for name in reversed(order):
        before = pl.col(name).shift(1)
        is_after = (pl.col(name) > before) | ((pl.col(name) == before) & is_after)
    return bool(keys.select(is_after.slice(1).all()).item())


def _refuse_nulls(table: Table, rows: pl.DataFrame) -> None:
    required = [column.name for column in table.columns if column.required]
    nulls = rows.select(pl.col(required).null_count()).row(0, named=True) if required and rows.height else {}
    empty = [name for name, count in nulls.items() if count]
    if empty:
        raise DataError(f"{table.dotted}: {empty[0]} is NULL in {nulls[empty[0]]} rows; nothing was written.")


def _refuse_doubles(table: Table, rows: pl.DataFrame) -> None:
    keys = rows.select(table.key)
    doubles = keys.is_duplicated()
    if doubles.any():
        example = keys.filter(doubles).row(0)
        raise DataError(
            f"{table.dotted}: {doubles.sum()} rows share a key, such as {example}; nothing was written."
        )


def _refuse_strays(table: Table, rows: pl.DataFrame, strays: Sequence[PartitionValue]) -> None:
    if strays:
        count = rows.filter(pl.col(str(table.partition)).is_in([*strays])).height
        raise DataError(
            f"{table.dotted}: {count} rows lie outside the partitions being replaced, "
            f"such as {table.partition} = {strays[0]}; nothing was written."
        )
