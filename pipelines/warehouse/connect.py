"""Open the lake: DuckDB with DuckLake's catalog attached as `nanodollar`.

Only `pipelines/warehouse` opens it for writing. Sessions run in UTC.
"""

import contextlib
import hashlib
import os
import re
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path

import duckdb
import duckdb_extensions

from models.errors import ConfigurationError, DataError, NoWarehouseError
from models.marts import macros_sql
from models.schemas import tables
from models.schemas.base import Table, duckdb_type
from pipelines.masking import mask, masked_errors
from pipelines.object_store import SCHEME, secret_sql
from pipelines.project import Project
from pipelines.quoting import sql_text
from pipelines.warehouse.claim import COMMIT, Claim, claim, is_held, is_shared, turn_of_machines
from pipelines.warehouse.data_files import LakeFiles
from pipelines.warehouse.history import read_history
from pipelines.warehouse.pandas_later import import_arrow_without_pandas, import_pandas_later
from pipelines.warehouse.statistics import count_empty_tables, fit_threads
from pipelines.warehouse.turns import turn
from pipelines.warehouse.unreadable import why_unreadable

SCHEMAS = ("raw", "ref", "core", "mart", "ops")


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load a DuckDB extension from its wheel, else from DuckDB's extension server."""
    try:
        duckdb_extensions.import_extension(name, con=con)
    except (ImportError, duckdb.Error, OSError):
        try:
            con.install_extension(name)
            con.load_extension(name)
        except duckdb.Error as error:
            raise ConfigurationError(
                f"DuckDB's extension {name} can be had neither from its wheel nor from the network; "
                f"run `make test` or `make demo` to install requirements.lock."
            ) from error


def _attach(
    con: duckdb.DuckDBPyConnection, project: Project, *, read_only: bool, snapshot: int | None = None
) -> bool:
    """Attach the lake, make its schemas current, and return whether an earlier one is read as one of today."""
    catalog = project.catalog
    load_extension(con, "ducklake")
    if catalog.startswith("sqlite:"):
        load_extension(con, "sqlite_scanner")
        file = Path(catalog.removeprefix("sqlite:"))
        if not file.exists() or file.stat().st_size == 0:
            _refuse_lost_catalog(project, f"{file} is {'empty' if file.exists() else 'gone'}")
            if read_only:
                raise NoWarehouseError(f"There is no warehouse at {file} yet; run `nanodollar run` first.")
            file.unlink(missing_ok=True)
            file.parent.mkdir(parents=True, exist_ok=True)
            with sqlite3.connect(file) as fresh:
                # WAL lets analysts read while a run writes.
                fresh.execute("PRAGMA journal_mode=WAL")
            fresh.close()
    else:
        load_extension(con, "postgres_scanner")
    data_path = project.data_path
    if data_path.startswith(SCHEME):
        _set_store_secret(con, project)
    # DuckLake keeps small inserts and deletes in its catalog unless told otherwise; its open faults ducklake#1084,
    # #1329 and #1364 meet a small table whose rows are deleted and inserted in one transaction, as every commit does.
    options = [
        f"DATA_PATH {sql_text(data_path.rstrip('/') + '/')}",
        "OVERRIDE_DATA_PATH true, DATA_INLINING_ROW_LIMIT 0",
    ]
    options.append("READ_ONLY" if read_only else "CREATE_IF_NOT_EXISTS false")
    if snapshot is not None:
        options.append(f"SNAPSHOT_VERSION {snapshot}")
        read_history(con)
    attach = f"ATTACH {sql_text(f'ducklake:{catalog}')} AS nanodollar ({', '.join(options)})"
    try:
        try:
            con.execute(attach)
        except duckdb.InvalidInputException as error:
            if read_only or "creating a new DuckLake is explicitly disabled" not in str(error):
                raise
            _refuse_lost_catalog(project, "that [warehouse] catalog names is empty")
            con.execute(attach.replace("CREATE_IF_NOT_EXISTS false", "CREATE_IF_NOT_EXISTS true"))
    except duckdb.Error as error:
        # Without its cause, whose words may hold the password.
        raise DataError(mask(why_unreadable(str(error), project))) from None
    con.execute("USE nanodollar")
    _refuse_newer(con, project)
    is_earlier = snapshot is not None or (read_only and not is_current(con))
    if is_earlier:
        _add_what_came_later(con)
    return is_earlier


_EARLIER_LAKE = "SET search_path = '{}'".format(
    ",".join(f"{place}.{schema}" for place in ("came_later", "nanodollar") for schema in ("main", *SCHEMAS))
)
"""Searches what came later before the lake."""


def _add_what_came_later(con: duckdb.DuckDBPyConnection) -> None:
    """Let queries of today read a lake of an earlier version: what came later is NULL in it, or empty.

    Tables that lack columns of this version, and those that are missing, are views in a database of its own that is
    searched before the lake; the macros of this version stand there as well.
    """
    have: dict[str, set[str]] = dict(
        con.execute(
            "SELECT schema_name || '.' || table_name, list(column_name) FROM duckdb_columns() "
            "WHERE database_name = 'nanodollar' GROUP BY ALL"
        ).fetchall()
    )
    con.execute("ATTACH ':memory:' AS came_later")
    for schema in SCHEMAS:
        con.execute(f"CREATE SCHEMA came_later.{schema}")
    for table in tables().values():
        if {*table.column_names} <= {*have.get(table.dotted, ())}:
            continue
        columns = ", ".join(
            column.name
            if column.name in have.get(table.dotted, ())
            else f"NULL::{duckdb_type(column.dtype)} AS {column.name}"
            for column in table.columns
        )
        rows = f"FROM nanodollar.{table.dotted}" if table.dotted in have else "WHERE false"
        con.execute(f"CREATE VIEW came_later.{table.dotted} AS SELECT {columns} {rows}")
    con.execute(_EARLIER_LAKE)
    for statement in macros_sql():
        con.execute(statement)


def _refuse_newer(con: duckdb.DuckDBPyConnection, project: Project) -> None:
    """Raise where a later version of nanodollar has written the lake: what it keeps there this one would not know."""
    if is_current(con):
        return
    with contextlib.suppress(duckdb.CatalogException):  # 0.1.0 did not say who it was.
        ((made_by,),) = con.execute("SELECT made_by()").fetchall()
        own = version("nanodollar")
        if _release(made_by) > _release(own):
            raise DataError(
                f"The warehouse {project.catalog} was written by nanodollar {made_by}, and this is {own}; use "
                f"{made_by} or later. Nothing was changed."
            )


def _release(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, which can be compared."""
    return tuple(int(number) for number in re.findall(r"\d+", text.partition("+")[0]))


def _refuse_lost_catalog(project: Project, what: str) -> None:
    """Raise where the lake has files but no catalog: a new one would begin from nothing without a word."""
    if LakeFiles(project).listed():
        raise DataError(
            f"The catalog {what}, while the lake's files lie in {project.data_path}: closed months and corrections, "
            f"and what has landed, are lost with it. Put it back from a backup; or move {project.data_path} away, and "
            f"`nanodollar run` lands and computes all again, with no month closed."
        )


def _set_store_secret(con: duckdb.DuckDBPyConnection, project: Project) -> None:
    load_extension(con, "httpfs")
    if "AWS_ACCESS_KEY_ID" not in os.environ:
        load_extension(con, "aws")
    try:
        con.execute(secret_sql())
    except duckdb.Error as error:
        raise ConfigurationError(
            f"[warehouse] data_path in {project.folder / 'nanodollar.toml'} is {project.data_path}, but no keys for it "
            f"were found ({mask(str(error).splitlines()[0])}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from None


TEXTS_AS_POLARS = "SET produce_arrow_string_view = true"
"""Lets DuckDB hand texts over as Polars holds them, so that none is copied twice."""


def memory_connection() -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB session in UTC, with its progress bar off."""
    con = duckdb.connect()
    import_pandas_later(con)
    # DuckDB reads frames through Arrow, which warns where Polars begins a buffer at another multiple than Arrow does.
    os.environ.setdefault("ACERO_ALIGNMENT_HANDLING", "ignore")
    con.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    return con


@contextmanager
def connect_read_only(
    project: Project, *, snapshot: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a session on the live lake that cannot write; readers do not wait for a running writer.

    Args:
        project: whose lake.
        snapshot: the lake as it was then; None: as it is.
    """
    con = memory_connection()
    try:
        with _store_in_reach(project):
            _attach(con, project, read_only=True, snapshot=snapshot)
            yield con
    finally:
        con.close()


_DENIED = re.compile(r"permission denied[^\n]*|attempt to write a readonly database", re.IGNORECASE)


@contextmanager
def _store_in_reach(project: Project) -> Iterator[None]:
    try:
        with masked_errors(duckdb.Error):
            yield
    except duckdb.Error as error:
        denied = _DENIED.search(str(error))
        if denied is not None:
            raise DataError(
                f"The warehouse's catalog may be read here but not written ({denied[0]}); nothing was committed. Use a "
                f"role that may write, in [warehouse] catalog in {project.folder / 'nanodollar.toml'}."
            ) from None
        if not isinstance(error, duckdb.IOException):
            raise
        text = str(error).splitlines()[0]
        if not project.data_path.startswith(SCHEME) or "HTTP" not in text:
            raise
        raise DataError(
            f"The lake's files under {project.data_path} cannot be had ({text}); nothing was committed. Check "
            f"[warehouse] data_path in {project.folder / 'nanodollar.toml'}, AWS_ENDPOINT_URL and the AWS keys in the "
            f"environment, and run it again."
        ) from error


class Lake:
    """The lake as one process holds it: attached to read until it is attached to write; sessions are cheap cursors."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._is_reader_earlier = False
        self._writer: duckdb.DuckDBPyConnection | None = None
        self._claim: Claim | None = None
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a session that sees what is committed, by any process; nothing may be written in it.

        To attach the lake costs more than most queries, so one that is attached to write is read through as well.
        """
        with self._lock:
            if self._writer is None and self._reader is None:
                self._reader = self._open(read_only=True)
            base = self._writer or self._reader
        if base is None:
            raise TypeError("The lake is not attached.")
        with self._session(base) as con:
            yield con

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a session that may commit, with every table, view and macro in place."""
        with self._lock:
            self._hold_claim()
            if self._writer is None:
                # Two machines that find the catalog empty would both begin one.
                with self._turn() if is_shared(self._project) else contextlib.nullcontext():
                    self._writer = self._open(read_only=False)
        with self._session(self._writer) as con:
            yield con

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the turn to change the lake, against processes of this folder and, on a shared catalog, all machines.

        The claim on the catalog is made anew where its database has forgotten it, as after a restart.

        Raises:
            DataError: the catalog's database cannot be reached, or another version has claimed it meanwhile.
        """
        with self._lock:
            self._hold_claim()
        with self._turn():
            yield

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with turn(self._project), turn_of_machines(self._project, COMMIT, self._claim):
            yield

    def _hold_claim(self) -> None:
        if self._claim is not None and is_held(self._claim):
            return
        self._claim = claim(self._project, defined=definitions_hash())
        weakref.finalize(self, self._claim.close)
        if self._writer is not None and not is_current(self._writer):
            raise DataError(
                f"The warehouse {mask(self._project.catalog)} was brought up to another version while its "
                f"database was away; start nanodollar {version('nanodollar')} again. Nothing was committed."
            )

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        con = memory_connection()
        con.execute("SET threads = 1")  # until the lake's size is known
        is_earlier = _attach(con, self._project, read_only=read_only)
        if read_only:
            self._is_reader_earlier = is_earlier
        if not read_only:
            import_arrow_without_pandas()
            # A commit that meets another is carried out anew, so that it sees what the other has written.
            con.execute("SET ducklake_max_retry_count = 0")
        if not read_only and not is_current(con):
            with contextlib.nullcontext() if is_shared(self._project) else turn(self._project):
                # Another process may have brought it up to date in the meantime.
                if not is_current(con):
                    _ensure_schema(con)
        fit_threads(con)
        return con

    @contextmanager
    def _session(self, base: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
        with _store_in_reach(self._project), base.cursor() as con:
            is_earlier = base is self._reader and self._is_reader_earlier
            con.execute(f"SET TimeZone = 'UTC'; {_EARLIER_LAKE if is_earlier else 'USE nanodollar'}")
            yield con

    def close(self) -> None:
        for con in (self._reader, self._writer):
            if con is not None:
                con.close()
        if self._claim is not None:
            self._claim.close()
        self._reader = self._writer = self._claim = None


@cache
def _definitions() -> tuple[list[str], str]:
    """Return the statements that define tables, views and macros, and a hash of them all."""
    ordered = sorted(tables().values(), key=_views_last)
    statements = [*(statement for table in ordered for statement in table.ddl()), *macros_sql()]
    return statements, hashlib.sha256("\n".join(statements).encode()).hexdigest()[:16]


def definitions_hash() -> str:
    """Return the hash of what this version defines: tables, views and macros."""
    return _definitions()[1]


def is_current(con: duckdb.DuckDBPyConnection) -> bool:
    """Return whether the lake was defined by this version: the macro `schema_version()` holds its hash."""
    try:
        return con.execute("SELECT schema_version()").fetchone() == (definitions_hash(),)
    except duckdb.CatalogException:
        return False


def _ensure_schema(con: duckdb.DuckDBPyConnection) -> None:
    """Create what is missing, add columns that a newer version brought, and define views and macros anew.

    A column that is no longer required may be NULL from now on; nothing is dropped. A mart that has new columns is out
    of date.
    """
    found: dict[str, dict[str, bool]] = {}
    for schema, name, column, is_required in con.execute(
        "SELECT table_schema, table_name, column_name, is_nullable = 'NO' FROM information_schema.columns "
        "WHERE table_catalog = current_database()"
    ).fetchall():
        found.setdefault(f"{schema}.{name}", {})[column] = is_required
    widened: set[str] = set()
    con.execute("BEGIN")
    for schema in SCHEMAS:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for table in tables().values():
        have = found.get(table.dotted, {})
        if table.select is None and have:
            for column in table.columns:
                if column.name not in have:
                    con.execute(f"ALTER TABLE {table.dotted} ADD COLUMN {table.column_ddl(column)}")
                    widened |= {table.dotted} if table.schema == "mart" else set()
            known = {column.name: column.required for column in table.columns}
            for name, is_required in have.items():
                if is_required and not known.get(name, False):
                    con.execute(f"ALTER TABLE {table.dotted} ALTER COLUMN {name} DROP NOT NULL")
    statements, defined = _definitions()
    con.execute(";\n".join(statements))
    con.execute(f"CREATE OR REPLACE MACRO schema_version() AS '{defined}'")
    con.execute(f"CREATE OR REPLACE MACRO made_by() AS {sql_text(version('nanodollar'))}")
    if widened:
        con.execute(
            "UPDATE ops.partitions SET read_snapshot = -1 WHERE list_contains(?, table_name)",
            [sorted(widened)],
        )
    con.execute("COMMIT")
    count_empty_tables(con)


def _views_last(table: Table) -> tuple[bool, str]:
    return (table.select is not None, table.dotted)
