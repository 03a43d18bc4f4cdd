"""Where the lake's Parquet files lie: they are written as drafts in a local folder, then put where the lake keeps them.

A draft is hidden and named by its process; it gets its name within the turn of its commit. So what a kill has left can
be told from what another process is writing.

With `data_path` on the disk both are one; with `s3://bucket/prefix` a file is sent when its commit is carried out.
"""

import hashlib
import os
import re
import socket
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pyarrow.fs

from models.errors import DataError
from pipelines.durable import durable
from pipelines.object_store import SCHEME, first_line, object_store
from pipelines.project import Project
from pipelines.replacing import replace_file

_STAGING = ".nanodollar.staging"
_WRITER = re.compile(r"^\.(?P<process>\d+)-(?:(?P<machine>[0-9a-f]{8})-)?")
Draft = Path | str
"""A file that no commit names yet: a draft on this machine, or the address at which a worker has put it."""


class DataFiles:
    """The Parquet files of one commit."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._places: dict[Path, str] = {}

    @property
    def is_remote(self) -> bool:
        """Whether the lake keeps its files in a store that other machines reach."""
        return _is_remote(self._project)

    def new(self, dotted: str, name: str) -> Path:
        """Return a path for a Parquet file of a table."""
        folder = staging(self._project) / dotted.replace(".", "/")
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f".{os.getpid()}-{_machine()}-{name}-{uuid.uuid4().hex[:8]}.parquet"

    def place(self, path: Draft) -> str:
        """Return the address at which the lake reads a written file; placing it again does nothing.

        Raises:
            DataError: the store does not take it.
        """
        if isinstance(path, str):
            return path
        if path not in self._places:
            durable("lake: place a file")
            self._places[path] = (
                self._sent(path) if _is_remote(self._project) else str(path.rename(_placed(path)))
            )
        return self._places[path]

    def read(self, path: Draft) -> pl.DataFrame:
        """Return the rows of a file that no commit names yet."""
        if isinstance(path, Path):
            return pl.read_parquet(path)
        with object_store().open_input_file(path.removeprefix(SCHEME)) as file:
            return pl.read_parquet(file.read())

    def adopt(self, path: Draft) -> Draft:
        """Make a worker's draft one of this process, so that it does not look like what a dead process has left."""
        if isinstance(path, str):
            return path
        return path.rename(path.with_name(_WRITER.sub(f".{os.getpid()}-{_machine()}-", path.name)))

    def drop(self, path: Draft) -> None:
        """Remove a file that the lake does not name."""
        address = path if isinstance(path, str) else self._places.pop(path, None)
        if isinstance(path, Path):
            path.unlink(missing_ok=True)
        if address is not None and address.startswith(SCHEME):
            object_store().delete_file(address.removeprefix(SCHEME))
        elif address is not None:
            Path(address).unlink(missing_ok=True)

    def _sent(self, path: Path) -> str:
        own = _placed(path).relative_to(staging(self._project))
        address = f"{self._project.data_path.rstrip('/')}/{own}"
        try:
            pyarrow.fs.copy_files(
                str(path),
                address.removeprefix(SCHEME),
                source_filesystem=pyarrow.fs.LocalFileSystem(),
                destination_filesystem=object_store(),
            )
        except OSError as error:
            raise DataError(
                f"{address} cannot be written ({first_line(error)}); nothing was committed. Check the bucket, "
                f"AWS_ENDPOINT_URL and the AWS keys in the environment."
            ) from error
        path.unlink()
        return address


@dataclass(frozen=True)
class LakeFile:
    """A file of the lake as its disk or its store has it."""

    size_bytes: int
    modified_at: datetime


class LakeFiles:
    """The files under the lake's data path, on a disk or in a store, named by the addresses that the catalog has.

    Raises:
        DataError: the store cannot be listed, read or changed.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._is_remote = _is_remote(project)
        self._root = f"{project.data_path.rstrip('/')}/"
        self._files = object_store() if self._is_remote else pyarrow.fs.LocalFileSystem()

    def listed(self) -> dict[str, LakeFile]:
        """Return every Parquet file under the data path by its address."""
        selector = pyarrow.fs.FileSelector(self._path(self._root), recursive=True, allow_not_found=True)
        with self._in_reach():
            return self._stored(self._files.get_file_info(selector))

    def looked_up(self, addresses: Iterable[str]) -> dict[str, LakeFile]:
        """Return those of some files that are there; a store is asked for all that it has in one go."""
        wanted = {*addresses}
        found: dict[str, LakeFile] = {}
        if self._is_remote:
            found = {name: file for name, file in self.listed().items() if name in wanted}
            wanted = {name for name in wanted - found.keys() if not name.startswith(self._root)}
        with self._in_reach():
            return found | self._stored(self._files.get_file_info([self._path(name) for name in wanted]))

    def content(self, address: str) -> bytes:
        with self._in_reach(), self._files.open_input_stream(self._path(address)) as stream:
            content: bytes = stream.read()
            return content

    def set_aside(self, address: str) -> None:
        """Rename a file to one that the lake does not read."""
        with self._in_reach():
            self._files.move(self._path(address), self._path(f"{address.removesuffix('.parquet')}.damaged"))

    def remove(self, address: str) -> None:
        with self._in_reach():
            self._files.delete_file(self._path(address))

    def read_note(self, name: str) -> bytes | None:
        """Return a small file right under the data path, None where there is none."""
        with self._in_reach():
            if self._files.get_file_info(self._path(self._root + name)).type != pyarrow.fs.FileType.File:
                return None
            return self.content(self._root + name)

    def write_note(self, name: str, content: bytes) -> None:
        """Replace a small file right under the data path, as a whole."""
        place = self._path(self._root + name)
        with self._in_reach():
            if self._is_remote:
                with self._files.open_output_stream(place) as stream:
                    stream.write(content)
                return
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            replace_file(Path(place), content)

    def _stored(self, found: Iterable[pyarrow.fs.FileInfo]) -> dict[str, LakeFile]:
        scheme = SCHEME if self._is_remote else ""
        return {
            f"{scheme}{info.path}": LakeFile(int(info.size), info.mtime)
            for info in found
            if info.type == pyarrow.fs.FileType.File and info.path.endswith(".parquet")
        }

    def _path(self, address: str) -> str:
        return address.removeprefix(SCHEME)

    @contextmanager
    def _in_reach(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._is_remote:
                raise
            raise DataError(
                f"The lake's files under {self._project.data_path} cannot be had ({first_line(error)}). Check "
                f"[warehouse] data_path in {self._project.folder / 'nanodollar.toml'}, AWS_ENDPOINT_URL and the AWS "
                f"keys in the environment, and run it again."
            ) from error


def _placed(draft: Path) -> Path:
    return draft.with_name(_WRITER.sub("", draft.name))


def dead_drafts(project: Project) -> list[Path]:
    """Return the drafts of processes that live no more; of another machine's, those that lie there for a day."""
    found = staging(project).rglob(".*-*.parquet") if staging(project).exists() else ()
    dead = []
    for path in found:
        writer = _WRITER.match(path.name)
        if writer is None:
            continue
        is_ours = writer["machine"] in {None, _machine()}
        if not is_alive(int(writer["process"])) if is_ours else _is_a_day_old(path):
            dead.append(path)
    return dead


def _is_a_day_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > timedelta(days=1).total_seconds()
    except FileNotFoundError:
        return False


@cache
def _machine() -> str:
    """Return what tells machines and containers apart that see the same folder but not each other's processes."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        seen = f"{boot}{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        seen = socket.gethostname()
    return hashlib.sha256(seen.encode()).hexdigest()[:8]


def is_alive(number: int) -> bool:
    """Return whether a process of this machine lives."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def staging(project: Project) -> Path:
    """Return the local folder in which files of the lake are written."""
    if not _is_remote(project):
        return Path(project.data_path)
    # A worker on another machine has no such project.
    folder = project.folder if project.folder.is_dir() else Path(tempfile.gettempdir())
    return folder / _STAGING


def _is_remote(project: Project) -> bool:
    return project.data_path.startswith(SCHEME)
