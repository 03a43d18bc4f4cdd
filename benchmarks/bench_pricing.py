"""Price canonical requests, against DuckDB's ASOF JOIN on the same rows with equal results.

python -m benchmarks pricing      NANODOLLAR_BENCH_REQUESTS=10000000 by default
"""

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import machine, measured

ROWS = int(os.environ.get("NANODOLLAR_BENCH_REQUESTS", "10000000"))
START = datetime(2026, 11, 2, tzinfo=UTC)
DAYS = 7
_KNOWN_AT = datetime(2026, 11, 24, tzinfo=UTC)

_ASOF = """
COPY (
  WITH cards AS (
    SELECT provider, model, valid_from,
           max(picodollars_per_unit) FILTER (WHERE meter = 'input_uncached') AS input_rate,
           max(picodollars_per_unit) FILTER (WHERE meter = 'cache_read') AS read_rate,
           max(picodollars_per_unit) FILTER (WHERE meter = 'output_text') AS output_rate,
           max(picodollars_per_unit) FILTER (WHERE meter = 'reasoning') AS reasoning_rate
    FROM read_parquet('{folder}/book.parquet')
    WHERE service_tier = 'default' AND above_input_tokens IS NULL AND region IS NULL
    GROUP BY ALL
  )
  SELECT r.source, r.request_id, r.provider, r.served_model, r.started_at,
         (r.input_uncached_tokens::HUGEINT * c.input_rate + r.cache_read_tokens::HUGEINT * coalesce(c.read_rate, 0)
          + r.output_text_tokens::HUGEINT * c.output_rate + r.reasoning_tokens::HUGEINT * coalesce(c.reasoning_rate, 0)
         ) * 0.000000000001::DECIMAL(13,12) AS effective_usd
  FROM read_parquet('{folder}/requests.parquet') r
  ASOF JOIN cards c ON r.provider = c.provider AND r.served_model = c.model AND r.started_at >= c.valid_from
) TO '{folder}/duckdb.parquet' (FORMAT parquet)
"""


def make(folder: str) -> int:
    """Write canonical requests of the models that the built-in sheets know, and the price book."""
    import numpy as np
    import polars as pl

    from models.prices.builtin import builtin_token_sheets
    from models.prices.sheets import load_token_sheets
    from models.prices.token_book import model_aliases, token_book
    from models.schemas import table

    sheets = load_token_sheets(builtin_token_sheets())
    book = token_book(sheets)
    book.write_parquet(f"{folder}/book.parquet")
    model_aliases(sheets).write_parquet(f"{folder}/models.parquet")
    base = book.filter(
        (pl.col("service_tier") == "default")
        & pl.col("above_input_tokens").is_null()
        & pl.col("region").is_null()
        & pl.col("schedule").is_null()
        & (pl.col("valid_from") <= START)
        & pl.col("picodollars_per_unit").is_not_null()
    )
    meters = base.group_by("provider", "model").agg(pl.col("meter").unique())
    threshold = book.filter(pl.col("above_input_tokens").is_not_null()).select("provider", "model").unique()
    cells = (
        meters.filter(
            pl.all_horizontal(
                pl.col("meter").list.contains(name)
                for name in ("input_uncached", "cache_read", "output_text", "reasoning")
            )
        )
        .join(threshold, on=["provider", "model"], how="anti")
        .sort("provider", "model")
        .select("provider", "model")
    )
    rng = np.random.default_rng(7)
    pick = rng.integers(0, cells.height, ROWS)
    rows = pl.DataFrame(
        {
            "request_id": np.arange(ROWS),
            "started_at": np.sort(rng.integers(0, int(timedelta(days=DAYS).total_seconds() * 1e6), ROWS)),
            "input_uncached_tokens": rng.integers(1, 4000, ROWS),
            "cache_read_tokens": rng.integers(0, 2000, ROWS),
            "output_text_tokens": rng.integers(1, 800, ROWS),
            "reasoning_tokens": rng.integers(0, 400, ROWS),
        }
    ).with_columns(
        source=pl.lit("bench"),
        source_kind=pl.lit("requests"),
        request_id=pl.format("r{}", pl.col("request_id")),
        started_at=pl.lit(START) + pl.duration(microseconds=pl.col("started_at")),
        provider=cells.get_column("provider").gather(pick),
        served_model=cells.get_column("model").gather(pick),
        status=pl.lit("ok"),
        usage_source=pl.lit("provider"),
        is_gateway_cache_hit=pl.lit(value=False),
        ingested_at=pl.lit(START),
        file_hash=pl.lit("bench"),
        line_number=pl.lit(1),
        record_number=pl.lit(1),
        started_hour=pl.lit(START),
    )
    table("core.requests").conform(rows.lazy(), fill=True).sink_parquet(f"{folder}/requests.parquet")
    return cells.height


def ours(folder: str) -> int:
    import polars as pl

    from models.costs.token_costs import price_requests

    price_requests(
        pl.scan_parquet(f"{folder}/requests.parquet"),
        book=pl.scan_parquet(f"{folder}/book.parquet"),
        models=pl.scan_parquet(f"{folder}/models.parquet"),
        gpu_routes=(),
        time_zone="UTC",
        as_known_at=_KNOWN_AT,
        from_hour=START,
        to_hour=START + timedelta(days=DAYS),
    ).sink_parquet(f"{folder}/ours.parquet")
    return ROWS


def duckdb_asof(folder: str) -> int:
    import duckdb

    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute(_ASOF.format(folder=folder))
    return ROWS


def equal(folder: str) -> tuple[int, int]:
    """Return how many rows both priced and how many of them differ."""
    import duckdb

    row = duckdb.sql(
        f"SELECT count(*), count(*) FILTER (WHERE o.effective_usd IS DISTINCT FROM d.effective_usd) "
        f"FROM '{folder}/ours.parquet' o JOIN '{folder}/duckdb.parquet' d USING (request_id)"
    ).fetchone()
    return row or (0, 0)


def main() -> None:
    folder = tempfile.mkdtemp(prefix="nanodollar-bench-")
    try:
        cells = measured(make, folder).result
        peer = measured(duckdb_asof, folder)
        mine = measured(ours, folder)
        rows, different = measured(equal, folder).result
        print(f"pricing: {ROWS:,} canonical requests over {cells} models, {machine()}")
        print(f"  DuckDB ASOF JOIN, 4 classes   {peer.seconds:7.2f} s  {peer.peak_mib:7.0f} MiB")
        print(f"  price_requests, full rows     {mine.seconds:7.2f} s  {mine.peak_mib:7.0f} MiB")
        print(f"  ratio                         {mine.seconds / peer.seconds:7.2f} x")
        print(f"  equal results                 {rows - different:,} of {rows:,}")
        print(
            f"  size                          {Path(folder, 'ours.parquet').stat().st_size / 1e6:,.0f} MB written"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
