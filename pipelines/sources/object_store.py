"""Objects of an S3-compatible store as files."""

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import BinaryIO, cast

import pyarrow.fs

from models.errors import DataError
from pipelines.object_store import SCHEME, first_line, object_store
from pipelines.sources.stored import StoredFile

_SMALL = 8 << 20
"""Objects up to this are fetched once, not once to be hashed and once to be read."""


def object_files(pattern: str) -> list[StoredFile]:
    """Return the objects of `s3://bucket/prefix/**/*.gz`, by name.

    Raises:
        DataError: the store cannot be listed.
    """
    path = pattern.removeprefix(SCHEME)
    fixed = re.split(r"[*?\[]", path, maxsplit=1)[0]
    is_glob = fixed != path
    base = fixed.rsplit("/", 1)[0] if is_glob else path
    store = object_store()
    try:
        if is_glob:
            selector = pyarrow.fs.FileSelector(base, recursive=True, allow_not_found=True)
            found = store.get_file_info(selector)
        else:
            found = [store.get_file_info(path)]
    except OSError as error:
        raise DataError(
            f"{pattern} cannot be listed ({first_line(error)}); check the bucket, AWS_ENDPOINT_URL and the AWS keys "
            f"in the environment."
        ) from error
    wanted = re.compile(_expression(path))
    return [
        _stored(info)
        for info in sorted(found, key=lambda info: str(info.path))
        if info.type == pyarrow.fs.FileType.File and wanted.fullmatch(info.path)
    ]


def object_file(path: str) -> StoredFile:
    """Return one object by `s3://bucket/key`.

    Raises:
        OSError: it is gone, or the store cannot be reached.
    """
    info = object_store().get_file_info(path.removeprefix(SCHEME))
    if info.type != pyarrow.fs.FileType.File:
        raise FileNotFoundError(path)
    return _stored(info)


def _stored(info: pyarrow.fs.FileInfo) -> StoredFile:
    return StoredFile(
        path=f"{SCHEME}{info.path}",
        size_bytes=info.size,
        modified_at=datetime.fromtimestamp(info.mtime_ns / 1e9, UTC),
        open=_opening(info.path, info.size),
    )


def _opening(path: str, size: int) -> Callable[[], BinaryIO]:
    if size > _SMALL:
        return lambda: cast("BinaryIO", object_store().open_input_file(path))
    look = object()
    return lambda: io.BytesIO(_content(path, look))


@lru_cache(maxsize=2)
def _content(path: str, look: object) -> bytes:
    del look  # each listing fetches anew: times of a store tell no two changes of one second apart
    with object_store().open_input_file(path) as handle:
        return bytes(handle.read())


def _expression(pattern: str) -> str:
    """Return a glob as a regular expression: `**/` crosses folders, `*` and `?` stay inside a name."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        words.get(part) or (part if part.startswith("[") and part.endswith("]") else re.escape(part))
        for part in parts
    )
