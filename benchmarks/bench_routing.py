"""Judge attempts against 200 candidate routes each, against DuckDB's least of the same 200 products a row.

python -m benchmarks routing      NANODOLLAR_BENCH_ATTEMPTS=10000000 by default
"""

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta

from benchmarks.measure import machine, measured

ROWS = int(os.environ.get("NANODOLLAR_BENCH_ATTEMPTS", "10000000"))
CANDIDATES = 200
ROUTES = 20
WRONG_SHARE = 0.05
START = datetime(2026, 11, 2, tzinfo=UTC)
DUCKDB_SHARE = 20
"""DuckDB judges one attempt in so many; its time is compared per attempt."""
TARGET_SECONDS = 15.0
_METERS = ("input_uncached", "cache_read", "output_text")

_LEAST = """
COPY (
  WITH cards AS (SELECT list({{i: input_rate, o: output_rate}}) AS all_cards FROM '{folder}/cards.parquet')
  SELECT source, request_id, effective_usd,
         list_min(list_transform(all_cards, lambda c: input_uncached_tokens * c.i + cache_read_tokens * c.i
                                                    + output_text_tokens * c.o)) AS least
  FROM (FROM '{folder}/costs.parquet' LIMIT {rows}), cards
) TO '{folder}/duckdb.parquet' (FORMAT parquet)
"""


def make(folder: str) -> int:
    """Write one model at 200 places, and attempts of 20 routes of which one in twenty took a wrong place."""
    import numpy as np
    import polars as pl

    from models.money import usd_from_picodollars
    from models.schemas import table

    rng = np.random.default_rng(11)
    rates = np.stack(
        [
            rng.integers(200, 900, CANDIDATES),
            rng.integers(50, 190, CANDIDATES),
            rng.integers(400, 2000, CANDIDATES),
        ]
    )
    rates *= 1000
    places = [f"provider{number:03d}" for number in range(CANDIDATES)]
    pl.DataFrame({"input_rate": rates[0], "read_rate": rates[1], "output_rate": rates[2]}).write_parquet(
        f"{folder}/cards.parquet"
    )
    table("ref.token_prices").frame(
        {
            "price_id": place, "meter": meter, "provider": place, "model": "llama", "model_family": "llama",
            "service_tier": "default", "priced_at": "started", "layer": "list", "unit": "token",
            "picodollars_per_unit": int(rates[position, number]), "is_rounded": False,
            "valid_from": START - timedelta(days=30), "known_from": START - timedelta(days=30),
            "sheet_version": "v", "sheet_path": "p", "source_url": "https://example.com",
        }
        for number, place in enumerate(places)
        for position, meter in enumerate(_METERS)
    ).write_parquet(f"{folder}/book.parquet")  # fmt: skip
    sizes = np.stack(
        [
            rng.integers(100, 6000, ROWS),
            rng.integers(0, 3000, ROWS) // 2000 * 1500,
            rng.integers(1, 900, ROWS),
        ]
    )
    taken = np.empty(ROWS, dtype=np.int64)
    cold = np.stack([rates[0], rates[0], rates[2]])
    for first in range(0, ROWS, 100_000):
        part = sizes[:, first : first + 100_000].T.astype(np.float64)
        taken[first : first + 100_000] = (part @ cold).argmin(axis=1)
    wrong = rng.random(ROWS) < WRONG_SHARE
    taken[wrong] = rng.integers(0, CANDIDATES, int(wrong.sum()))
    cost = (sizes * np.stack([rates[0][taken], rates[1][taken], rates[2][taken]])).sum(axis=0)
    names = pl.Series(places)
    routes = pl.Series([f"route{number}" for number in range(ROUTES)])
    rows = pl.DataFrame(
        {
            "request_id": np.arange(ROWS), "picodollars": cost,
            "started_at": np.sort(rng.integers(0, 86_400_000_000, ROWS)),
            "input_uncached_tokens": sizes[0], "cache_read_tokens": sizes[1], "output_text_tokens": sizes[2],
        }
    ).with_columns(
        source=pl.lit("bench"), request_id=pl.format("r{}", "request_id"),
        started_at=pl.lit(START) + pl.duration(microseconds="started_at"), accrued_hour=pl.lit(START),
        accrued_on=pl.lit(START.date()), provider=names.gather(taken), model=pl.lit("llama"),
        model_family=pl.lit("llama"), route=routes.gather(rng.integers(0, ROUTES, ROWS)), tenant=pl.lit("t"),
        status=pl.lit("ok"), attempt_no=1, is_first_accrual=True, price_state=pl.lit("priced"),
        cost_basis=pl.lit("token"), usage_source=pl.lit("provider"), is_provisional=False, meters_usd=pl.lit(0),
        is_fallback=pl.lit(value=False),
        effective_usd=usd_from_picodollars(pl.col("picodollars")),
    )  # fmt: skip
    table("core.request_costs").conform(rows.lazy(), fill=True).sink_parquet(f"{folder}/costs.parquet")
    return int(wrong.sum())


def judge(folder: str) -> tuple[int, int]:
    import polars as pl

    from models.routing.mistakes import routing_mistakes
    from models.routing.policy import read_policy
    from models.schemas import table

    judged = routing_mistakes(
        pl.scan_parquet(f"{folder}/costs.parquet"),
        policy=read_policy("", path=""),
        book=pl.scan_parquet(f"{folder}/book.parquet"),
        models=table("ref.models").empty().lazy(),
        as_known_at=START + timedelta(days=1),
    )
    judged.mistakes.select("request_id", "regret_usd").write_parquet(f"{folder}/mistakes.parquet")
    return judged.mistakes.height, int(judged.mistakes.get_column("regret_usd").sum() * 10**12)


def duckdb_least(folder: str) -> int:
    import duckdb

    con = duckdb.connect()
    con.execute("SET threads = 2")
    con.execute(_LEAST.format(folder=folder, rows=ROWS // DUCKDB_SHARE))
    return ROWS // DUCKDB_SHARE


def differences(folder: str) -> int:
    """Return how many attempts that both judged differ in regret."""
    import duckdb

    row = duckdb.sql(f"""
        SELECT count(*) FILTER (WHERE greatest((effective_usd * 1e12)::HUGEINT - least, 0)
                                <> coalesce((regret_usd * 1e12)::HUGEINT, 0))
        FROM '{folder}/duckdb.parquet' LEFT JOIN '{folder}/mistakes.parquet' USING (request_id)
    """).fetchone()
    return int(row[0]) if row else -1


def main() -> None:
    folder = tempfile.mkdtemp(prefix="nanodollar-bench-")
    try:
        wrong = measured(make, folder).result
        mine = measured(judge, folder)
        peer = measured(duckdb_least, folder)
        different = measured(differences, folder).result
        flagged, regret = mine.result
        rate, other = ROWS / mine.seconds, peer.result / peer.seconds
        print(
            f"routing: {ROWS:,} attempts x {CANDIDATES} candidate routes, {wrong:,} at a random one, {machine()}"
        )
        for name, run, speed in (
            ("DuckDB list_min of 200", peer, other),
            ("routing_mistakes, all kinds", mine, rate),
        ):
            print(f"  {name:30}{run.seconds:7.2f} s  {run.peak_mib:7.0f} MiB  {speed:12,.0f} attempts/s")
        print(f"  ratio{rate / other:32.2f} x faster an attempt (target {TARGET_SECONDS:.0f} s in all)")
        print(f"  flagged {flagged:,}, regret ${regret / 1e12:,.2f}; {different} of {peer.result:,} differ")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
