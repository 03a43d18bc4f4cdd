"""Whatever the rows, parts sum to the whole and a range gives the same cells however it is cut."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
KEY = ["accrued_on", "provider", "region", "route", "model", "chip", "tenant"]
MONEY = st.integers(0, 10**15)


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return open_warehouse()


@st.composite
def fleets(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return attempts and the pool-hours whose serving dollars they carry."""
    costs: list[dict[str, Any]] = []
    pools: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 8))):
        at: datetime = START + timedelta(hours=draw(st.integers(0, 71)))
        usd = draw(st.none() | MONEY)
        state = "unpriced" if usd is None else "priced"
        costs.append(
            attempt(
                f"t{number}", at, at.date(), tenant=draw(st.sampled_from(["x", "y", None])), price_state=state,
                effective_usd=None if usd is None else picodollars(usd),
                output_text_tokens=draw(st.none() | st.integers(0, 10**6)),
            )
        )  # fmt: skip
    for number in range(draw(st.integers(0, 5))):
        hour = START + timedelta(hours=number * 13)
        deployment = draw(st.sampled_from(["p", "q"]))
        shares = draw(st.lists(st.tuples(MONEY, st.integers(0, 10**9)), max_size=4))
        costs += [
            gpu_attempt(
                f"g{number}.{share}", hour, hour.date(), deployment=deployment, route=deployment,
                tenant=draw(st.sampled_from(["x", "y"])), effective_usd=picodollars(usd),
                allocation_weight=Decimal(weight).scaleb(-6), output_text_tokens=1,
            )
            for share, (usd, weight) in enumerate(shares)
        ]  # fmt: skip
        overhead = {
            f"{part}_usd": picodollars(draw(MONEY))
            for part in ("starting", "idle", "draining", "failed", "padding", "unheld", "unused_commitment")
        }
        serving = picodollars(sum(usd for usd, _ in shares))
        pools.append(pool_hour(hour, hour.date(), deployment=deployment, serving_usd=serving, **overhead))
    return costs, pools


QUOTAS = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.integers(1, 10**9), max_size=3)


def _rules(quotas: dict[str, int], overhead: str) -> list[dict[str, Any]]:
    """Return rules of the deployment p by quotas, and of q without."""
    p = {"rule_number": 1, "deployment": "p", "rule": "reserved_quota", "overhead": "spread"}
    q = {"rule_number": 2, "deployment": "q", "rule": "token_share", "overhead": overhead}
    return [*(p | {"tenant": name, "quota": Decimal(each).scaleb(-6)} for name, each in quotas.items()), q]


def _load(
    con: duckdb.DuckDBPyConnection,
    fleet: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    rules: list[dict[str, Any]] | None = None,
) -> None:
    con.execute("DELETE FROM ref.allocation_rules")
    insert(con, "ref.allocation_rules", rules or [])
    for dotted, rows in zip(("core.request_costs", "core.pool_hours"), fleet, strict=True):
        con.execute(f"DELETE FROM {dotted}")
        insert(con, dotted, rows)


def _daily(con: duckdb.DuckDBPyConnection, from_on: date, to_on: date) -> pl.DataFrame:
    rows = fill(con, "mart.cost_per_token_daily", "cost_per_token_daily", from_on=from_on, to_on=to_on)
    return rows.sort(KEY)


SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SETTINGS
@given(fleet=fleets(), quotas=QUOTAS, overhead=st.sampled_from(["spread", "unallocated"]))
def test_available_dollars_are_token_costs_plus_pool_bills_whatever_the_rules(con, fleet, quotas, overhead):
    _load(con, fleet, _rules(quotas, overhead))
    daily = _daily(con, FIRST, LAST)
    tokens = sum(row["effective_usd"] or 0 for row in fleet[0] if row["cost_basis"] == "token")
    bills = sum(row["billed_usd"] for row in fleet[1])
    assert sum(usd for usd in daily["available_usd"] if usd is not None) == tokens + bills
    whole = con.execute(
        "SELECT sum(spend_usd) FROM spend(?::DATE, ?::DATE, 'booked')", [FIRST, LAST]
    ).fetchone()
    assert (whole[0] or 0) == tokens + bills


@SETTINGS
@given(fleet=fleets(), cut=st.integers(1, 2))
def test_a_range_cut_into_days_gives_the_same_cells(con, fleet, cut):
    _load(con, fleet)
    middle = FIRST + timedelta(days=cut)
    whole = _daily(con, FIRST, LAST)
    parts = pl.concat([_daily(con, FIRST, middle), _daily(con, middle, LAST)]).sort(KEY)
    assert whole.equals(parts)


@SETTINGS
@given(fleet=fleets())
def test_hours_sum_to_days_and_to_the_facts(con, fleet):
    _load(con, fleet)
    daily = _daily(con, FIRST, LAST).filter(pl.col("route") != "(unallocated)")
    hourly = fill(
        con,
        "mart.cost_per_token_hourly",
        "cost_per_token_hourly",
        from_hour=START,
        to_hour=START + timedelta(days=3),
    )
    sums = ["request_count", "attempt_count", "total_tokens", "unpriced_tokens", "unpriced_count"]
    for column in sums:
        assert hourly[column].sum() == daily[column].sum()
    dollars = sum(row["effective_usd"] or 0 for row in fleet[0])
    for rows in (hourly, daily):
        assert sum(usd for usd in rows["usage_usd"] if usd is not None) == dollars
        assert rows["request_count"].sum() == len(fleet[0])
