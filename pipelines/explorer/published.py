"""The published file as the explorer holds it: read-only, locked, and opened again when a run replaces it."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from models.errors import DataError
from pipelines.quoting import sql_text
from pipelines.reports.trust import Trust
from pipelines.warehouse.connect import definitions_hash, memory_connection
from pipelines.warehouse.locked import lock

_KEPT_ANSWERS = 400
_KEPT_ROWS = 5_000
_DAYS = "SELECT min(accrued_on), max(accrued_on) FROM mart.spend_daily"


@dataclass
class OpenedVersion:
    """One version of the file: its session, the days that it holds, and the answers that it gave already."""

    path: Path
    con: duckdb.DuckDBPyConnection
    first_on: date | None
    last_on: date | None
    answers: dict[str, pl.DataFrame] = field(default_factory=dict)
    verdicts: dict[tuple[date, date], Trust] = field(default_factory=dict)

    @contextmanager
    def session(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a session of one page."""
        with self.con.cursor() as cursor:
            cursor.execute("USE nanodollar")
            yield cursor

    def answer(self, sql: str) -> pl.DataFrame:
        """Return what a query of ours answers; the file does not change, so a small answer is kept."""
        found = self.answers.get(sql)
        if found is None:
            with self.session() as con:
                found = con.execute(sql).pl()
            if found.height <= _KEPT_ROWS:
                while len(self.answers) >= _KEPT_ANSWERS:
                    self.answers.pop(next(iter(self.answers)), None)
                self.answers[sql] = found
        return found


class PublishedFile:
    """The published file of a project; readers of an older version keep it until they are done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._opened: OpenedVersion | None = None
        self._stamp: tuple[int, int, int] | None = None

    def opened(self) -> OpenedVersion:
        """Return the file as it is now.

        Raises:
            DataError: there is none, it cannot be read, or another version of nanodollar wrote it.
        """
        with self._lock:
            try:
                found = self.path.stat()
            except OSError as error:
                raise DataError(
                    f"There is no published warehouse at {self.path}; run `nanodollar run`, or `nanodollar publish`."
                ) from error
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if self._opened is None or stamp != self._stamp:
                self._opened, self._stamp = open_published(self.path), stamp
            return self._opened


def attach(con: duckdb.DuckDBPyConnection, path: Path, temporary: str, *, keeps_types: bool = False) -> None:
    """Attach a published file as `nanodollar`, and let the session touch nothing else from now on."""
    con.execute(f"ATTACH {sql_text(path)} AS nanodollar (READ_ONLY)")
    con.execute("SET GLOBAL TimeZone = 'UTC'; USE nanodollar")
    lock(con, lake_files=temporary, temporary=temporary, keeps_types=keeps_types)


def open_published(path: Path) -> OpenedVersion:
    """Open a published file.

    Raises:
        DataError: it cannot be read, or another version of nanodollar wrote it.
    """
    con = memory_connection()
    try:
        attach(con, path, tempfile.gettempdir())
        version = con.execute("SELECT lake_snapshot()").fetchall()[0][0].rpartition(" ")[2]
        ((first, last),) = con.execute(_DAYS).fetchall() if version == definitions_hash() else [(None, None)]
    except duckdb.Error as error:
        raise DataError(
            f"{path} cannot be read as a published warehouse ({str(error).splitlines()[0]}); run `nanodollar publish`."
        ) from error
    if version != definitions_hash():
        raise DataError(
            f"{path} was published by another version of nanodollar; run `nanodollar run`, which publishes it anew."
        )
    return OpenedVersion(path, con, first, last)
