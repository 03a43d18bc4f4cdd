"""How fast the explorer's pages answer on the marts of 100 million requests, beside the same page on a small fleet.

python -m benchmarks explorer      NANODOLLAR_BENCH_REQUESTS=100000000 by default

The marts are those of the cookbook's benchmark. Each page is asked for the first time after the file was opened.
"""

import tempfile
import time
from pathlib import Path

from starlette.testclient import TestClient

from benchmarks.bench_cookbook import REQUESTS, grown
from benchmarks.measure import machine
from pipelines.explorer.app import explorer
from pipelines.explorer.page import pages
from pipelines.project import Project, find_project
from pipelines.samples import write_fleet
from tests.pipelines.small import nanodollar

TARGET_MS = 1000
FACTS = {"/requests", "/request", "/sql"}
"""Pages that read single requests, which the benchmark does not multiply, or that ask nothing."""


def milliseconds(project: Project) -> dict[str, float]:
    """Return the time of each page, when it is asked for the first time."""
    with TestClient(explorer(project), base_url="http://127.0.0.1:8765") as client:
        client.get("/request")
        taken = {}
        for page in pages():
            if page.path not in FACTS:
                started = time.perf_counter()
                answer = client.get(page.path)
                taken[page.path] = 1000 * (time.perf_counter() - started)
                answer.raise_for_status()
    return taken


def main() -> None:
    print(f"explorer: {machine()}")
    with tempfile.TemporaryDirectory(prefix="nanodollar-bench-") as folder:
        fleet = Path(folder) / "fleet"
        write_fleet(fleet, days=2, requests_per_day=200)
        nanodollar(fleet, "run")
        project = find_project(fleet)
        before = milliseconds(project)
        target = Path(folder) / "grown.duckdb"
        grown(project.published, target).close()
        target.replace(project.published)
        after = milliseconds(project)
    for path in sorted(after, key=lambda path: -after[path]):
        ratio = after[path] / before[path]
        print(f"  {after[path]:7.0f} ms, {ratio:5.1f} x as on {before[path]:5.0f} ms: {path}")
    in_time = sum(taken <= TARGET_MS for taken in after.values())
    print(f"  {in_time} of {len(after)} pages within {TARGET_MS} ms on {REQUESTS:,} requests (target all)")


if __name__ == "__main__":
    main()
