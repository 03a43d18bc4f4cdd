"""Restore a backup into a folder of its own, and hold what was restored against what was backed up."""

import gzip
import re
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.errors import ConfigurationError, DataError
from pipelines.object_store import SCHEME, object_store
from pipelines.project import Project, load_project
from pipelines.quoting import sql_text
from pipelines.settings import SETTINGS_FILE
from pipelines.warehouse.backup import copy_tables, table_figures
from pipelines.warehouse.backup_store import BackupStore, Manifest
from pipelines.warehouse.connect import connect_read_only, load_extension, memory_connection
from pipelines.warehouse.damage import damaged_files
from pipelines.warehouse.data_files import LakeFiles
from pipelines.warehouse.disk import is_full_disk
from pipelines.warehouse.marker import keep_mark

_LOCAL = {"catalog": "sqlite:warehouse/catalog.sqlite", "data_path": "warehouse/data"}
_WAREHOUSE = re.compile(r"^[ \t]*\[warehouse\][^\n]*\n(?P<body>(?:(?![ \t]*\[)[^\n]*\n?)*)", re.MULTILINE)


@dataclass(frozen=True)
class Restored:
    """What was restored."""

    project: Project
    manifest: Manifest
    row_count: int


def restore(
    target: str,
    folder: Path,
    *,
    at: datetime | None = None,
    catalog: str | None = None,
    data_path: str | None = None,
) -> Restored:
    """Restore the newest backup, or the newest of an instant, into a folder, and compare it with what was backed up.

    Args:
        target: where the backups lie.
        folder: the new project; it is empty or not there yet.
        at: no backup that was made later counts.
        catalog: the TOML value of the new [warehouse] catalog; by default a file in the new folder.
        data_path: the new [warehouse] data_path; by default a folder in the new folder.

    Raises:
        DataError: there is no such backup, it is damaged, or what was restored differs; the folder is removed again.
        ConfigurationError: the folder, the catalog or the data path is in use.
    """
    store = BackupStore(target)
    # An instant is written in whole seconds, as `backup --list` shows it.
    made = [one for one in store.manifests() if at is None or one.replace(microsecond=0) <= at]
    if not made:
        raise DataError(
            f"There is no backup{f' of {at:%Y-%m-%d %H:%M} UTC or before' if at else ''} at {target}; make one with "
            f"`nanodollar backup {target}`."
        )
    manifest = store.manifest(made[-1])
    if folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty; name a folder that is, or that is not there yet.")
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _restored(store, manifest, folder, catalog=catalog, data_path=data_path)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if was_there:
            folder.mkdir(exist_ok=True)
        if isinstance(error, Exception) and is_full_disk(error):
            held = [*manifest.data.values(), *manifest.project.values(), manifest.catalog]
            raise DataError(
                f"The disk of {folder} is full; nothing was restored. The backup holds "
                f"{sum(one.size_bytes for one in held) / 1e6:,.0f} MB: name a folder with more room, or free some."
            ) from error
        raise


def _restored(
    store: BackupStore, manifest: Manifest, folder: Path, *, catalog: str | None, data_path: str | None
) -> Restored:
    for path, kept in manifest.project.items():
        place = folder / path
        if not place.resolve().is_relative_to(folder.resolve()):
            raise DataError(
                f"The backup names {path!r}, which lies outside of the project; nothing was restored."
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch(mode=0o600)
        place.write_bytes(store.get(kept, what=path))
    settings = folder / SETTINGS_FILE
    values = {
        "catalog": catalog or f'"{_LOCAL["catalog"]}"',
        "data_path": f'"{data_path or _LOCAL["data_path"]}"',
    }
    settings.write_text(_with_warehouse(settings.read_text(encoding="utf-8"), values), encoding="utf-8")
    project = load_project(folder)
    if LakeFiles(project).listed():
        raise ConfigurationError(f"{project.data_path} is not empty; name another with --data-path.")
    for path, kept in manifest.data.items():
        _put(project, path, store.get(kept, what=path))
    with tempfile.TemporaryDirectory() as own:
        copy = Path(own) / "catalog.sqlite"
        copy.write_bytes(gzip.decompress(store.get(manifest.catalog, what="the catalog")))
        _place_catalog(project, copy)
    return Restored(project, manifest, _compare(project, manifest))


def _with_warehouse(text: str, values: dict[str, str]) -> str:
    """Return settings whose [warehouse] has other values."""
    lines = "".join(f"{name} = {value}\n" for name, value in values.items())
    found = _WAREHOUSE.search(text)
    if found is None:
        return f"[warehouse]\n{lines}\n{text}"
    rest = re.sub(rf"^[ \t]*(?:{'|'.join(values)})[ \t]*=[^\n]*\n?", "", found["body"], flags=re.MULTILINE)
    return text[: found.start("body")] + lines + rest + text[found.end("body") :]


def _put(project: Project, path: str, content: bytes) -> None:
    place = f"{project.data_path.rstrip('/')}/{path}"
    if project.data_path.startswith(SCHEME):
        with object_store().open_output_stream(place.removeprefix(SCHEME)) as stream:
            stream.write(content)
        return
    file = Path(place)
    if not file.resolve().is_relative_to(Path(project.data_path).resolve()):
        raise DataError(f"The backup names {path!r}, which lies outside of the lake; nothing was restored.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(content)


def _place_catalog(project: Project, copy: Path) -> None:
    if project.catalog.startswith("sqlite:"):
        file = Path(project.catalog.removeprefix("sqlite:"))
        if file.exists():
            raise ConfigurationError(f"{file} is there already; name another catalog with --catalog.")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        shutil.copyfile(copy, file)
        fresh = sqlite3.connect(file)
        # As a new one: analysts read while a run writes.
        fresh.execute("PRAGMA journal_mode=WAL")
        fresh.close()
        return
    with memory_connection() as con:
        for name in ("ducklake", "sqlite_scanner", "postgres_scanner"):
            load_extension(con, name)
        con.execute(f"ATTACH {sql_text(project.catalog.removeprefix('postgres:'))} AS there (TYPE postgres)")
        if con.execute(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = 'there' AND table_name = 'ducklake_metadata'"
        ).fetchone():
            raise ConfigurationError(
                "The database of the catalog holds a lake already; name another with --catalog."
            )
        con.execute("DETACH there")
        data = sql_text(f"{project.data_path.rstrip('/')}/")
        con.execute(f"ATTACH {sql_text(f'ducklake:{project.catalog}')} AS fresh (DATA_PATH {data})")
        con.execute("DETACH fresh")
        con.execute(f"ATTACH {sql_text(project.catalog.removeprefix('postgres:'))} AS there (TYPE postgres)")
        con.execute(f"ATTACH {sql_text(copy)} AS here (TYPE sqlite, READ_ONLY)")
        copy_tables(con)


def _compare(project: Project, manifest: Manifest) -> int:
    """Hold the restored lake against what was backed up: rows and hashes of each table, and what each file holds."""
    with connect_read_only(project) as con:
        figures = table_figures(con)
        differing = sorted(
            name
            for name in manifest.tables.keys() | figures.keys()
            if manifest.tables.get(name) != figures.get(name)
        )
        damaged = damaged_files(con, project, is_thorough=True)
        keep_mark(con, project)
    if differing or damaged:
        what = damaged[0].sentence if damaged else f"{differing[0]} has other rows than were backed up"
        raise DataError(
            f"What was restored differs: {what}; nothing was kept. Restore an earlier backup with --at."
        )
    return sum(rows for rows, _ in figures.values())
