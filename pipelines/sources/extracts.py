"""Extracts: what was pulled from a database or an API, kept as gzip JSON lines so that it can be read again.

An extract's name tells the instants that it reaches over, so that the next pull begins where the landed ones end.
"""

import gzip
import hashlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_STAMP = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True)
class Extract:
    """One extract and the first and last instant of its records."""

    path: Path
    first_at: datetime
    last_at: datetime


class Extracts:
    """The extracts of one source.

    Args:
        folder: where they are kept.
        landed: names of those that have landed; others were left by a pull that was killed, and are removed.
    """

    def __init__(self, folder: Path, landed: Collection[str]) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.name not in landed:
                path.unlink()
        self._known = [_named(path) for path in sorted(folder.glob("*.jsonl.gz"))]

    @property
    def last_at(self) -> datetime | None:
        """The newest instant that has landed; None before the first pull."""
        return max((extract.last_at for extract in self._known), default=None)

    def line_hashes(self, *, since: datetime) -> list[str]:
        """Return the MD5 of every line of the extracts that reach over an instant or beyond."""
        found: set[str] = set()
        for extract in self._known:
            if extract.last_at >= since:
                with gzip.open(extract.path) as lines:
                    found.update(
                        hashlib.md5(line.rstrip(b"\n"), usedforsecurity=False).hexdigest() for line in lines
                    )
        return sorted(found)

    @contextmanager
    def writing(self) -> Iterator["ExtractWriter"]:
        """Yield a writer; nothing of it stays when the block fails."""
        draft = self._folder / ".draft"
        writer = ExtractWriter(draft)
        try:
            with (
                draft.open("wb") as raw,
                # No time stamp and no name in the header: equal lines are equal bytes.
                gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as packed,
            ):
                writer.packed = packed
                yield writer
            if writer.first_at is not None and writer.last_at is not None:
                name = f"{writer.first_at:{_STAMP}}-{writer.last_at:{_STAMP}}.jsonl.gz"
                writer.path = draft.replace(_free(self._folder / name))
        finally:
            draft.unlink(missing_ok=True)


class ExtractWriter:
    """Writes the lines of one extract; `path` is set once it is whole and holds a line."""

    packed: gzip.GzipFile

    def __init__(self, path: Path) -> None:
        self.path: Path | None = None
        self._draft = path
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self.count = 0

    def write(self, lines: Iterable[bytes], *, first_at: datetime, last_at: datetime) -> None:
        """Append lines of JSON whose records lie between two instants."""
        body = b"\n".join(lines)
        self.packed.write(body + b"\n")
        self.count += body.count(b"\n") + 1
        self.first_at = min(self.first_at or first_at, first_at)
        self.last_at = max(self.last_at or last_at, last_at)


def _named(path: Path) -> Extract:
    first, last = path.name.split(".")[0].split("-")[:2]
    return Extract(path, *(datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC) for stamp in (first, last)))


def _free(path: Path) -> Path:
    """Return the path, or one with a number behind its instants where it is taken."""
    number = 1
    while path.exists():
        number += 1
        stem = "-".join(path.name.split(".")[0].split("-")[:2])
        path = path.with_name(f"{stem}-{number}.jsonl.gz")
    return path
