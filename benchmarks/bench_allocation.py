"""Split the serving cost of 2,000 GPU replicas over their requests, against the same integrals as DuckDB windows.

python -m benchmarks allocation      NANODOLLAR_BENCH_REQUESTS=10000000 by default
"""

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from benchmarks.measure import machine, measured

if TYPE_CHECKING:
    import numpy as np

ROWS = int(os.environ.get("NANODOLLAR_BENCH_REQUESTS", "10000000"))
REPLICAS = 2000
HOURS = 24
START = datetime(2026, 11, 2, tzinfo=UTC)
ROWS_AT_ONCE = 2_000_000
"""As many requests as the pipeline takes at once."""
TARGET_SECONDS = 10.0
"""For ten million requests; cost is to grow linearly."""

_WINDOWS = """
COPY (
  WITH work AS (
    SELECT request_id, replica_id, epoch_us(started_at) AS starts, epoch_us(finished_at) AS ends,
           greatest(0.46 * input_uncached_tokens + output_text_tokens, 1)
             / greatest(epoch_us(finished_at) - epoch_us(started_at), 1000) AS weight
    FROM '{folder}/requests*.parquet' WHERE started_hour >= $start AND started_hour < $end
  ),
  edges AS (
    SELECT replica_id, starts AS moment, weight, request_id, true AS is_start FROM work
    UNION ALL SELECT replica_id, ends, -weight, request_id, false FROM work
  ),
  busy AS (
    SELECT *, sum(weight) OVER line AS weights, lead(moment) OVER line - moment AS lasts FROM edges
    WINDOW line AS (PARTITION BY replica_id ORDER BY moment, is_start, request_id)
  ),
  grown AS (
    SELECT *, coalesce(sum(CASE WHEN weights > 1e-12 THEN lasts * {rate} / weights ELSE 0 END) OVER (
      PARTITION BY replica_id ORDER BY moment, is_start, request_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS integral FROM busy
  )
  SELECT request_id, max(CASE WHEN is_start THEN weight END)
         * (max(CASE WHEN NOT is_start THEN integral END) - max(CASE WHEN is_start THEN integral END)) AS picodollars
  FROM grown GROUP BY request_id
) TO '{folder}/duckdb{part}.parquet' (FORMAT parquet)
"""
_PICODOLLARS_AN_HOUR = 8 * 3_990_000_000_000


def make(folder: str) -> int:
    """Write requests of a day, each within its hour so that both sides cut alike, and ready states of every replica."""
    import numpy as np
    import polars as pl

    from models.schemas import table

    rng = np.random.default_rng(5)
    hours = np.arange(HOURS)
    states = pl.DataFrame(
        {"replica": np.repeat(np.arange(REPLICAS), HOURS), "hour": np.tile(hours, REPLICAS)}
    )
    began = pl.lit(START) + pl.duration(hours="hour")
    states = states.with_columns(
        replica_id=pl.format("r{}", "replica"), deployment=pl.format("d{}", pl.col("replica") // 10),
        provider=pl.lit("vendor"), region=pl.lit("us"), chip=pl.lit("H100"), commitment=pl.lit("on_demand"),
        state=pl.lit("ready"), state_hour=began, accrued_on=began.dt.date(), started_at=began,
        ended_at=began + pl.duration(hours=1), chip_count=8, fraction=1, billed_seconds=3600,
        billed_usd=pl.lit("31.92").cast(pl.Decimal(18, 12)), is_cold_start=False, price_id=pl.lit("p"),
    )  # fmt: skip
    table("core.replica_states").conform(states.lazy(), fill=True).sink_parquet(f"{folder}/states.parquet")
    for hour in range(HOURS):
        _make_hour(folder, hour, ROWS * (hour + 1) // HOURS - ROWS * hour // HOURS, rng)
    return ROWS


def _make_hour(folder: str, hour: int, count: int, rng: "np.random.Generator") -> None:
    import numpy as np
    import polars as pl

    from models.schemas import table

    micros = np.sort(rng.integers(0, 3_600_000_000, count))
    lasts = np.minimum((rng.lognormal(1.5, 0.8, count) * 1e6).astype(np.int64), 3_600_000_000 - micros)
    at = pl.lit(START + timedelta(hours=hour)) + pl.duration(microseconds="micros")
    rows = pl.DataFrame(
        {
            "number": np.arange(count), "micros": micros, "lasts": lasts, "replica": rng.integers(0, REPLICAS, count),
            "input_uncached_tokens": rng.integers(1, 4000, count), "output_text_tokens": rng.integers(1, 800, count),
        }
    ).with_columns(
        source=pl.lit("bench"), source_kind=pl.lit("requests"), request_id=pl.format("q{}-{}", pl.lit(hour), "number"),
        replica_id=pl.format("r{}", "replica"), route=pl.format("d{}", pl.col("replica") // 10), started_at=at,
        finished_at=at + pl.duration(microseconds="lasts"), started_hour=at.dt.truncate("1h"), status=pl.lit("ok"),
        usage_source=pl.lit("provider"), is_gateway_cache_hit=False, ingested_at=pl.lit(START),
        file_hash=pl.lit("f"), line_number=1, record_number=1,
    )  # fmt: skip
    table("core.requests").conform(rows.lazy(), fill=True).sink_parquet(f"{folder}/requests{hour}.parquet")


def _windows() -> list[tuple[datetime, datetime]]:
    """Cut the day as the pipeline does: whole hours of at most ROWS_AT_ONCE requests."""
    step = max(HOURS * ROWS_AT_ONCE // max(ROWS, 1), 1)
    return [
        (START + timedelta(hours=hour), START + timedelta(hours=min(hour + step, HOURS)))
        for hour in range(0, HOURS, step)
    ]


def allocate(folder: str) -> int:
    import polars as pl

    from models.costs.allocation import allocate_requests

    rows = 0
    for part, (start, end) in enumerate(_windows()):
        hour = pl.col("started_hour")
        costs = allocate_requests(
            pl.scan_parquet(f"{folder}/requests*.parquet").filter(hour >= start, hour < end),
            pl.scan_parquet(f"{folder}/states.parquet").filter(
                pl.col("state_hour") >= start, pl.col("state_hour") < end
            ),
            time_zone="UTC",
            from_hour=start,
            to_hour=end,
            provisional_from=end,
        ).collect()
        rows += costs.height
        costs.select("request_id", "effective_usd").write_parquet(f"{folder}/ours{part}.parquet")
    return rows


def duckdb_windows(folder: str) -> int:
    import duckdb

    con = duckdb.connect()
    con.execute("SET threads = 2")
    con.execute("SET TimeZone = 'UTC'")
    for part, (start, end) in enumerate(_windows()):
        query = _WINDOWS.format(folder=folder, part=part, rate=_PICODOLLARS_AN_HOUR / 3_600_000_000)
        con.execute(query, {"start": start, "end": end})
    return ROWS


def compared(folder: str) -> tuple[int, float, str]:
    """Return how many rows both have, their largest difference in picodollars, and the dollars that ours split."""
    import duckdb

    row = duckdb.sql(f"""
        SELECT count(*), max(abs((effective_usd * 1e12)::DOUBLE - picodollars)), sum(effective_usd)::VARCHAR
        FROM '{folder}/ours*.parquet' JOIN '{folder}/duckdb*.parquet' USING (request_id)
    """).fetchone()
    return row or (0, 0.0, "0")


def main() -> None:
    folder = tempfile.mkdtemp(prefix="nanodollar-bench-")
    try:
        measured(make, folder)
        peer = measured(duckdb_windows, folder)
        mine = measured(allocate, folder)
        rows, off, usd = measured(compared, folder).result
        print(f"allocation: {ROWS:,} requests on {REPLICAS:,} replicas of 8 GPUs over a day, {machine()}")
        for name, run in (("DuckDB window SQL, doubles", peer), ("allocate_requests, full rows", mine)):
            per_row = f"{1e6 * run.cpu_seconds / ROWS:.2f} us a request"
            print(
                f"  {name:30}{run.seconds:7.2f} s  {run.cpu_seconds:7.2f} s of processors, {per_row}"
                f"  {run.peak_mib:6.0f} MiB"
            )
        print(
            f"  ratio{mine.seconds / peer.seconds:32.2f} x (target {TARGET_SECONDS * ROWS / 1e7:.0f} s in all)"
        )
        print(f"  {rows:,} rows carry ${float(usd):,.2f}; the largest difference is {off:.1f} picodollars")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
