"""Where the lake's Parquet files lie: they are written as drafts in a local folder, then put where the lake keeps them.

A draft is hidden and named by its process; it gets its name within the turn of its commit. So what a kill has left can
be told from what another process is writing.

With `data_path` on the disk both are one; with `s3://bucket/prefix` a file is sent when its commit is carried out.
"""

import os
import re
import uuid
from pathlib import Path

import pyarrow.fs

from models.errors import DataError
from pipelines.object_store import SCHEME, first_line, object_store
from pipelines.project import Project

_STAGING = ".nanodollar.staging"


class DataFiles:
    """The Parquet files of one commit."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._places: dict[Path, str] = {}

    def new(self, dotted: str, name: str) -> Path:
        """Return a path for a Parquet file of a table."""
        folder = staging(self._project) / dotted.replace(".", "/")
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f".{os.getpid()}-{name}-{uuid.uuid4().hex[:8]}.parquet"

    def place(self, path: Path) -> str:
        """Return the address at which the lake reads a written file; placing it again does nothing.

        Raises:
            DataError: the store does not take it.
        """
        if path not in self._places:
            self._places[path] = (
                self._sent(path) if _is_remote(self._project) else str(path.rename(_placed(path)))
            )
        return self._places[path]

    def drop(self, path: Path) -> None:
        """Remove a file that the lake does not name."""
        address = self._places.pop(path, None)
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


def _placed(draft: Path) -> Path:
    return draft.with_name(re.sub(r"^\.\d+-", "", draft.name))


def dead_drafts(project: Project) -> list[Path]:
    """Return the drafts of processes that live no more."""
    found = staging(project).rglob(".*-*.parquet") if staging(project).exists() else ()
    return [
        path
        for path in found
        if (number := path.name[1:].partition("-")[0]).isdigit() and not is_alive(int(number))
    ]


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
    return project.folder / _STAGING if _is_remote(project) else Path(project.data_path)


def _is_remote(project: Project) -> bool:
    return project.data_path.startswith(SCHEME)
