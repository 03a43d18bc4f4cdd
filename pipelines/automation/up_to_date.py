"""Whether a run has anything to do, told from files and the catalog before anything heavy is imported.

A run that ended well leaves a small file behind: what it read (settings, sheets, code, the files of the sources), what
it left (the lake's snapshot, its data files, the published file, the reports). While nothing of that has moved and no
hour or day has come due, a run would change nothing. Without the file, or with a doubt, the run is done in full.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from models.errors import NanodollarError
from models.periods import floor_hour
from pipelines.durable import durable
from pipelines.object_store import SCHEME
from pipelines.project import Project
from pipelines.replacing import replace_file
from pipelines.sources.stored import StoredFile
from pipelines.steps.staleness import stale_counted_hours, stale_days, stale_hours
from pipelines.warehouse.connect import is_current
from pipelines.warehouse.data_files import LakeFiles
from pipelines.warehouse.resource import Warehouse
from pipelines.written_inputs import file_stats, hash_of_code_and_settings

_FILE = ".nanodollar.state.json"
_SETTLED = timedelta(seconds=2)
"""A file that changed so shortly before it was looked at may change again within the same time stamp."""

SourceFiles = Mapping[str, list[StoredFile]]
"""The files of each source that has a path, by the source's name."""


@dataclass(frozen=True)
class LastRun:
    """What a run that ended well read and left."""

    inputs: str
    looked_at: str
    lake: list[object]
    outputs: str
    hour: str


def up_to_date(warehouse: Warehouse, files: SourceFiles, *, now: datetime) -> bool:
    """Return whether a run would change nothing.

    Args:
        warehouse: the project's lake; it is only read.
        files: what the sources have.
        now: hours and days that have not ended by then are not due.
    """
    project = warehouse.project
    state = _read(project)
    if state is None or any(source.url is not None for source in project.sources):
        return False
    looked_at = datetime.fromisoformat(state.looked_at)
    if state.inputs != _inputs(project, files, looked_at):
        return False
    try:
        if state.outputs != _outputs(project):
            return False
        with warehouse.reading() as con:
            return (
                is_current(con)
                and state.lake == _lake(con)
                and (state.hour == floor_hour(now).isoformat() or not _is_due(con, project, now=now))
            )
    except (NanodollarError, duckdb.Error):
        return False  # The run says what is wrong.


class WatchedInputs:
    """What a run reads, noted before it begins, to be kept when it has ended well."""

    def __init__(self, project: Project, files: SourceFiles, *, now: datetime) -> None:
        self._project = project
        self._looked_at = now
        self._inputs = _inputs(project, files, now)
        before = _read(project)
        self.judged_until = datetime.fromisoformat(before.looked_at) if before else None
        """What was written before has been judged by checks."""
        (project.folder / _FILE).unlink(missing_ok=True)

    def keep(self, warehouse: Warehouse) -> None:
        """Write down what was read and what is there now, unless something has become due meanwhile."""
        with warehouse.reading() as con:
            lake = _lake(con)
            if _is_due(con, self._project, now=self._looked_at):
                return
        state = LastRun(
            inputs=self._inputs,
            looked_at=self._looked_at.isoformat(),
            lake=lake,
            outputs=_outputs(self._project),
            hour=floor_hour(self._looked_at).isoformat(),
        )
        durable("run: keep its state")
        replace_file(self._project.folder / _FILE, json.dumps(asdict(state)))


def _is_due(con: duckdb.DuckDBPyConnection, project: Project, *, now: datetime) -> bool:
    return bool(
        stale_hours(con, project, now=now)
        or stale_counted_hours(con, project, now=now)
        or stale_days(con, project, now=now)
    )


def _read(project: Project) -> LastRun | None:
    try:
        return LastRun(**json.loads((project.folder / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _lake(con: duckdb.DuckDBPyConnection) -> list[object]:
    """Return what tells one state of the lake from every other, a restored backup's included."""
    snapshot = con.execute("FROM nanodollar.current_snapshot()").fetchall()[0][0]
    newest = con.execute("SELECT max(loaded_at)::VARCHAR FROM ops.partitions").fetchall()[0][0]
    return [snapshot, newest]


def _inputs(project: Project, files: SourceFiles, looked_at: datetime) -> str:
    """Hash what a run reads: the code, the settings with the files that they name, and the files of the sources.

    A file of a source counts by name, size and time; one that had just changed when the run looked, by its content.
    """
    digest = hashlib.sha256()
    digest.update(hash_of_code_and_settings(project).encode())
    for source, found in sorted(files.items()):
        for file in found:
            digest.update(f"{source}|{file.path}|{file.size_bytes}|{file.modified_at.isoformat()}\n".encode())
            if file.modified_at >= looked_at.astimezone(UTC) - _SETTLED:
                with (
                    contextlib.suppress(OSError),
                    file.open() as handle,
                ):  # The landing says what is wrong with it.
                    while piece := handle.read(1 << 20):
                        digest.update(piece)
    return digest.hexdigest()


def _outputs(project: Project) -> str:
    """Hash the names, sizes and times of the lake's data files, the published file and the reports."""
    places = [project.published, project.reports]
    digest = hashlib.sha256()
    if project.data_path.startswith(SCHEME):
        for name, file in sorted(LakeFiles(project).listed().items()):
            digest.update(f"{name}|{file.size_bytes}|{file.modified_at.isoformat()}\n".encode())
    else:
        places.append(Path(project.data_path))
    for place in places:
        for line in file_stats(place, project.folder):
            digest.update(line)
    return digest.hexdigest()
