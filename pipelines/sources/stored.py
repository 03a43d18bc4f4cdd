"""A file of a source, wherever it lives: what the landing knows of it before it is read."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OTHER = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


@dataclass(frozen=True)
class StoredFile:
    """One file that can be opened to read, and opened again.

    Attributes:
        path: how people and the lake call it: relative to the project, absolute, or `s3://bucket/key`.
        size_bytes: its size when it was listed.
        modified_at: when it last changed, UTC.
        open: opens it for reading and seeking; raises OSError where there is nothing to read.
    """

    path: str
    size_bytes: int
    modified_at: datetime
    open: Callable[[], BinaryIO]


def stored_file(path: Path, *, project: Path) -> StoredFile:
    """Return a local file; inside the project its path is told relative to it.

    What is no regular file (a pipe would be waited for) is returned too, and refuses to be opened.

    Raises:
        OSError: it is gone or may not be looked at.
    """
    status = path.stat()
    shown = shown_path(path.relative_to(project) if path.is_relative_to(project) else path)
    modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
    if not stat.S_ISREG(status.st_mode):
        kind = _OTHER.get(stat.S_IFMT(status.st_mode), "no regular file")
        why = f"it is {kind}, which is not read; write its content to a file"
        return StoredFile(shown, 0, modified_at, _refusing(why))
    return StoredFile(shown, status.st_size, modified_at, lambda: path.open("rb"))


def unreachable_file(path: Path, error: OSError, *, project: Path) -> StoredFile:
    """Return a file that is listed and cannot be looked at, such as a link to nothing or to itself."""
    shown = shown_path(path.relative_to(project) if path.is_relative_to(project) else path)
    return StoredFile(shown, 0, _EPOCH, _refusing(error.strerror or str(error)))


def shown_path(path: Path) -> str:
    """Return a path as printable text: bytes that are no UTF-8 and control characters as their escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def path_of(shown: str, *, project: Path) -> Path:
    """Return the local path that is shown so."""
    path = project / shown
    if "\\" not in shown or path.exists():
        return path
    found = Path(path.anchor)
    for part in path.parts[1:]:
        step = found / part
        if "\\" in part and not step.exists() and found.is_dir():
            step = next((item for item in found.iterdir() if shown_path(Path(item.name)) == part), step)
        found = step
    return found


def _refusing(why: str) -> Callable[[], BinaryIO]:
    def refuse() -> BinaryIO:
        raise OSError(0, why)

    return refuse
