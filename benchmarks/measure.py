"""Measure a piece of work in a process of its own: seconds, seconds of all its threads, and peak memory."""

import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu_seconds: float
    peak_mib: float
    result: Any


def measured(work: Callable[..., Any], *args: Any) -> Measured:
    """Run `work(*args)` in a fresh process, so that peaks of memory do not mix."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_inside, work, args).result()


def _inside(work: Callable[..., Any], args: tuple[Any, ...]) -> Measured:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, cpu_started = time.perf_counter(), time.process_time()
    result = work(*args)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Measured(seconds, cpu_seconds, max(peak, before) / 1024, result)


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
