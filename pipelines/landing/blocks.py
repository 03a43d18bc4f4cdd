"""Read blocks of records side by side: a few threads, each with a reader of its own, and bounded work in flight."""

import threading
import traceback
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import polars as pl
import pyarrow as pa

from models.errors import NanodollarError
from models.schemas import table
from pipelines.landing.judge import FileMark, JudgedRows, Stamp, judge
from pipelines.landing.read import Layout, Reader
from pipelines.landing.records import Records
from pipelines.landing.split import Overlong, Piece
from pipelines.warehouse.connect import TEXTS_AS_POLARS, memory_connection


@dataclass(frozen=True)
class TextBlock:
    """Pieces of one or several text files, each piece with the index of its file."""

    layout: Layout
    files: list[FileMark]
    pieces: list[tuple[int, Piece]]


@dataclass(frozen=True)
class TableBlock:
    """Rows of one table file, numbered from `first_row`."""

    file: FileMark
    rows: pa.Table
    first_row: int


class BlockError(RuntimeError):
    """Reading a block broke in a way that nobody foresaw: what and where, and nothing of the block."""


class Workers:
    """Threads that read blocks; results come in the order of submission.

    Args:
        stamp: what every row is marked with.
        columns: canonical name -> the source's name.
        hash_key: key of the API keys' hash.
        count: threads.
        memory_bytes: what DuckDB may use.
    """

    def __init__(
        self, stamp: Stamp, columns: dict[str, str], hash_key: bytes, *, count: int, memory_bytes: int
    ) -> None:
        self._stamp, self._columns, self._hash_key, self._count = stamp, columns, hash_key, count
        self._con = memory_connection()
        # A thread reads a block alone; more threads inside a query would only wait for one another.
        self._con.execute(f"SET threads = 1; SET memory_limit = '{memory_bytes >> 20}MiB'; {TEXTS_AS_POLARS}")
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix="landing")
        self._local = threading.local()
        self._turn = threading.Lock()
        self._readers: list[Reader] = []
        self._queue: deque[Future[JudgedRows]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        for reader in self._readers:
            reader.close()
        self._con.close()

    def submit(self, block: TextBlock | TableBlock) -> Iterator[JudgedRows]:
        """Take a block, and yield what is done once enough is in flight."""
        self._queue.append(self._pool.submit(self._work, block))
        while len(self._queue) > self._count:
            yield self._queue.popleft().result()

    def drain(self) -> Iterator[JudgedRows]:
        """Yield all that is in flight."""
        while self._queue:
            yield self._queue.popleft().result()

    def forget(self) -> None:
        """Wait for what is in flight, and drop it."""
        while self._queue:
            self._queue.popleft().exception()

    def _work(self, block: TextBlock | TableBlock) -> JudgedRows:
        try:
            return self._judged(block)
        except (NanodollarError, MemoryError, duckdb.OutOfMemoryException):
            raise
        except Exception as error:  # noqa: BLE001
            # Its words may quote a record, and whoever runs the landing keeps them.
            place = traceback.extract_tb(error.__traceback__)[-1]
            path = block.file.path if isinstance(block, TableBlock) else block.files[0].path
            what = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
            raise BlockError(
                f"{path} cannot be read ({what}); report it, and name another kind or move it."
            ) from None

    def _judged(self, block: TextBlock | TableBlock) -> JudgedRows:
        reader: Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = Reader(
                self._con,
                self._stamp.importer,
                self._columns,
                self._hash_key,
                constants=self._stamp.constants,
                tag_names=self._stamp.tag_names,
                time_zone=self._stamp.time_zone,
                turn=self._turn,
            )
            self._readers.append(reader)
        if isinstance(block, TableBlock):
            found = reader.read_table(block.rows)
            return judge(found, Layout("text"), [block.file], self._stamp, first_row=block.first_row)
        return judge(
            reader.read(Records.of(block.pieces), block.layout), block.layout, block.files, self._stamp
        )


def overlong(record: Overlong, file: FileMark, stamp: Stamp) -> JudgedRows:
    """Return a record that is too long to be held, as one row of the quarantine."""
    row = {
        "file_hash": file.file_hash,
        "source": stamp.source,
        "path": file.path,
        "line_number": record.number,
        "record_number": 0,
        "byte_offset": record.offset if record.offset >= 0 else None,
        "byte_length": record.length,
        "reason": "record_too_long",
        "detail": f"{record.length} bytes are more than a sixteenth of [landing] memory_mb",
        "quarantined_at": stamp.ingested_at,
    }
    tally = pl.DataFrame({"file_hash": [file.file_hash], "quarantined_count": [1]})
    return JudgedRows(
        table(stamp.importer.table).empty(),
        table("ops.quarantine").frame([row]),
        table("ops.file_hours").empty(),
        tally,
    )
