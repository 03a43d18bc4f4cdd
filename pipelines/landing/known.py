"""What has landed before: by content, and by path."""

from dataclasses import dataclass, field
from datetime import datetime

from pipelines.landing.identity import SETTLED
from pipelines.sources.stored import StoredFile

UNREADABLE = "unreadable:"
"""Start of the file_hash of a file of which nothing could be read; the next landing tries again."""


@dataclass(frozen=True)
class PathState:
    """A path as it was when it was last looked at."""

    file_hash: str
    size_bytes: int
    modified_at: datetime
    looked_at: datetime


@dataclass
class LandedBefore:
    """What has landed from a source before.

    Attributes:
        hashes: contents.
        by_path: path -> hash and size of each content that was landed from it, oldest first.
        paths: path -> what it was when it was last looked at.
        unreadable: path -> hash and note of a file of which nothing could be read.
    """

    hashes: set[str] = field(default_factory=set)
    by_path: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    paths: dict[str, PathState] = field(default_factory=dict)
    unreadable: dict[str, tuple[str, str]] = field(default_factory=dict)

    def is_unchanged(self, file: StoredFile) -> bool:
        state = self.paths.get(file.path)
        return (
            state is not None
            and state.file_hash in self.hashes
            and (state.size_bytes, state.modified_at) == (file.size_bytes, file.modified_at)
            and state.modified_at < state.looked_at - SETTLED
        )
