"""How fast the cookbook's queries answer on the marts of 100 million requests, beside the same query on a small fleet.

python -m benchmarks cookbook      NANODOLLAR_BENCH_REQUESTS=100000000 by default

The marts are those of a small sample fleet, copied with other days, tenants and sessions until they have the rows of so
many requests; queries on the facts of single requests (core.request_costs, core.requests) are left out.
"""

import os
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.measure import machine
from pipelines.project import find_project
from pipelines.samples import write_fleet
from tests.cookbook import answer, recipes
from tests.pipelines.small import nanodollar

REQUESTS = int(os.environ.get("NANODOLLAR_BENCH_REQUESTS", "100000000"))
TARGET_MS = 100
DAYS = 90
TENANTS = 200
PER_SESSION = 20
FACTS = ("core.request_costs", "core.requests", "explain_cost", "attempts(")
ROWS = {
    "mart.cost_per_token_daily": 400_000,
    "mart.cost_per_token_hourly": 1_500_000,
    "mart.cost_per_session": REQUESTS // PER_SESSION,
    "mart.cost_per_outcome": 200_000,
    "mart.spend_daily": 300_000,
    "mart.scoreboard": 100_000,
    "mart.idle_cost_daily": 200_000,
    "mart.gpu_bill_daily": 20_000,
    "mart.cost_by_chip": 20_000,
    "mart.break_even": 50_000,
    "mart.cold_starts": 200_000,
    "mart.cold_start_waits": 200_000,
    "mart.cold_start_bursts": 5_000,
    "mart.routing_mistakes": REQUESTS // 100,
    "mart.usage_growth": 5_000,
    "mart.chargeback_monthly": 50_000,
    "mart.focus": 500_000,
    "core.pool_hours": 200_000,
    "ops.coverage": 1_000,
    "ops.duplicates": REQUESTS // 1000,
    "ops.quarantine": 10_000,
}
"""Rows of each table for 100 million requests in 90 days; what is not listed stays as it is."""
DATES = ("accrued_on", "started_on", "finished_on")
_MANY = {
    "tenant": f"|| '-' || copy % {TENANTS}",
    "session_id": "|| '-' || copy",
    "request_id": "|| '-' || copy",
}


def grown(published: Path, target: Path) -> duckdb.DuckDBPyConnection:
    """Return a database like the published one, with the rows of many requests, in the order of days."""
    con = duckdb.connect(str(target), config={"threads": 2})
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"ATTACH '{published}' AS small (READ_ONLY)")
    con.execute(f"COPY FROM DATABASE small TO {target.stem}")
    con.execute("DETACH small")
    for dotted, wanted in ROWS.items():
        names = [name for name, *_ in con.execute(f"DESCRIBE {dotted}").fetchall()]
        held = (con.execute(f"SELECT count(*) FROM {dotted}").fetchone() or (0,))[0]
        if not held:
            continue
        day = next((name for name in DATES if name in names), None)
        changed = [f"({name} {many}) AS {name}" for name, many in _MANY.items() if name in names]
        if day is not None:
            changed.append(f"(DATE '2026-09-02' + (copy % {DAYS})::INTEGER) AS {day}")
        copies = max(wanted // held, 1)
        select = (
            f"SELECT * EXCLUDE (copy) REPLACE ({', '.join(changed)})"
            if changed
            else "SELECT * EXCLUDE (copy)"
        )
        order = f"ORDER BY {day}" if day is not None else ""
        con.execute(f"CREATE TABLE memory_rows AS {select} FROM {dotted}, range({copies}) AS r(copy) {order}")
        con.execute(f"DELETE FROM {dotted}")
        con.execute(f"INSERT INTO {dotted} FROM memory_rows")
        con.execute("DROP TABLE memory_rows")
    con.execute("CHECKPOINT")
    return con


def milliseconds(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[float, float]:
    """Return the best of three by the clock, and by processors."""
    clock, processors = [], []
    for _ in range(3):
        started, spent = time.perf_counter(), time.process_time()
        answer(con, sql)
        clock.append(1000 * (time.perf_counter() - started))
        processors.append(1000 * (time.process_time() - spent))
    return min(clock), min(processors)


def main() -> None:
    print(f"cookbook: {machine()}")
    with tempfile.TemporaryDirectory(prefix="nanodollar-bench-") as folder:
        fleet = Path(folder) / "fleet"
        write_fleet(fleet, days=2, requests_per_day=200)
        nanodollar(fleet, "run")
        published = find_project(fleet).published
        small = duckdb.connect(str(published), read_only=True, config={"threads": 2})
        asked = [recipe for recipe in recipes() if not any(fact in recipe.sql for fact in FACTS)]
        before = {recipe.question: milliseconds(small, recipe.sql) for recipe in asked}
        small.close()
        con = grown(published, Path(folder) / "grown.duckdb")
        after = {recipe.question: milliseconds(con, recipe.sql) for recipe in asked}
        con.close()
    slowest = sorted(after, key=lambda question: -after[question][0])
    print("      clock  processors   small fleet")
    for question in slowest[:8]:
        (clock, processors), (small_clock, _) = after[question], before[question]
        print(f"  {clock:6.0f} ms {processors:8.0f} ms {small_clock:10.1f} ms   {question}")
    for name, place, limit in (("the clock", 0, TARGET_MS), ("two processors", 1, 2 * TARGET_MS)):
        in_time = sum(1 for taken in after.values() if taken[place] <= limit)
        print(
            f"  {in_time} of {len(asked)} queries within {TARGET_MS} ms by {name}, on {REQUESTS:,} requests"
        )


if __name__ == "__main__":
    main()
