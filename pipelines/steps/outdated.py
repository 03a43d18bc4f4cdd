"""Which partitions changed sheets put out of date: those of the models, chips and pools whose entries moved.

Each function takes a session on the lake as it was and the new rows of the reference tables.
"""

from collections.abc import Mapping
from datetime import date, datetime

import duckdb
import polars as pl

from models.schemas import table

_STAMPS = {
    "price_id", "list_price_id", "beyond_price_id", "sheet_version", "sheet_path", "sheet_line", "read_on", "developer",
    "is_open_weights",
}  # fmt: skip
"""Columns that price nothing, or move with every edit of a file."""


def changed_rows(name: str) -> str:
    """Return the query of the rows of a sheet's table that the lake has and the new sheets have not, or the reverse.

    Columns are named: a lake of an earlier version has them in another order.
    """
    columns = ", ".join(column for column in table(f"ref.{name}").column_names if column not in _STAMPS)
    old, new = f"SELECT {columns} FROM ref.{name}", f"SELECT {columns} FROM new_{name}"
    return f"(({old} EXCEPT {new}) UNION ALL ({new} EXCEPT {old}))"


_TOKEN_HOURS = f"""
WITH moved AS (SELECT DISTINCT provider, model FROM {changed_rows("token_prices")}),
aliases AS (
  SELECT provider, model, alias FROM ref.models UNION SELECT provider, model, alias FROM new_models
),
names AS (
  SELECT alias FROM aliases JOIN moved USING (provider, model)
  UNION
  SELECT alias FROM {changed_rows("models")}
)
SELECT DISTINCT accrued_hour FROM core.request_costs
WHERE cost_basis = 'token' AND (served_model IN (FROM names) OR routed_model IN (FROM names)
  OR requested_model IN (FROM names) OR model IN (FROM names))
UNION
SELECT accrued_hour FROM core.request_costs c JOIN core.requests r USING (source, request_id, started_at)
WHERE EXISTS (
  FROM {changed_rows("deployments")} d
  WHERE d.alias IN (r.routed_model, r.requested_model, r.route, r.served_model)
)
UNION
SELECT accrued_hour FROM core.request_costs c JOIN (
  SELECT DISTINCT p.provider, p.model, f.rate_on
  FROM new_token_prices p JOIN {changed_rows("fx_rates")} f USING (currency)
) m ON m.provider = c.provider AND m.model = c.model AND c.accrued_on >= m.rate_on
WHERE c.cost_basis = 'token'
ORDER BY ALL
"""
_GPU_HOURS = f"""
SELECT DISTINCT state_hour FROM core.replica_states
JOIN (SELECT DISTINCT provider, chip FROM {changed_rows("gpu_prices")}) USING (provider, chip) ORDER BY ALL
"""
_OVERHEAD_HOURS = f"""
WITH moved AS (SELECT min(valid_from) AS begins FROM {changed_rows("overhead")})
SELECT try_strptime(partition_key, '%Y-%m-%dT%H:%MZ')::TIMESTAMP AT TIME ZONE 'UTC' AS hour
FROM ops.partitions, moved WHERE table_name = 'core.other_charges' AND hour > begins - INTERVAL 1 HOUR ORDER BY 1
"""


def moved_token_hours(
    con: duckdb.DuckDBPyConnection, frames: Mapping[str, pl.DataFrame]
) -> list[datetime | date]:
    """Return the UTC hours, in order, whose token costs new sheets, names or exchange rates move."""
    return _moved(con, frames, _TOKEN_HOURS)


def moved_gpu_hours(
    con: duckdb.DuckDBPyConnection, frames: Mapping[str, pl.DataFrame]
) -> list[datetime | date]:
    """Return the UTC hours, in order, whose GPU costs new sheets move."""
    return _moved(con, frames, _GPU_HOURS)


def moved_overhead_hours(
    con: duckdb.DuckDBPyConnection, frames: Mapping[str, pl.DataFrame]
) -> list[datetime | date]:
    """Return the UTC hours, in order, whose overhead a changed file moves."""
    return _moved(con, frames, _OVERHEAD_HOURS)


def moved_policy_days(
    con: duckdb.DuckDBPyConnection, frames: Mapping[str, pl.DataFrame]
) -> list[datetime | date]:
    """Return every business day whose routes were judged by another policy."""
    old, new = con.execute("FROM ref.routing_policy").pl(), frames["ref.routing_policy"]
    key = sorted(new.columns)
    if old.is_empty() or old.select(key).sort(key).equals(new.select(key).sort(key)):
        return []
    rows = con.execute(
        "SELECT partition_key::DATE FROM ops.partitions WHERE table_name = 'mart.routing_mistakes' ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


def _moved(
    con: duckdb.DuckDBPyConnection, frames: Mapping[str, pl.DataFrame], query: str
) -> list[datetime | date]:
    con.execute("USE nanodollar")
    for dotted, rows in frames.items():
        name = dotted.partition(".")[2]
        if f"new_{name}" in query:
            con.register(f"new_{name}", rows)
    return [row[0] for row in con.execute(query).fetchall()]
