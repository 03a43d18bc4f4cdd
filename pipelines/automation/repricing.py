"""Which hours a changed sheet puts out of date: those of the models and chips whose entries moved."""

from collections.abc import Mapping
from datetime import datetime

import duckdb
import polars as pl

from pipelines.warehouse.commit import Commit, partition_key

_STAMPS = "price_id, list_price_id, beyond_price_id, sheet_version, sheet_path, sheet_line"
"""Columns that move with every edit of a file and price nothing."""
_TOKEN_HOURS = f"""
WITH moved AS (
  SELECT DISTINCT provider, model FROM (
    (SELECT * EXCLUDE ({_STAMPS}) FROM ref.token_prices EXCEPT SELECT * EXCLUDE ({_STAMPS}) FROM new_token_prices)
    UNION ALL
    (SELECT * EXCLUDE ({_STAMPS}) FROM new_token_prices EXCEPT SELECT * EXCLUDE ({_STAMPS}) FROM ref.token_prices)
  )
),
aliases AS (
  SELECT provider, model, alias FROM ref.models UNION SELECT provider, model, alias FROM new_models
),
names AS (
  SELECT alias FROM aliases JOIN moved USING (provider, model)
  UNION
  SELECT alias FROM (
    (SELECT * EXCLUDE (sheet_path) FROM ref.models EXCEPT SELECT * EXCLUDE (sheet_path) FROM new_models)
    UNION ALL
    (SELECT * EXCLUDE (sheet_path) FROM new_models EXCEPT SELECT * EXCLUDE (sheet_path) FROM ref.models)
  )
)
SELECT DISTINCT accrued_hour FROM core.request_costs
WHERE cost_basis = 'token' AND (served_model IN (FROM names) OR routed_model IN (FROM names)
  OR requested_model IN (FROM names))
UNION
SELECT accrued_hour FROM core.request_costs c JOIN (
  SELECT DISTINCT p.provider, p.model, f.rate_on FROM new_token_prices p JOIN (
    (FROM ref.fx_rates EXCEPT FROM new_fx_rates) UNION (FROM new_fx_rates EXCEPT FROM ref.fx_rates)
  ) f USING (currency)
) m ON m.provider = c.provider AND m.model = c.model AND c.accrued_on >= m.rate_on
WHERE c.cost_basis = 'token'
ORDER BY ALL
"""
_GPU_STAMPS = "price_id, sheet_version, sheet_path, sheet_line"
_GPU_HOURS = f"""
WITH moved AS (
  SELECT DISTINCT provider, chip FROM (
    (SELECT * EXCLUDE ({_GPU_STAMPS}) FROM ref.gpu_prices EXCEPT SELECT * EXCLUDE ({_GPU_STAMPS}) FROM new_gpu_prices)
    UNION ALL
    (SELECT * EXCLUDE ({_GPU_STAMPS}) FROM new_gpu_prices EXCEPT SELECT * EXCLUDE ({_GPU_STAMPS}) FROM ref.gpu_prices)
  )
)
SELECT DISTINCT state_hour FROM core.replica_states JOIN moved USING (provider, chip) ORDER BY ALL
"""
_OVERHEAD_HOURS = """
WITH moved AS (
  SELECT min(valid_from) AS begins FROM (
    (SELECT * EXCLUDE (sheet_path, sheet_line) FROM ref.overhead
     EXCEPT SELECT * EXCLUDE (sheet_path, sheet_line) FROM new_overhead)
    UNION ALL
    (SELECT * EXCLUDE (sheet_path, sheet_line) FROM new_overhead
     EXCEPT SELECT * EXCLUDE (sheet_path, sheet_line) FROM ref.overhead)
  )
)
SELECT partition_key FROM ops.partitions, moved
WHERE table_name = 'core.other_charges'
  AND try_strptime(partition_key, '%Y-%m-%dT%H:%MZ')::TIMESTAMP AT TIME ZONE 'UTC' > begins - INTERVAL 1 HOUR
ORDER BY 1
"""
_OUTDATE = """
UPDATE ops.partitions SET loaded_at = TIMESTAMPTZ '1970-01-01 00:00:00+00'
WHERE table_name = ? AND list_contains(?, partition_key)
"""


def moved_hours(
    con: duckdb.DuckDBPyConnection, frames: Mapping[str, pl.DataFrame]
) -> tuple[list[datetime], list[datetime]]:
    """Return the hours (UTC, in order) whose token costs, and those whose GPU costs, new sheets move."""
    con.execute("USE nanodollar")
    for name in ("token_prices", "models", "gpu_prices", "fx_rates"):
        con.register(f"new_{name}", frames[f"ref.{name}"])
    tokens = [row[0] for row in con.execute(_TOKEN_HOURS).fetchall()]
    return tokens, [row[0] for row in con.execute(_GPU_HOURS).fetchall()]


def outdate(
    con: duckdb.DuckDBPyConnection, commit: Commit, frames: dict[str, pl.DataFrame]
) -> dict[str, int]:
    """Mark, in the commit that brings new sheets, what has to be computed again; the next run does it.

    Args:
        con: a session on the lake as it is before the commit.
        commit: the transaction that replaces the reference tables.
        frames: their new rows.

    Returns:
        The number of hours to price again by `token`, `gpu` and `overhead`, and of days to judge again by `policy`.
    """
    if not con.execute("FROM ops.partitions WHERE table_name LIKE 'core.%' LIMIT 1").fetchall():
        return {"token": 0, "gpu": 0, "overhead": 0, "policy": 0}
    tokens, gpus = moved_hours(con, frames)
    if tokens:
        commit.execute(_OUTDATE, ["core.request_costs", [partition_key(hour) for hour in tokens]])
    for table in ("core.replica_states", "core.request_costs", "core.pool_hours"):
        if gpus:
            commit.execute(_OUTDATE, [table, [partition_key(hour) for hour in gpus]])
    con.register("new_overhead", frames["ref.overhead"])
    overhead = [row[0] for row in con.execute(_OVERHEAD_HOURS).fetchall()]
    if overhead:
        commit.execute(_OUTDATE, ["core.other_charges", overhead])
    days = _policy_days(con, frames["ref.routing_policy"])
    if days:
        commit.execute(_OUTDATE, ["mart.routing_mistakes", days])
    return {"token": len(tokens), "gpu": len(gpus), "overhead": len(overhead), "policy": len(days)}


def _policy_days(con: duckdb.DuckDBPyConnection, new: pl.DataFrame) -> list[str]:
    old = con.execute("FROM ref.routing_policy").pl()
    key = sorted(new.columns)
    if old.is_empty() or old.select(key).sort(key).equals(new.select(key).sort(key)):
        return []
    rows = con.execute(
        "SELECT partition_key FROM ops.partitions WHERE table_name = 'mart.routing_mistakes' ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]
