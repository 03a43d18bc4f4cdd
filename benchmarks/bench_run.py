"""What a run costs: nothing to do, six requests, an hour on a year, a year of hours; figure, memory and stages.

python -m benchmarks run           NANODOLLAR_BENCH_HOURS=8760 for a whole year (168 by default)
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.measure import machine

HOURS = int(os.environ.get("NANODOLLAR_BENCH_HOURS", "168"))
PER_HOUR = 3
NEW_ROWS = 1_000
TARGETS = {"nothing to do": 1.5, "six requests": 8.0, "a year of hours": 90.0}
"""Processor seconds at most; the year's by its 8,760 hours."""

_DRIVER = """
import json, resource, sys, time
marks = [("python", 0.0)]
def spent():
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
import pipelines.cli.main
import pipelines.cli.progress
from contextlib import contextmanager
@contextmanager
def showing():
    marks.append(("imports", spent()))
    yield lambda step, note: marks.append((step, spent()))
pipelines.cli.progress.showing_progress = showing
sys.argv = ["nanodollar", "--project", sys.argv[1], "run"]
try:
    pipelines.cli.main.main()
except SystemExit:
    pass
marks.append(("end", spent()))
print("MARKS", json.dumps({"marks": marks, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
_STAGES = {
    "raw": "landing",
    "checks": "checks",
    "reports/daily": "report",
    "reports/published_warehouse": "publish",
}
SETTINGS = """\
[warehouse]
start_on = 2025-01-01
[[sources]]
name = "gateway"
kind = "requests"
path = "landing/gateway/*.jsonl"
"""


def run(folder: Path) -> tuple[dict[str, float], float]:
    """Run the command in a process of its own; return processor seconds by stage and peak memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(folder)], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.rpartition("MARKS ")[2])
    stages: dict[str, float] = {}
    before = 0.0
    for step, at in told["marks"]:
        name = _STAGES.get(step) or _STAGES.get(step.partition("/")[0]) or step
        stages[name] = stages.get(name, 0.0) + at - before
        before = at
    return stages, told["peak"]


def rows(first: datetime, hours: int, per_hour: int, mark: str) -> Iterator[dict[str, Any]]:
    for number in range(hours * per_hour):
        at = first + timedelta(hours=number // per_hour, seconds=3 * (number % per_hour))
        yield {
            "request_id": f"{mark}{number}", "started_at": at.isoformat(), "provider": "openai",
            "finished_at": (at + timedelta(seconds=2)).isoformat(), "served_model": "gpt-4o-mini", "status": "ok",
            "input_uncached_tokens": 900 + number % 50, "output_text_tokens": 100, "route": f"r{number % 5}",
            "tenant": f"t{number % 20}",
        }  # fmt: skip


def project(first: datetime, hours: int, per_hour: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="nanodollar-bench-"))
    (folder / "nanodollar.toml").write_text(SETTINGS, encoding="utf-8")
    land(folder, "first", rows(first, hours, per_hour, "a"))
    return folder


def land(folder: Path, name: str, records: Iterator[dict[str, Any]]) -> None:
    file = folder / f"landing/gateway/{name}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as handle:
        handle.writelines(f"{json.dumps(record)}\n" for record in records)


def told(name: str, found: tuple[dict[str, float], float], target: float | None = None) -> float:
    stages, peak = found
    total = sum(stages.values())
    limit = f" (target at most {target:.1f} s)" if target is not None else ""
    print(f"  {name:34} {total:8.2f} s of processor {peak:7.0f} MiB{limit}")
    shares = ", ".join(f"{stage} {spent:.2f}" for stage, spent in stages.items() if spent >= 0.05)
    print(f"  {'':34} {shares}")
    return total


def main() -> None:
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss == 0:
        raise SystemExit("This machine does not tell what a process uses.")
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    print(f"run: {machine()}")
    small = project(end - timedelta(hours=2), 2, 3)
    year = project(end - timedelta(hours=HOURS), HOURS, PER_HOUR)
    empty = project(end, 1, NEW_ROWS)
    try:
        told("six requests", run(small), TARGETS["six requests"])
        told("nothing to do, on six requests", run(small), TARGETS["nothing to do"])
        told(f"{HOURS:,} hours of {PER_HOUR} requests", run(year), TARGETS["a year of hours"] * HOURS / 8760)
        told(f"nothing to do, on {HOURS:,} hours", run(year), TARGETS["nothing to do"])
        land(year, "newest", rows(end, 1, NEW_ROWS, "n"))
        on_year = told(f"{NEW_ROWS:,} rows on {HOURS:,} hours", run(year))
        alone = told(f"{NEW_ROWS:,} rows on an empty warehouse", run(empty))
        print(f"  {'ratio':34} {on_year / alone:8.2f} x (target at most 1.3 x)")
    finally:
        for folder in (small, year, empty):
            shutil.rmtree(folder, ignore_errors=True)
