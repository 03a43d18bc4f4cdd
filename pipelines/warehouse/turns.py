"""Turns of one machine: processes of a project take them by file locks, which die with the process that holds them."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.project import Project


@contextmanager
def turn(project: Project) -> Iterator[None]:
    """Hold the project's commit lock."""
    with (project.folder / ".nanodollar.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def run_turn(project: Project, *, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the project's run lock; where another process holds it, say so and wait.

    Args:
        project: the project.
        on_wait: told, in a sentence, whom the run waits for.
    """
    with (project.own_folder / ".nanodollar.run.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            who = f"process {number}" if (number := handle.read().strip()) else "another process"
            on_wait(f"A run of {project.folder} is at work ({who}); waiting for its end.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


@contextmanager
def file_turn(path: Path) -> Iterator[None]:
    """Hold the lock of a folder or a file, which is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
