"""Measure a piece of work in a process of its own: seconds and peak memory."""

import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mib: float
    result: Any


def measured(work: Callable[..., Any], *args: Any) -> Measured:
    """Run `work(*args)` in a fresh process, so that peaks of memory do not mix."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_inside, args=(queue, work, args))
    process.start()
    seconds, peak_mib, result = queue.get()
    process.join()
    return Measured(seconds, peak_mib, result)


def _inside(queue: Any, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    result = work(*args)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    queue.put((seconds, max(peak, before) / 1024, result))


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
