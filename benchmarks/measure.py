"""Measure a piece of work in a process of its own: seconds, seconds of all its threads, and peak memory."""

import json
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DRIVER = """
import json, resource, sys, time
started = time.perf_counter()
def used():
    return resource.getrusage(resource.RUSAGE_SELF)
def spent():
    return sum(used()[:2]), time.perf_counter() - started, used().ru_maxrss / 1024
marks, steps = [], {}
def timed(owner, name, label):
    work = getattr(owner, name)
    def measured(*args, **options):
        before = sum(used()[:2])
        try:
            return work(*args, **options)
        finally:
            steps[label(*args)] = steps.get(label(*args), 0) + sum(used()[:2]) - before
    setattr(owner, name, measured)
import pipelines.cli.main
import pipelines.cli.progress
from contextlib import contextmanager
@contextmanager
def showing():
    from pipelines.steps import computing
    from pipelines.warehouse.commit import Commit
    timed(computing, "made_by", lambda step, *rest: step.table)
    timed(Commit, "replace", lambda *rest: "sort, hash and write")
    timed(Commit, "_apply", lambda *rest: "commit")
    marks.append(("imports", *spent()))
    yield lambda step, note: marks.append((step, *spent()))
pipelines.cli.progress.showing_progress = showing
sys.argv = ["nanodollar", "--project", sys.argv[1], "run"]
try:
    pipelines.cli.main.main()
except SystemExit:
    pass
marks.append(("end", *spent()))
print("MARKS", json.dumps({"marks": marks, "steps": steps}))
"""
_STAGES = {
    "raw": "landing",
    "ref": "checks",
    "reports/daily": "report",
    "reports/published_warehouse": "publish",
}
_SHOWN_FROM = 0.05
STEPS_SHOWN = 8


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


@dataclass(frozen=True)
class Stages:
    """A `nanodollar run`, stage by stage: seconds of all its threads, seconds that went by, and memory.

    Attributes:
        cpu: processor seconds of each stage.
        wall: seconds that each took.
        peaks: the most memory until the end of each, MiB.
        steps: processor seconds of each step, and of writing and committing, which are parts of the stages.
    """

    cpu: dict[str, float]
    wall: dict[str, float]
    peaks: dict[str, float]
    steps: dict[str, float]

    @property
    def peak_mib(self) -> float:
        return max(self.peaks.values())

    @property
    def cpu_seconds(self) -> float:
        return sum(self.cpu.values())

    def shares(self) -> str:
        """Return the processor seconds of each stage that counts, and its share."""
        return ", ".join(
            f"{stage} {spent:.2f} ({spent / self.cpu_seconds:.0%})"
            for stage, spent in self.cpu.items()
            if spent >= _SHOWN_FROM
        )

    def parts(self) -> str:
        """Return the steps that take the most, and what writing and committing take."""
        most = sorted(self.steps.items(), key=lambda item: -item[1])[:STEPS_SHOWN]
        return ", ".join(f"{step} {spent:.2f}" for step, spent in most if spent >= _SHOWN_FROM)


def run_by_stage(folder: Path) -> Stages:
    """Run the command on a project in a process of its own; a stage lasts until it tells that it is done."""
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(folder)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.rpartition("MARKS ")[2])
    cpu: dict[str, float] = {}
    wall: dict[str, float] = {}
    peaks: dict[str, float] = {}
    cpu_before = wall_before = 0.0
    for step, cpu_at, wall_at, peak in found["marks"]:
        name = _STAGES.get(step) or _STAGES.get(step.partition("/")[0]) or step
        cpu[name] = cpu.get(name, 0.0) + cpu_at - cpu_before
        wall[name] = wall.get(name, 0.0) + wall_at - wall_before
        peaks[name] = peak
        cpu_before, wall_before = cpu_at, wall_at
    return Stages(cpu, wall, peaks, found["steps"])


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
