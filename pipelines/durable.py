"""Every step that changes what stays has a name, so that a test can make it fail: a full disk, a kill, a lost store.

A step is named right before it is taken. Without a watcher naming it costs a look at an empty list.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_watchers: list[Callable[[str], None]] = []


def durable(step: str) -> None:
    """Say that a step is taken next; what a watcher raises is as if the step had failed."""
    for watch in _watchers:
        watch(step)


@contextmanager
def watched(by: Callable[[str], None]) -> Iterator[None]:
    """Let each durable step of this process be told to a watcher while the block lasts."""
    _watchers.append(by)
    try:
        yield
    finally:
        _watchers.remove(by)
