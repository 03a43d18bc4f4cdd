"""Whatever the rows, the marts that analysts read hold each dollar, token and attempt once."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.marts import mart_sql
from models.schemas import table
from tests.models.marts.warehouse import (
    attempt,
    fill,
    gpu_attempt,
    insert,
    open_warehouse,
    picodollars,
    pool_hour,
    utc,
)

FIRST = date(2026, 5, 4)
LAST = FIRST + timedelta(days=3)
START = utc("2026-05-04T00:00")
MARTS = ("cost_per_token_daily", "cost_per_session", "idle_cost_daily", "scoreboard", "cost_per_outcome")
MONEY = st.integers(0, 10**15)
WORDS = st.sampled_from(["x", "y", None])
SUMS = ("total_tokens", "attempt_count", "request_count", "error_count")
HELD = "SELECT coalesce(sum(idle_usd), 0), coalesce(sum(idle_gpu_seconds), 0) FROM core.pool_hours"


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    con = open_warehouse()
    con.register("factors", pl.DataFrame(schema={"name": pl.String, "tokens_ratio": pl.Float64}))
    con.register(
        "wanted_references", pl.DataFrame(schema=dict.fromkeys(("route", "provider", "model"), pl.String))
    )
    return con


@st.composite
def fleets(draw: st.DrawFn) -> tuple[list[dict[str, Any]], ...]:
    """Return attempts, their log rows, pool-hours, and tasks that the sessions led to."""
    costs: list[dict[str, Any]] = []
    pools: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 8))):
        at: datetime = START + timedelta(hours=draw(st.integers(0, 71)))
        usd = draw(st.none() | MONEY)
        costs.append(
            attempt(
                f"t{number}", at, at.date(), tenant=draw(WORDS), team=draw(WORDS), feature=draw(WORDS),
                session_id=draw(WORDS), task_class=draw(WORDS), attempt_no=draw(st.sampled_from([None, 0, 1, 2])),
                status=draw(st.sampled_from(["ok", "error", "cancelled"])),
                duration_seconds=draw(st.none() | st.just(2.5)),
                price_state="unpriced" if usd is None else "priced",
                effective_usd=None if usd is None else picodollars(usd),
                output_text_tokens=draw(st.none() | st.integers(0, 10**6)),
            )
        )  # fmt: skip
    for number in range(draw(st.integers(0, 4))):
        hour = START + timedelta(hours=number * 13)
        shares = draw(st.lists(st.tuples(MONEY, st.integers(0, 10**9), WORDS, WORDS), max_size=4))
        costs += [
            gpu_attempt(
                f"g{number}.{share}", hour, hour.date(), tenant=tenant, task_class=task_class,
                effective_usd=picodollars(usd), allocation_weight=Decimal(weight).scaleb(-6), output_text_tokens=1,
            )
            for share, (usd, weight, tenant, task_class) in enumerate(shares)
        ]  # fmt: skip
        parts = {f"{part}_usd": picodollars(draw(MONEY)) for part in ("starting", "idle", "unheld")}
        idle, serving = draw(st.integers(0, 3_600_000_000)), draw(st.integers(0, 3_600_000_000))
        pools.append(
            pool_hour(
                hour, hour.date(), serving_usd=picodollars(sum(share[0] for share in shares)), **parts,
                idle_gpu_seconds=Decimal(idle).scaleb(-6), serving_gpu_seconds=Decimal(serving).scaleb(-6),
            )
        )  # fmt: skip
        if not idle:
            pools[-1]["idle_usd"] = Decimal(0)
    logs = [
        {
            "source": row["source"], "request_id": row["request_id"], "started_at": row["started_at"],
            "started_hour": row["started_at"], "session_id": row.get("session_id"),
            "trace_id": draw(st.sampled_from(["trace-1", "trace-2", None])),
        }
        for row in costs
    ]  # fmt: skip
    tasks = [
        {
            "source": "tickets", "dedupe_key": str(number), "outcome": "ticket", "is_success": draw(st.booleans()),
            "session_id": draw(st.sampled_from(["x", "y", "trace-1", "no"])),
            "finished_at": START + timedelta(hours=12 + 24 * draw(st.integers(0, 2))), "ingested_at": START,
        }
        for number in range(draw(st.integers(0, 4)))
    ]  # fmt: skip
    return costs, logs, pools, tasks


def loose(con: duckdb.DuckDBPyConnection, dotted: str, rows: list[dict[str, Any]]) -> None:
    """Replace a table's rows by some of which only a few columns matter here."""
    name = dotted.replace(".", "_")
    con.register(name, table(dotted).frame(rows))
    con.execute(f"DROP TABLE IF EXISTS {dotted}")
    con.execute(f"CREATE TABLE {dotted} AS FROM {name}")
    con.unregister(name)


def parameters(name: str, from_on: date, to_on: date) -> dict[str, Any]:
    """Return what a mart's SQL takes for the days [from_on, to_on)."""
    early = utc(f"{from_on - timedelta(days=30)}T00:00")
    more: dict[str, dict[str, Any]] = {
        "cost_per_session": {"early": early, "late": utc(f"{to_on}T00:00")},
        "idle_cost_daily": {"target_percent": 70},
        "cost_per_outcome": {
            "early_on": early.date(), "early": early, "late": utc(f"{to_on}T00:00"), "zone": "UTC", "least_ratio": 0.9,
        },
    }  # fmt: skip
    return {"from_on": from_on, "to_on": to_on} | more.get(name, {})


def total(frame: pl.DataFrame, name: str) -> Decimal:
    return frame[name].sum() or Decimal(0)


@given(fleet=fleets())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_each_dollar_is_in_one_row_of_each_mart(
    con: duckdb.DuckDBPyConnection, fleet: tuple[list[dict[str, Any]], ...]
) -> None:
    costs, logs, pools, tasks = fleet
    for dotted, rows in (("core.request_costs", costs), ("core.pool_hours", pools)):
        con.execute(f"DELETE FROM {dotted}")
        insert(con, dotted, rows)
    loose(con, "core.requests", logs)
    loose(con, "raw.outcomes", tasks)

    # Whole ranges are stored, since some read others.
    daily, sessions, idle, scores, outcomes = (
        fill(con, f"mart.{name}", name, **parameters(name, FIRST, LAST)) for name in MARTS
    )

    for name in (*SUMS, "usage_usd", "failed_usd", "retry_usd"):
        assert total(sessions, name) == total(daily, name), name
    assert not sessions.select(table("mart.cost_per_session").key).is_duplicated().any()
    assert total(scores, "usage_usd") == total(daily, "usage_usd")
    own = daily.filter(pl.col("route").is_null() | (pl.col("route") != "(unallocated)"))
    assert total(scores, "available_usd") == total(own, "available_usd")
    assert scores["attempt_count"].sum() == daily["attempt_count"].sum()
    held = con.execute(HELD).fetchall()
    assert (total(idle, "idle_usd"), total(idle, "idle_gpu_seconds")) == held[0]
    assert idle.filter(pl.col("cause") == "no_traffic")["tenant"].drop_nulls().is_empty()

    ended: dict[str, date] = {}
    for task in tasks:
        day = task["finished_at"].date()
        ended[task["session_id"]] = max(day, ended.get(task["session_id"], day))
    upto = [
        sessions.filter(pl.col("session_id") == session, pl.col("accrued_on") <= day)
        for session, day in ended.items()
    ]
    assert total(outcomes, "usage_usd") == sum((total(part, "usage_usd") for part in upto), Decimal(0))
    assert outcomes["outcome_count"].sum() == len(tasks)
    refused = outcomes.filter(pl.col("coverage_ratio") < 0.9)
    assert refused["usd_per_outcome"].drop_nulls().is_empty()
    assert refused["refused_reason"].null_count() == 0

    for name, whole in zip(MARTS, (daily, sessions, idle, scores, outcomes), strict=True):
        schema = table(f"mart.{name}")
        days = (FIRST + timedelta(days=number) for number in range(3))
        parts = [
            con.execute(mart_sql(name), parameters(name, day, day + timedelta(days=1))).pl() for day in days
        ]
        cut = pl.concat(schema.conform(part.lazy()).collect() for part in parts)
        assert cut.sort(schema.key).rows() == whole.sort(schema.key).rows(), name
