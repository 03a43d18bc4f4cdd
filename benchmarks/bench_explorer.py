"""How fast the explorer's pages answer on the marts of 100 million requests, beside the same page on a small fleet.

python -m benchmarks explorer      NANODOLLAR_BENCH_REQUESTS=100000000 by default

The marts are those of the cookbook's benchmark. Each page is asked for the first time after the file was opened. Of the
attempts the last days are there, with as many a day as so many requests in 90 days have: a page of requests reads the
days that it shows and skips the others, and so does a link to a request.
"""

import tempfile
import time
from pathlib import Path

import duckdb
from starlette.testclient import TestClient

from benchmarks.bench_cookbook import DAYS, REQUESTS, grown
from benchmarks.measure import machine
from pipelines.explorer.app import explorer
from pipelines.explorer.page import pages
from pipelines.project import Project, find_project
from pipelines.samples import write_fleet
from tests.pipelines.small import nanodollar

TARGET_MS = 1000
EMPTY = {"/request", "/invoice", "/sql"}
"""Pages that ask nothing without words."""
FACT_DAYS = 10
FACTS = ("core.requests", "core.request_costs")


def milliseconds(project: Project) -> dict[str, float]:
    """Return the time of each page, when it is asked for the first time."""
    with TestClient(explorer(project), base_url="http://127.0.0.1:8765") as client:
        client.get("/request")
        taken = {}
        with duckdb.connect(str(project.published), read_only=True) as con:
            request_id, on = con.execute(
                f"SELECT request_id, accrued_on FROM {FACTS[1]} ORDER BY accrued_on DESC, request_id LIMIT 1"
            ).fetchall()[0]
        asked = [page.path for page in pages() if page.path not in EMPTY]
        for path in [*asked, f"/request?from={on}&to={on}&id={request_id}"]:
            started = time.perf_counter()
            answer = client.get(path)
            taken[path.partition("?")[0]] = 1000 * (time.perf_counter() - started)
            answer.raise_for_status()
    return taken


def grow_facts(con: duckdb.DuckDBPyConnection) -> int:
    """Give each of the last days as many attempts as the requests have in a day, day by day, and return how many."""
    last = con.execute("SELECT max(accrued_on) FROM mart.spend_daily").fetchall()[0][0]
    for dotted in FACTS:
        held = con.execute(f"SELECT count(*) FROM {dotted}").fetchall()[0][0]
        copies = REQUESTS // DAYS // held
        con.execute(f"CREATE TEMP TABLE few AS FROM {dotted}")
        con.execute(f"DELETE FROM {dotted}")
        for number in range(FACT_DAYS):
            day = f"DATE '{last}' - {FACT_DAYS - 1 - number}"
            changed = [f"(request_id || '-{number}-' || copy) AS request_id"]
            on = "started_at::DATE" if dotted == FACTS[0] else "accrued_on"
            changed.append(f"(started_at + to_days((({day}) - {on})::INTEGER)) AS started_at")
            if dotted == FACTS[1]:
                changed += [
                    f"(accrued_hour + to_days((({day}) - accrued_on)::INTEGER)) AS accrued_hour",
                    f"({day}) AS accrued_on",
                ]
            con.execute(
                f"INSERT INTO {dotted} SELECT * EXCLUDE (copy) REPLACE ({', '.join(changed)}) "
                f"FROM few, range({copies}) AS r(copy)"
            )
        con.execute("DROP TABLE few")
    con.execute("CHECKPOINT")
    return int(con.execute(f"SELECT count(*) FROM {FACTS[1]}").fetchall()[0][0])


def main() -> None:
    print(f"explorer: {machine()}")
    with tempfile.TemporaryDirectory(prefix="nanodollar-bench-") as folder:
        fleet = Path(folder) / "fleet"
        write_fleet(fleet, days=2, requests_per_day=200)
        nanodollar(fleet, "run")
        project = find_project(fleet)
        before = milliseconds(project)
        target = Path(folder) / "grown.duckdb"
        with grown(project.published, target) as con:
            attempts = grow_facts(con)
        target.replace(project.published)
        after = milliseconds(project)
    for path in sorted(after, key=lambda path: -after[path]):
        ratio = after[path] / before[path]
        print(f"  {after[path]:7.0f} ms, {ratio:5.1f} x as on {before[path]:5.0f} ms: {path}")
    print(f"  {attempts:,} attempts of {FACT_DAYS} days are there")
    in_time = sum(taken <= TARGET_MS for taken in after.values())
    print(f"  {in_time} of {len(after)} pages within {TARGET_MS} ms on {REQUESTS:,} requests (target all)")


if __name__ == "__main__":
    main()
