"""An in-memory warehouse with every table, and rows with the columns that a test does not care about filled in."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from models.marts import macros_sql, mart_sql
from models.schemas import table, tables
from models.schemas.vocabulary import POOL_PARTS


def open_warehouse() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    for schema in ("raw", "ref", "core", "mart", "ops"):
        con.execute(f"CREATE SCHEMA {schema}")
    for each in sorted(tables().values(), key=lambda one: one.select is not None):
        for statement in each.ddl():
            con.execute(statement)
    for statement in macros_sql():
        con.execute(statement)
    return con


def insert(
    con: duckdb.DuckDBPyConnection, dotted: str, rows: Iterable[dict[str, Any]] | pl.DataFrame
) -> None:
    frame = rows if isinstance(rows, pl.DataFrame) else table(dotted).frame(rows)
    con.register("incoming", frame)
    con.execute(f"INSERT INTO {dotted} BY NAME SELECT * FROM incoming")
    con.unregister("incoming")


def fill(con: duckdb.DuckDBPyConnection, dotted: str, name: str, **parameters: Any) -> pl.DataFrame:
    """Run a mart's SELECT, conform it to its table, store it and return it."""
    rows = con.execute(mart_sql(name), parameters).pl()
    frame = table(dotted).conform(rows.lazy()).collect()
    con.execute(f"DELETE FROM {dotted}")
    insert(con, dotted, frame)
    return frame


def picodollars(number: int) -> Decimal:
    return Decimal(number).scaleb(-12)


def attempt(request_id: str, started_at: datetime, accrued_on: date, **changes: Any) -> dict[str, Any]:
    hour = started_at.replace(minute=0, second=0, microsecond=0)
    usd = changes.get("effective_usd")
    return {
        "source": "gateway", "request_id": request_id, "started_at": started_at, "accrued_hour": hour,
        "accrued_on": accrued_on, "provider": "openai", "region": "us", "route": "chat", "model": "gpt",
        "tenant": "acme", "status": "ok", "attempt_no": 1, "is_first_accrual": True, "price_state": "priced",
        "cost_basis": "token", "usage_source": "provider", "is_provisional": False,
        "input_usd": usd, "output_usd": None if usd is None else Decimal(0),
    } | changes  # fmt: skip


def gpu_attempt(request_id: str, started_at: datetime, accrued_on: date, **changes: Any) -> dict[str, Any]:
    pool = {
        "provider": "lambda", "region": "us", "chip": "H100", "deployment": "llama-pool", "commitment": "on_demand",
        "route": "llama-pool", "model": "llama", "cost_basis": "gpu", "allocation_grain": "replica",
        "allocation_rule": "token_share", "weights_from": "default",
    }  # fmt: skip
    return attempt(request_id, started_at, accrued_on, **(pool | changes))


def pool_hour(pool_hour_at: datetime, accrued_on: date, **changes: Any) -> dict[str, Any]:
    """Return a pool-hour whose bill is the sum of the parts given, in dollars."""
    parts = {f"{part}_usd": changes.get(f"{part}_usd", Decimal(0)) for part in POOL_PARTS}
    seconds = {f"{part}_gpu_seconds": Decimal(0) for part in POOL_PARTS}
    row = {
        "provider": "lambda", "region": "us", "chip": "H100", "deployment": "llama-pool", "commitment": "on_demand",
        "model": "llama", "pool_hour": pool_hour_at, "accrued_on": accrued_on, "is_provisional": False,
        "billed_gpu_seconds": Decimal(3600), "wall_gpu_seconds": Decimal(3600),
        "billed_usd": None if None in parts.values() else sum(parts.values()),
    }  # fmt: skip
    return row | seconds | parts | changes


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
