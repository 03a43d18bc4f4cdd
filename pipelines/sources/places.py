"""Find a source's files by their pattern, or one file by its path, wherever they live."""

from pathlib import Path

from pipelines.object_store import SCHEME
from pipelines.sources.local import local_files
from pipelines.sources.object_store import object_file, object_files
from pipelines.sources.stored import StoredFile, path_of, stored_file


def files_at(pattern: str, *, project: Path) -> list[StoredFile]:
    """Return the files of a pattern, by name.

    Raises:
        DataError: an object store cannot be listed.
    """
    return object_files(pattern) if pattern.startswith(SCHEME) else local_files(pattern, project=project)


def file_at(path: str, *, project: Path) -> StoredFile:
    """Return one file by the path that the lake calls it by.

    Raises:
        OSError: it is gone.
    """
    return (
        object_file(path)
        if path.startswith(SCHEME)
        else stored_file(path_of(path, project=project), project=project)
    )
