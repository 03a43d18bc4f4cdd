"""Holding a month of bills against the ledger's marts, beside a bare DuckDB join of the same rows.

python -m benchmarks reconciliation    200,000 lines of a bill, and marts as a month of 100 M requests leaves them
"""

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import machine, measured

if TYPE_CHECKING:
    import duckdb

_CELLS = """
SELECT DATE '2026-10-01' + day::INTEGER AS day, 'model-' || model AS model, 'region-' || region AS region,
  ['input_uncached', 'cache_read', 'output_text', 'cache_write_5m'][meter + 1] AS meter,
  1000 + hash(day, model, region, meter) % 100000 AS tokens
FROM range(31) d(day), range(30) m(model), range(5) r(region), range(4) t(meter)
"""
_LEDGER = f"""
INSERT INTO mart.cost_per_meter_daily BY NAME
SELECT day AS accrued_on, day AS utc_on, 'openai' AS provider, model, region, 'default' AS service_tier,
  'gateway' AS source, 'tenant-' || tenant AS tenant, meter, tokens * 100 AS quantity, 0 AS unpriced_quantity,
  tokens * 100 * 0.0000025 AS usage_usd
FROM ({_CELLS}), range(100) u(tenant)
"""
_LINES = f"""
INSERT INTO core.invoice_lines BY NAME
SELECT DATE '2026-10-01' AS billed_on, 'bill' AS source, 'invoice_lines' AS source_kind,
  'OpenAI' AS invoice_issuer_name, 'INV-1' AS invoice_id, TIMESTAMPTZ '2026-10-01 00:00:00+00' AS billing_period_start,
  TIMESTAMPTZ '2026-11-01 00:00:00+00' AS billing_period_end, day::TIMESTAMP AT TIME ZONE 'UTC' AS charge_period_start,
  (day + 1)::TIMESTAMP AT TIME ZONE 'UTC' AS charge_period_end, 'Usage' AS charge_category, 'openai' AS provider,
  model, model AS canonical_model, region, 'default' AS service_tier, meter AS token_class,
  'project-' || account AS sub_account_id, tokens * 1000 AS consumed_quantity, 'tokens' AS consumed_unit,
  tokens * 1000 * 0.0000025 AS billed_cost, tokens * 1000 * 0.0000025 AS usd, 'USD' AS currency,
  'hash' AS file_hash,
  row_number() OVER () AS line_number, 1 AS record_number
FROM ({_CELLS}), range(11) a(account)
"""
_JOIN = """
WITH lines AS (
  SELECT canonical_model, region, token_class, sum(consumed_quantity) AS quantity, sum(usd) AS usd
  FROM core.invoice_lines GROUP BY ALL
),
ledger AS (
  SELECT model, region, meter, sum(quantity) AS quantity, sum(usage_usd) AS usd
  FROM mart.cost_per_meter_daily GROUP BY ALL
)
SELECT count(*), sum(l.usd - g.usd) FROM lines l FULL JOIN ledger g
  ON g.model = l.canonical_model AND g.region = l.region AND g.meter = l.token_class
"""


def main() -> None:
    print(f"reconciliation, {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        bare = measured(_bare, folder)
        print(
            f"bare DuckDB join          {bare.result[0]:6.2f} s, {bare.peak_mib:,.0f} MiB with the rows made"
        )
        ours = measured(_ours, folder)
        seconds, lines, ledger, cells, unexplained = ours.result
        print(
            f"mart.invoice_reconciliation {seconds:4.2f} s ({seconds / bare.result[0]:.1f} x), "
            f"{ours.peak_mib:,.0f} MiB: {lines:,} lines, {ledger:,} rows of the ledger, "
            f"{cells:,} cells, ${unexplained} unexplained"
        )


def _bare(folder: str) -> tuple[float, int]:
    import time

    con = _month(folder)
    started = time.perf_counter()
    cells = con.execute(_JOIN).fetchall()[0][0]
    return time.perf_counter() - started, cells


def _ours(folder: str) -> tuple[float, int, int, int, str]:
    import time

    from pipelines.project import find_project
    from pipelines.steps.base import Window
    from pipelines.steps.inputs import Inputs
    from pipelines.steps.mart_invoice_reconciliation import compute

    con = _month(folder)
    settings = Path(folder) / "nanodollar.toml"
    settings.write_text(
        '[[sources]]\nname = "bill"\nkind = "invoice_lines"\npath = "bills/*.csv"\n', encoding="utf-8"
    )
    window = Window.of_days(
        date(2026, 10, 1), date(2026, 11, 1), now=datetime(2026, 11, 2, tzinfo=UTC), time_zone="UTC"
    )
    started = time.perf_counter()
    (rows,) = compute(Inputs(con, find_project(settings.parent)), window).values()
    seconds = time.perf_counter() - started
    lines, ledger = (
        con.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
        for name in ("core.invoice_lines", "mart.cost_per_meter_daily")
    )
    return seconds, lines, ledger, rows.height, f"{rows.get_column('unexplained_usd').sum():f}"


def _month(folder: str) -> "duckdb.DuckDBPyConnection":
    import duckdb

    from models.schemas import tables

    con = duckdb.connect(f"{folder}/month.duckdb")
    con.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    if not con.execute("SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'mart'").fetchall():
        for schema in ("raw", "ref", "core", "mart", "ops"):
            con.execute(f"CREATE SCHEMA {schema}")
        for each in sorted(tables().values(), key=lambda one: one.select is not None):
            for statement in each.ddl():
                con.execute(statement)
        con.execute(_LEDGER)
        con.execute(_LINES)
    return con
