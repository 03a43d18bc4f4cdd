"""What a run costs: nothing to do, six requests, an hour on a year, a year of hours; figure, memory and stages.

python -m benchmarks run           NANODOLLAR_BENCH_HOURS=8760 for a whole year (168 by default)
"""

import json
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.measure import Stages, machine, run_by_stage

HOURS = int(os.environ.get("NANODOLLAR_BENCH_HOURS", "168"))
PER_HOUR = 3
NEW_ROWS = 1_000
TARGETS = {"nothing to do": 1.5, "six requests": 8.0, "a year of hours": 90.0}
"""Processor seconds at most; the year's by its 8,760 hours."""

RATIO = 1.3
"""What new rows may cost on a warehouse with a past, against the same on an empty one."""

SETTINGS = """\
[warehouse]
start_on = 2025-01-01
[[sources]]
name = "gateway"
kind = "requests"
path = "landing/gateway/*.jsonl"
"""


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


def told(name: str, found: Stages, target: float | None = None) -> float:
    limit = f" (target at most {target:.1f} s)" if target is not None else ""
    print(f"  {name:34} {found.cpu_seconds:8.2f} s of processor {found.peak_mib:7.0f} MiB{limit}")
    print(f"  {'':34} {found.shares()}")
    print(f"  {'':34} of which {found.parts()}")
    return found.cpu_seconds


def main() -> None:
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss == 0:
        raise SystemExit("This machine does not tell what a process uses.")
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    print(f"run: {machine()}")
    small = project(end - timedelta(hours=2), 2, 3)
    year = project(end - timedelta(hours=HOURS), HOURS, PER_HOUR)
    empty = project(end, 1, NEW_ROWS)
    spring = end - timedelta(hours=HOURS // 2)
    single = project(spring, 1, 1)
    try:
        told("six requests", run_by_stage(small), TARGETS["six requests"])
        told("nothing to do, on six requests", run_by_stage(small), TARGETS["nothing to do"])
        told(
            f"{HOURS:,} hours of {PER_HOUR} requests",
            run_by_stage(year),
            TARGETS["a year of hours"] * HOURS / 8760,
        )
        told(f"nothing to do, on {HOURS:,} hours", run_by_stage(year), TARGETS["nothing to do"])
        land(year, "newest", rows(end, 1, NEW_ROWS, "n"))
        on_year = told(f"{NEW_ROWS:,} rows on {HOURS:,} hours", run_by_stage(year))
        alone = told(f"{NEW_ROWS:,} rows on an empty warehouse", run_by_stage(empty))
        print(f"  {'ratio':34} {on_year / alone:8.2f} x (target at most {RATIO} x)")
        land(year, "late", rows(spring, 1, 1, "l"))
        late = told(f"1 late row half way into {HOURS:,} hours", run_by_stage(year))
        alone = told("the same row on an empty warehouse", run_by_stage(single))
        print(f"  {'ratio':34} {late / alone:8.2f} x (target at most {RATIO} x)")
    finally:
        for folder in (small, year, empty, single):
            shutil.rmtree(folder, ignore_errors=True)
