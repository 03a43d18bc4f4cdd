"""A file of a source, wherever it lives: what the landing knows of it before it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class StoredFile:
    """One file that can be opened to read, and opened again.

    Attributes:
        path: how people and the lake call it: relative to the project, absolute, or `s3://bucket/key`.
        size_bytes: its size when it was listed.
        modified_at: when it last changed, UTC.
        open: opens it for reading and seeking.
    """

    path: str
    size_bytes: int
    modified_at: datetime
    open: Callable[[], BinaryIO]


def stored_file(path: Path, *, project: Path) -> StoredFile:
    """Return a local file; inside the project its path is told relative to it.

    Raises:
        OSError: it is gone or may not be looked at.
    """
    stat = path.stat()
    shown = path.relative_to(project) if path.is_relative_to(project) else path
    return StoredFile(
        path=str(shown),
        size_bytes=stat.st_size,
        modified_at=datetime.fromtimestamp(stat.st_mtime, UTC),
        open=lambda: path.open("rb"),
    )
