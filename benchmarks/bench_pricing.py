"""Price canonical requests, against SQL and against a pricing library, on the same rows with equal results.

python -m benchmarks pricing      NANODOLLAR_BENCH_REQUESTS=10000000 by default

Two rivals in SQL: DuckDB's ASOF JOIN of four token classes at base rates (no tier, region, threshold, schedule,
contract, currency or name that moves), and DuckDB with all rules of the sheets, the macro `cost_as_known`.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import machine, measured

if TYPE_CHECKING:
    import duckdb
    import polars as pl

ROWS = int(os.environ.get("NANODOLLAR_BENCH_REQUESTS", "10000000"))
START = datetime(2026, 11, 2, tzinfo=UTC)
DAYS = 7
ROWS_IN_MEMORY = 1_000_000
_KNOWN_AT = datetime(2026, 11, 24, tzinfo=UTC)

_ASOF = """
  WITH cards AS (
    SELECT provider, model, valid_from,
           max(picodollars_per_unit) FILTER (WHERE meter = 'input_uncached') AS input_rate,
           max(picodollars_per_unit) FILTER (WHERE meter = 'cache_read') AS read_rate,
           max(picodollars_per_unit) FILTER (WHERE meter = 'output_text') AS output_rate,
           max(picodollars_per_unit) FILTER (WHERE meter = 'reasoning') AS reasoning_rate
    FROM read_parquet('{folder}/book.parquet')
    WHERE service_tier = 'default' AND above_input_tokens IS NULL AND region IS NULL AND schedule IS NULL
      AND known_to IS NULL
    GROUP BY ALL
  )
  SELECT r.source, r.request_id, r.provider, r.served_model, r.started_at,
         (r.input_uncached_tokens::HUGEINT * c.input_rate + r.cache_read_tokens::HUGEINT * coalesce(c.read_rate, 0)
          + r.output_text_tokens::HUGEINT * c.output_rate + r.reasoning_tokens::HUGEINT * coalesce(c.reasoning_rate, 0)
         ) * 0.000000000001::DECIMAL(13,12) AS effective_usd
  FROM {requests} r
  ASOF JOIN cards c ON r.provider = c.provider AND r.served_model = c.model AND r.started_at >= c.valid_from
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
        & pl.col("valid_to").is_null()
        & pl.col("known_to").is_null()
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


def _priced(requests: "pl.LazyFrame", folder: str) -> "pl.LazyFrame":
    import polars as pl

    from models.costs.token_costs import price_requests

    return price_requests(
        requests,
        book=pl.scan_parquet(f"{folder}/book.parquet"),
        models=pl.scan_parquet(f"{folder}/models.parquet"),
        time_zone="UTC",
        as_known_at=_KNOWN_AT,
        from_hour=START,
        to_hour=START + timedelta(days=DAYS),
    )


def ours(folder: str) -> int:
    import polars as pl

    _priced(pl.scan_parquet(f"{folder}/requests.parquet"), folder).sink_parquet(f"{folder}/ours.parquet")
    return ROWS


def duckdb_asof(folder: str) -> int:
    query = _ASOF.format(folder=folder, requests=f"read_parquet('{folder}/requests.parquet')")
    _session().execute(f"COPY ({query}) TO '{folder}/duckdb.parquet' (FORMAT parquet)")
    return ROWS


def ours_in_memory(folder: str, rows: int) -> float:
    """Return the seconds that pricing takes without files; the best of two."""
    import polars as pl

    requests = pl.read_parquet(f"{folder}/requests.parquet", n_rows=rows)
    return min(timed(lambda: _priced(requests.lazy(), folder).collect()) for _ in range(2))


def asof_in_memory(folder: str, rows: int) -> float:
    con = _session()
    con.execute(f"CREATE TABLE requests AS FROM read_parquet('{folder}/requests.parquet') LIMIT {rows}")
    query = _ASOF.format(folder=folder, requests="requests")
    return min(timed(lambda: con.execute(f"CREATE OR REPLACE TEMP TABLE o AS {query}")) for _ in range(2))


def all_rules_in_memory(folder: str, rows: int) -> tuple[float, int]:
    """Return the seconds of the SQL macro with every rule, and on how many rows it equals ours."""
    from models.marts import macros_sql
    from models.schemas import tables

    con = _session()
    for schema in ("raw", "ref", "core", "mart", "ops"):
        con.execute(f"CREATE SCHEMA {schema}")
    for table in sorted(tables().values(), key=lambda each: each.select is not None):
        for statement in table.ddl():
            con.execute(statement)
    for statement in macros_sql():
        con.execute(statement)
    for dotted, file in (
        ("ref.token_prices", "book"), ("ref.models", "models"),
        ("core.requests", "requests"), ("core.request_costs", "ours"),
    ):  # fmt: skip
        is_rows = dotted.startswith("core")
        con.execute(
            f"INSERT INTO {dotted} BY NAME FROM read_parquet('{folder}/{file}.parquet')"
            + (f" ORDER BY started_at, request_id LIMIT {rows}" if is_rows else "")
        )
    seconds = timed(lambda: con.execute("CREATE TEMP TABLE known AS FROM cost_as_known(?)", [_KNOWN_AT]))
    same = con.execute(
        "SELECT count(*) FROM known WHERE effective_usd = current_usd AND effective_usd IS NOT NULL"
    ).fetchone()
    return seconds, same[0] if same else 0


def library_calls(count: int) -> float:
    """Return the seconds of a call of genai-prices."""
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=1500, cache_read_tokens=500, output_tokens=200)
    return (
        timed(
            lambda: [calc_price(usage, model_ref="gpt-4o-mini", provider_id="openai") for _ in range(count)]
        )
        / count
    )


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _session() -> "duckdb.DuckDBPyConnection":
    import duckdb

    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    return con


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
        print("  file to file")
        print(f"    DuckDB ASOF JOIN, 4 classes     {peer.seconds:7.2f} s  {peer.peak_mib:7.0f} MiB")
        print(f"    price_requests, full rows       {mine.seconds:7.2f} s  {mine.peak_mib:7.0f} MiB")
        print(f"    ratio                           {mine.seconds / peer.seconds:7.2f} x")
        print(f"    equal results                   {rows - different:,} of {rows:,}")
        print(
            f"    size                            {Path(folder, 'ours.parquet').stat().st_size / 1e6:,.0f} MB"
        )
        few = min(ROWS, ROWS_IN_MEMORY)
        engine = measured(ours_in_memory, folder, few).result
        asof = measured(asof_in_memory, folder, few).result
        rules, same = measured(all_rules_in_memory, folder, few).result
        call = measured(library_calls, 2_000).result
        print(f"  in memory, {few:,} rows")
        print(f"    price_requests, full rows       {engine:7.2f} s  {engine / few * 1e9:7.0f} ns a row")
        print(f"    DuckDB ASOF JOIN, 4 classes     {asof:7.2f} s  {engine / asof:7.2f} x its time")
        print(
            f"    DuckDB, all rules (the macro)   {rules:7.2f} s  {engine / rules:7.2f} x its time, {same:,} equal"
        )
        print(
            f"    genai-prices, a call            {call * 1e6:7.1f} us {call / engine * few:7.0f} of our rows"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
