"""Bitemporal rows: what was in force when, as known when. One rule for tokens, GPUs, aliases and contracts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class DatedStatement(Generic[Item]):
    """Something that a sheet states: it holds from `valid_from`, and was learned at `known_from`."""

    item: Item
    valid_from: datetime
    valid_to: datetime | None
    known_from: datetime


@dataclass
class Version(Generic[Item]):
    """A stated item between two instants of knowledge: `valid_to` is where it ended as known then."""

    item: Item
    valid_from: datetime
    valid_to: datetime | None
    known_from: datetime
    known_to: datetime | None


def versions(stated: Sequence[DatedStatement[Item]]) -> Iterator[Version[Item]]:
    """Yield the versions of one series, so that at any (valid, known) pair at most one is in force.

    A later `valid_from` ends an earlier entry from the instant at which it was known; of one `valid_from` the
    latest known stands, and of two known at one time the later in order. An entry that nothing touched keeps
    one version.
    """
    open_versions: dict[tuple[int, datetime | None], Version[Item]] = {}
    done: list[Version[Item]] = []
    for moment in sorted({entry.known_from for entry in stated}):
        current: dict[datetime, tuple[int, DatedStatement[Item]]] = {}
        for number, entry in enumerate(stated):
            held = current.get(entry.valid_from)
            if entry.known_from <= moment and (held is None or held[1].known_from <= entry.known_from):
                current[entry.valid_from] = number, entry
        starts = sorted(current)
        still_open: dict[tuple[int, datetime | None], Version[Item]] = {}
        for start, following in zip(starts, [*starts[1:], None], strict=True):
            number, entry = current[start]
            ends = min((end for end in (entry.valid_to, following) if end is not None), default=None)
            version = open_versions.pop((number, ends), None)
            if version is None:
                version = Version(entry.item, start, ends, moment, None)
                done.append(version)
            still_open[number, ends] = version
        for closed in open_versions.values():
            closed.known_to = moment
        open_versions = still_open
    yield from done
