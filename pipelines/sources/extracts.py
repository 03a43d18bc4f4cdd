"""Extracts: what was pulled from a database or an API, kept as gzip JSON lines so that it can be read again.

An extract's name tells the instants that it reaches over and when it was pulled, so that the next pull begins where
the landed ones end.
"""

import gzip
import hashlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_STAMP = "%Y%m%dT%H%M%S%fZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Extract:
    """One extract: the first and last instant of its records, and when it was pulled."""

    path: Path
    first_at: datetime
    last_at: datetime
    pulled_at: datetime


class Extracts:
    """The extracts of one source.

    Args:
        folder: where they are kept.
        landed: names of those that have landed; others were left by a pull that was killed, and are removed.
        pulled_at: when this pull is made.
    """

    def __init__(self, folder: Path, landed: Collection[str], *, pulled_at: datetime) -> None:
        self._folder, self._pulled_at = folder, pulled_at
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.name not in landed:
                path.unlink()
        self._known = [_named(path) for path in sorted(folder.glob("*.jsonl.gz"))]
        self._number = 0

    @property
    def last_at(self) -> datetime | None:
        """The newest instant that has landed; None before the first pull. A time to come moves it no further."""
        return max((min(extract.last_at, extract.pulled_at) for extract in self._known), default=None)

    def line_hashes(self, *, since: datetime) -> list[str]:
        """Return the hash of every line of the extracts that reach over an instant or beyond."""
        found: set[str] = set()
        for extract in self._known:
            if extract.last_at >= since:
                with gzip.open(extract.path) as lines:
                    found.update(line_hash(line.rstrip(b"\n")) for line in lines)
        return sorted(found)

    @contextmanager
    def writing(self) -> Iterator["ExtractWriter"]:
        """Yield a writer; nothing of it stays when the block fails."""
        draft = self._folder / ".draft"
        try:
            with (
                draft.open("wb") as raw,
                # No time stamp and no name in the header: equal lines are equal bytes.
                gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as packed,
            ):
                writer = ExtractWriter(packed)
                yield writer
            if writer.count:
                stamps = (writer.first_at or _EPOCH, writer.last_at or _EPOCH, self._pulled_at)
                self._number += 1
                name = f"{'-'.join(f'{stamp:{_STAMP}}' for stamp in stamps)}-{self._number}.jsonl.gz"
                writer.path = draft.replace(self._folder / name)
        finally:
            draft.unlink(missing_ok=True)


class ExtractWriter:
    """Writes the lines of one extract; `path` is set once it is whole and holds a line."""

    def __init__(self, packed: gzip.GzipFile) -> None:
        self.path: Path | None = None
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self.count = 0
        self._packed = packed

    def write(self, lines: Iterable[bytes], instants: Collection[datetime]) -> None:
        """Append lines of JSON.

        Args:
            lines: one record each.
            instants: the first and the last of their times at least; of a record whose time is unknown none.
        """
        body = b"".join(line + b"\n" for line in lines)
        self._packed.write(body)
        self.count += body.count(b"\n")
        if instants:
            self.first_at = min(instants if self.first_at is None else [*instants, self.first_at])
            self.last_at = max(instants if self.last_at is None else [*instants, self.last_at])


def line_hash(line: bytes) -> str:
    """Return the MD5 of a line, as PostgreSQL's `md5` gives it."""
    return hashlib.md5(line, usedforsecurity=False).hexdigest()


def _named(path: Path) -> Extract:
    stamps = path.name.split(".")[0].split("-")[:3]
    return Extract(path, *(datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC) for stamp in stamps))
