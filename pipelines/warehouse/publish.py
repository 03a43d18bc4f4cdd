"""Publish the lake as one plain DuckDB file: what changed is replaced in a copy, then the copy is renamed.

The file opens in a stock DuckDB with no extension. `raw` stays in the lake. A file that holds the lake as it is stays
as it is; one that is damaged is written anew.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from models.errors import DataError
from models.marts import macros_sql
from models.schemas import tables
from models.schemas.base import Table
from pipelines.durable import durable
from pipelines.project import Project
from pipelines.quoting import sql_text
from pipelines.warehouse.commit import partition_value
from pipelines.warehouse.connect import SCHEMAS, Lake, definitions_hash, is_current
from pipelines.warehouse.data_files import is_alive
from pipelines.warehouse.disk import full_disk_sentence, is_full_disk

_PUBLISHED_SCHEMAS = tuple(schema for schema in SCHEMAS if schema != "raw")
_STORAGE_VERSION = "v1.3.0"
"""The oldest DuckDB that opens the file: the first that compresses texts in one go, which takes a third less time."""

_APPENDED = frozenset({"core.adjustments"})
"""Tables beside those of ops whose rows no partition tells: they are few, and copied whole."""


@dataclass(frozen=True)
class Publication:
    """What a publication did."""

    path: Path
    size_bytes: int
    replaced_partitions: int


def publish(project: Project, lake: Lake | None = None) -> Publication:
    """Bring the published file up to date with the lake; readers of the old file keep it until they close.

    Args:
        project: the project.
        lake: its lake where it is attached already.

    Raises:
        DataError: the disk is full or the file cannot be written; the old file stays as it was.
    """
    target = project.published
    lake = lake or Lake(project)
    with lake.reading() as con:
        is_earlier = not is_current(con)
    if is_earlier:
        # To attach it to write brings the lake of an earlier version up to date, as any run does.
        with lake.writing():
            pass
    held = _held(target) if target.exists() else None
    with lake.reading() as con:
        if held is not None and held == _snapshot(con):
            return Publication(target, target.stat().st_size, 0)
    target.parent.mkdir(parents=True, exist_ok=True)
    drop_drafts(target)
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        is_defined = held is not None and held.endswith(definitions_hash())
        replaced = _drafted(lake, draft, target if target.exists() else None, is_defined=is_defined)
        durable("published: put in place")
        draft.replace(target)
    except (OSError, duckdb.IOException) as error:
        if is_full_disk(error, target.parent):
            raise DataError(
                f"The warehouse could not be published to {target}. {full_disk_sentence(target.parent)} "
                "Then run `nanodollar publish` again."
            ) from error
        raise DataError(
            f"The warehouse could not be published to {target} ({str(error).splitlines()[0]}); mend that and run "
            f"`nanodollar publish` again."
        ) from error
    finally:
        _remove(draft)
    return Publication(target, target.stat().st_size, replaced)


def drop_drafts(target: Path) -> None:
    """Remove drafts that a killed publication left; those of a process that lives are its own."""
    for draft in target.parent.glob(f".{target.name}.*.draft"):
        number = draft.name.split(".")[-2]
        if not (number.isdigit() and is_alive(int(number))):
            _remove(draft)


def _remove(draft: Path) -> None:
    draft.unlink(missing_ok=True)
    Path(f"{draft}.wal").unlink(missing_ok=True)


def _snapshot(con: duckdb.DuckDBPyConnection, lake: str = "") -> str:
    """Return what tells the state of the lake, and of the code that publishes it, from every other."""
    found = con.execute(
        "SELECT concat_ws(' ', (FROM nanodollar.current_snapshot()), "
        f"(SELECT max(loaded_at) FROM {lake}ops.partitions))"
    ).fetchall()
    return f"{found[0][0]} {definitions_hash()}"


def _held(target: Path) -> str | None:
    """Return the state of the lake that a published file holds, None where it cannot be read."""
    try:
        with duckdb.connect(str(target), read_only=True) as con:
            found = con.execute("SELECT lake_snapshot()").fetchone()
    except duckdb.Error:
        return None
    return None if found is None else str(found[0])


def _drafted(lake: Lake, draft: Path, before: Path | None, *, is_defined: bool) -> int:
    """Write a draft that begins with the file before; return how many partitions were replaced.

    Args:
        lake: the lake.
        draft: where it is written.
        before: the published file, if there is one.
        is_defined: whether its views and macros are those of this version.
    """
    try:
        if before is not None:
            durable("published: copy")
            shutil.copyfile(before, draft)
        with lake.reading() as con:
            return _write(con, draft, is_defined=is_defined)
    except BaseException as error:
        # The draft stays attached, and a damaged one takes all sessions along.
        lake.close()
        if before is None or not isinstance(error, duckdb.Error):
            raise
        if is_full_disk(error) or isinstance(error, duckdb.HTTPException):
            raise
        _remove(draft)
        return _drafted(lake, draft, None, is_defined=False)


def _write(con: duckdb.DuckDBPyConnection, draft: Path, *, is_defined: bool) -> int:
    con.execute(f"ATTACH {sql_text(draft)} AS published (STORAGE_VERSION '{_STORAGE_VERSION}')")
    con.execute("USE published")
    # In order, DuckDB gathers what the lake's many files hold, and compresses it when all is there, some of it twice;
    # else each thread compresses what it reads, which lies in order of time as in its file.
    con.execute("SET preserve_insertion_order = false")
    con.execute("BEGIN")
    for schema in _PUBLISHED_SCHEMAS:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    wanted = [table for table in tables().values() if table.schema in _PUBLISHED_SCHEMAS]
    stored = [table for table in wanted if table.select is None]
    _define(con, stored)
    changed = _changed(con)
    replaced = 0
    for table in stored:
        if table.schema == "ops" or table.dotted in _APPENDED:
            con.execute(f"DELETE FROM {table.dotted}")
            con.execute(_insert(table))
        elif table.dotted in changed:
            keys, has_rows = changed[table.dotted]
            if has_rows:
                _replace(con, table, keys)
            replaced += len(keys)
    _compare_counts(con, [table for table in stored if table.dotted in changed and table.schema != "ops"])
    if not is_defined:
        views = [table for table in wanted if table.select is not None]
        con.execute(
            ";\n".join(statement for view in views for statement in (*view.ddl(), *view.column_comments()))
        )
        con.execute(";\n".join(macros_sql()))
    con.execute(f"CREATE OR REPLACE MACRO lake_snapshot() AS {sql_text(_snapshot(con, 'nanodollar.'))}")
    durable("published: commit")
    con.execute("COMMIT")
    con.execute("RESET preserve_insertion_order")
    con.execute("USE memory")
    con.execute("DETACH published")
    return replaced


def _define(con: duckdb.DuckDBPyConnection, stored: list[Table]) -> None:
    """Create the tables, those anew whose columns are not those of this version."""
    have = {
        f"{schema}.{name}": columns
        for schema, name, columns in con.execute(
            "SELECT table_schema, table_name, list((column_name, is_nullable = 'NO') ORDER BY ordinal_position) "
            "FROM information_schema.columns WHERE table_catalog = 'published' GROUP BY ALL"
        ).fetchall()
    }
    for table in stored:
        if have.get(table.dotted) != [(column.name, column.required) for column in table.columns]:
            con.execute(f"DROP TABLE IF EXISTS {table.dotted} CASCADE")
            if "ops.partitions" in have and table.dotted != "ops.partitions":
                con.execute(f"DELETE FROM ops.partitions WHERE table_name = '{table.dotted}'")
            con.execute(";\n".join(table.ddl()))


def _changed(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[list[str], bool]]:
    """Return the keys of partitions, in order, that the published file lacks or has otherwise, by table.

    With them, whether there are rows of them on either side.
    """
    rows = con.execute(
        "SELECT table_name, list(partition_key ORDER BY partition_key), bool_or(n.row_count > 0 OR p.row_count > 0) "
        "FROM nanodollar.ops.partitions n LEFT JOIN published.ops.partitions p USING (table_name, partition_key) "
        "WHERE n.content_hash IS DISTINCT FROM p.content_hash GROUP BY 1"
    ).fetchall()
    return {dotted: (keys, bool(has_rows)) for dotted, keys, has_rows in rows}


def _insert(table: Table) -> str:
    """Return the statement that copies a table; columns are named, for an older lake may have more."""
    columns = ", ".join(table.column_names)
    return f"INSERT INTO {table.dotted} ({columns}) SELECT {columns} FROM nanodollar.{table.dotted}"


def _replace(con: duckdb.DuckDBPyConnection, table: Table, changed: list[str]) -> None:
    where, values = "true", {}
    if table.partition is not None and changed != ["all"]:
        dates = [partition_value(key) for key in changed]
        where = f"{table.partition} BETWEEN $first AND $last AND list_contains($values, {table.partition})"
        values = {"first": dates[0], "last": dates[-1], "values": dates}
    con.execute(f"DELETE FROM {table.dotted} WHERE {where}", values)
    con.execute(f"{_insert(table)} WHERE {where}", values)


def _compare_counts(con: duckdb.DuckDBPyConnection, copied: list[Table]) -> None:
    """Hold the rows that were copied, and those that the catalog counts, against those that were committed.

    Raises:
        DataError: they differ in a table.
    """
    if not copied:
        return
    counts = " UNION ALL ".join(
        f"SELECT {sql_text(table.dotted)} AS name, (SELECT count(*) FROM {table.dotted}) AS copied, "
        f"(SELECT count(*) FROM nanodollar.{table.dotted}) AS counted"
        for table in copied
    )
    rows = con.execute(
        f"SELECT name, counted, copied, committed FROM ({counts}) JOIN (SELECT table_name AS name, "
        "sum(row_count)::BIGINT AS committed FROM nanodollar.ops.partitions GROUP BY ALL) USING (name) "
        "WHERE counted <> committed OR copied <> committed ORDER BY name"
    ).fetchall()
    for name, counted, found, committed in rows:
        raise DataError(
            f"The lake counts {counted:,} rows of {name} and holds {found:,}, where {committed:,} were committed; "
            f"`nanodollar run` builds the partitions that differ anew. The published file stays as it was."
        )
