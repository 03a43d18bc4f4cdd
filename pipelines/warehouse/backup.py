"""Back up a project: its catalog as of one snapshot, the files that it names, and what people wrote.

Files of the lake never change, so that a backup copies only those that none before has. The catalog is copied in one
transaction; a run that goes on meanwhile only adds files that this copy does not name.
"""

import gzip
import sqlite3
import tempfile
from datetime import datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import duckdb

from models.errors import DataError
from pipelines.project import Project
from pipelines.quoting import sql_text
from pipelines.warehouse.backup_store import BackedUpFile, BackupStore, Manifest
from pipelines.warehouse.connect import connect_read_only, load_extension, memory_connection
from pipelines.warehouse.data_files import LakeFiles
from pipelines.warehouse.unreadable import why_unreadable

_PLACES = """
SELECT s.path || t.path || f.path, f.file_size_bytes,
       f.path_is_relative AND t.path_is_relative AND s.path_is_relative
FROM (SELECT table_id, path, path_is_relative, file_size_bytes FROM ducklake_data_file
      UNION SELECT table_id, path, path_is_relative, file_size_bytes FROM ducklake_delete_file) f
JOIN (SELECT table_id, schema_id, path, path_is_relative FROM ducklake_table GROUP BY table_id) t USING (table_id)
JOIN (SELECT schema_id, path, path_is_relative FROM ducklake_schema GROUP BY schema_id) s USING (schema_id)
ORDER BY 1
"""
_MARKS = ("nanodollar.toml", ".hash_key")
_LARGEST = 16_000_000
"""Files of the project's folder that are larger are no settings or sheets."""


def backup(project: Project, target: str, *, now: datetime, keep: int | None = None) -> tuple[Manifest, int]:
    """Back up a project, and return what the backup holds and how many files were new.

    Args:
        project: the project; a run of it may be at work.
        target: a folder, or `s3://bucket/prefix`.
        now: the time.
        keep: how many backups stay; older ones go. None: all.

    Raises:
        DataError: the catalog cannot be read, a file that it names is gone, or the target cannot be written.
    """
    store = BackupStore(target)
    newest = next(store.readable(), None)
    before = newest.data if newest else {}
    there = store.objects()
    count = len(there)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "catalog.sqlite"
        copy_catalog(project, copy)
        files, snapshot = _read_catalog(copy)
        catalog = store.put(gzip.compress(copy.read_bytes(), 6, mtime=0), there)
    lake = LakeFiles(project)
    root = project.data_path.rstrip("/")
    data: dict[str, BackedUpFile] = {}
    for path, size in files:
        known = before.get(path)
        if known is not None and known.size_bytes == size == there.get(known.sha256):
            data[path] = known
            continue
        try:
            content = lake.content(f"{root}/{path}")
        except FileNotFoundError:
            content = b""
        if len(content) != size:
            raise DataError(
                f"{root}/{path} is gone or cut, so that nothing was backed up; `nanodollar doctor` says what to do."
            )
        data[path] = store.put(content, there)
    try:
        with connect_read_only(project, snapshot=snapshot) as con:
            tables = table_figures(con)
    except duckdb.Error as error:
        raise DataError(
            f"The lake does not read ({str(error).splitlines()[0]}), so that nothing was backed up; `nanodollar "
            "doctor` says what to do."
        ) from None
    manifest = Manifest(
        made_at=now,
        version=version("nanodollar"),
        snapshot=snapshot,
        catalog=catalog,
        data=data,
        project={
            path: store.put(content, there) for path, content in _written_by_people(project, target).items()
        },
        tables=tables,
    )
    store.put_manifest(manifest)
    if keep is not None:
        _forget_old(store, keep)
    return manifest, len(there) - count


def copy_catalog(project: Project, target: Path) -> None:
    """Copy a catalog, as of one snapshot of it, into an SQLite file.

    Raises:
        DataError: there is no catalog yet.
    """
    catalog = project.catalog
    if catalog.startswith("sqlite:"):
        file = Path(catalog.removeprefix("sqlite:"))
        if not file.exists():
            raise DataError(f"There is no warehouse at {file} yet; run `nanodollar run` first.")
        source, copy = (
            sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True),
            sqlite3.connect(target),
        )
        try:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
            copy.execute("SELECT count(*) FROM ducklake_snapshot")
        except sqlite3.DatabaseError as error:
            raise DataError(why_unreadable(str(error), project)) from None
        finally:
            source.close()
            copy.close()
        return
    with memory_connection() as con:
        for name in ("ducklake", "sqlite_scanner", "postgres_scanner"):
            load_extension(con, name)
        con.execute(
            f"ATTACH {sql_text(f'ducklake:sqlite:{target}')} AS copy (DATA_PATH {sql_text(f'{target}.d/')})"
        )
        con.execute("DETACH copy")
        con.execute(f"ATTACH {sql_text(target)} AS there (TYPE sqlite)")
        con.execute(
            f"ATTACH {sql_text(catalog.removeprefix('postgres:'))} AS here (TYPE postgres, READ_ONLY)"
        )
        copy_tables(con)


def copy_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Copy the tables of the catalog that is attached as `here` to the one attached as `there`, in one transaction."""
    con.execute("BEGIN")
    names: dict[str, set[str]] = {"here": set(), "there": set()}
    for place, name in con.execute(
        "SELECT database_name, table_name FROM duckdb_tables() WHERE database_name IN ('here', 'there') "
        "AND table_name LIKE 'ducklake\\_%' ESCAPE '\\'"
    ).fetchall():
        names[place].add(name)
    for name in sorted(names["here"]):
        if name in names["there"]:
            con.execute(f"DELETE FROM there.{name}")
            con.execute(f"INSERT INTO there.{name} BY NAME FROM here.{name}")
        else:  # DuckLake makes one where it keeps rows in the catalog.
            con.execute(f"CREATE TABLE there.{name} AS FROM here.{name}")
    con.execute("COMMIT")


def _read_catalog(copy: Path) -> tuple[list[tuple[str, int]], int]:
    """Return the files that a catalog names, by path and size, and its newest snapshot."""
    con = sqlite3.connect(copy)
    try:
        places = con.execute(_PLACES).fetchall()
        ((snapshot,),) = con.execute("SELECT max(snapshot_id) FROM ducklake_snapshot").fetchall()
    finally:
        con.close()
    for path, _, is_relative in places:
        if not is_relative:
            raise DataError(
                f"{path} lies outside the lake's data path, which a backup cannot restore elsewhere."
            )
    return [(path, size) for path, size, _ in places], snapshot


def table_figures(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, str]]:
    """Return rows of each table of a lake, and a digest of the content hashes of its partitions."""
    names = con.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'nanodollar' ORDER BY 1"
    ).fetchall()
    counts = " UNION ALL ".join(
        f"SELECT {sql_text(name)} AS name, count(*) AS rows FROM {name}" for (name,) in names
    )
    rows = con.execute(
        f"SELECT name, rows, coalesce(digest, '') FROM ({counts}) LEFT JOIN (SELECT table_name AS name, "
        "md5(string_agg(partition_key || content_hash, ' ' ORDER BY partition_key)) AS digest "
        "FROM ops.partitions GROUP BY ALL) USING (name) ORDER BY 1"
    ).fetchall()
    return {name: (count, digest) for name, count, digest in rows}


def _written_by_people(project: Project, target: str) -> dict[str, bytes]:
    """Return settings, sheets, policies and closed packs by their path; logs and what a run makes anew are left out."""
    left_out = {project.dagster_home, project.published.parent, project.folder / "landing", project.reports}
    left_out.add(Path(target).resolve())  # backups may lie in the project, though not in each other
    if "://" not in project.data_path:
        left_out.add(Path(project.data_path))
    found: dict[str, bytes] = {}
    for place in sorted([project.folder, project.reports / "close"]):
        for file in sorted(place.rglob("*")) if place.is_dir() else ():
            name = file.relative_to(project.folder)
            is_made = any(file.is_relative_to(folder) for folder in left_out) and place == project.folder
            is_hidden = any(part.startswith(".") for part in name.parts) and name.name not in _MARKS
            if is_made or is_hidden or file.is_symlink() or not file.is_file():
                continue
            if file.stat().st_size <= _LARGEST:
                found[str(name)] = file.read_bytes()
    return found


def _forget_old(store: BackupStore, keep: int) -> None:
    """Let the newest backups stay that can be read; older ones go, and the files that none needs."""
    kept = list(islice(store.readable(), keep))
    old = [made_at for made_at in store.manifests() if made_at < kept[-1].made_at]
    needed = {
        one.sha256
        for manifest in kept
        for one in [*manifest.data.values(), *manifest.project.values(), manifest.catalog]
    }
    for made_at in old:
        store.forget(made_at)
    for sha256 in store.objects().keys() - needed if old else ():
        store.remove(sha256)
