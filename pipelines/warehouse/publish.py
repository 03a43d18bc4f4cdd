"""Publish the lake as one plain DuckDB file: what changed is replaced in a copy, then the copy is renamed.

The file opens in a stock DuckDB with no extension. `raw` stays in the lake.
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
from pipelines.project import Project
from pipelines.quoting import sql_text
from pipelines.warehouse.commit import partition_value
from pipelines.warehouse.connect import SCHEMAS, connect_read_only

_PUBLISHED_SCHEMAS = tuple(schema for schema in SCHEMAS if schema != "raw")


@dataclass(frozen=True)
class Published:
    """What a publication did."""

    path: Path
    size_bytes: int
    replaced_partitions: int


def publish(project: Project) -> Published:
    """Bring the published file up to date with the lake; readers of the old file keep it until they close.

    Raises:
        DataError: the disk is full or the file cannot be written; the old file stays as it was.
    """
    target = project.published
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        if target.exists():
            shutil.copyfile(target, draft)
        with connect_read_only(project) as con:
            replaced = _write(con, draft)
        draft.replace(target)
    except (OSError, duckdb.IOException) as error:
        raise DataError(
            f"The warehouse could not be published to {target} ({str(error).splitlines()[0]}); "
            f"free some disk and run `nanodollar publish` again."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
        Path(f"{draft}.wal").unlink(missing_ok=True)
    return Published(target, target.stat().st_size, replaced)


def _write(con: duckdb.DuckDBPyConnection, draft: Path) -> int:
    con.execute(f"ATTACH {sql_text(draft)} AS published")
    con.execute("USE published")
    con.execute("BEGIN")
    for schema in _PUBLISHED_SCHEMAS:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    wanted = [table for table in tables().values() if table.schema in _PUBLISHED_SCHEMAS]
    have = {
        f"{schema}.{name}": columns
        for schema, name, columns in con.execute(
            "SELECT table_schema, table_name, list((column_name, is_nullable = 'NO') ORDER BY ordinal_position) "
            "FROM information_schema.columns WHERE table_catalog = 'published' GROUP BY ALL"
        ).fetchall()
    }
    replaced = 0
    for table in wanted:
        if table.select is not None:
            continue
        if have.get(table.dotted) != [(column.name, column.required) for column in table.columns]:
            con.execute(f"DROP TABLE IF EXISTS {table.dotted} CASCADE")
            con.execute(f"DELETE FROM ops.partitions WHERE table_name = '{table.dotted}'") if (
                "ops.partitions" in have and table.dotted != "ops.partitions"
            ) else None
            for statement in table.ddl():
                con.execute(statement)
    changed = _changed(con)
    for table in wanted:
        if table.select is None and table.schema != "ops" and table.dotted in changed:
            _replace(con, table, changed[table.dotted])
            replaced += len(changed[table.dotted])
    for table in wanted:
        if table.select is None and table.schema == "ops":
            con.execute(f"DELETE FROM {table.dotted}")
            con.execute(f"INSERT INTO {table.dotted} BY NAME SELECT * FROM nanodollar.{table.dotted}")
    for table in wanted:
        if table.select is not None:
            for statement in table.ddl():
                con.execute(statement)
    for statement in macros_sql():
        con.execute(statement)
    con.execute("COMMIT")
    con.execute("USE memory")
    con.execute("DETACH published")
    return replaced


def _changed(con: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Return the keys of partitions, in order, that the published file lacks or has otherwise, by table."""
    return dict(
        con.execute(
            "SELECT table_name, list(partition_key ORDER BY partition_key) FROM nanodollar.ops.partitions "
            "ANTI JOIN published.ops.partitions USING (table_name, partition_key, content_hash) GROUP BY 1"
        ).fetchall()
    )


def _replace(con: duckdb.DuckDBPyConnection, table: Table, changed: list[str]) -> None:
    where, values = "true", {}
    if table.partition is not None and changed != ["all"]:
        dates = [partition_value(key) for key in changed]
        where = f"{table.partition} BETWEEN $first AND $last AND list_contains($values, {table.partition})"
        values = {"first": dates[0], "last": dates[-1], "values": dates}
    con.execute(f"DELETE FROM {table.dotted} WHERE {where}", values)
    con.execute(
        f"INSERT INTO {table.dotted} BY NAME SELECT * FROM nanodollar.{table.dotted} WHERE {where}", values
    )
