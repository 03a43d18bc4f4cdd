"""The GPU bill of a day by pool: idle is headroom as far as the hour's load needs it, and waste beyond."""

from datetime import date, timedelta
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.marts.warehouse import fill, insert, open_warehouse, picodollars, pool_hour, utc

DAY = date(2026, 11, 20)
NOON = utc("2026-11-20T12:00")
SPAN = {"from_on": DAY, "to_on": DAY + timedelta(days=1)}


def hour(at=NOON, *, serving, idle, idle_usd, **changes):
    return pool_hour(
        at, DAY, idle_usd=idle_usd, serving_gpu_seconds=Decimal(serving), idle_gpu_seconds=Decimal(idle),
        billed_gpu_seconds=Decimal(serving) + Decimal(idle), **changes,
    )  # fmt: skip


def bill(hours, *, target_percent=70, con=None):
    con = con or open_warehouse()
    con.execute("DELETE FROM core.pool_hours")
    insert(con, "core.pool_hours", hours)
    return list(
        fill(con, "mart.gpu_bill_daily", "gpu_bill_daily", target_percent=target_percent, **SPAN).iter_rows(
            named=True
        )
    )


@pytest.mark.parametrize(
    ("serving", "idle", "headroom"),
    [
        # 70 % busy: 1,400 s of load need 2,000 s ready, so 600 s of headroom.
        (1400, 2200, "0.60"),
        (1400, 500, "0.50"),
        (0, 3600, "0"),
        (3600, 0, "0"),
    ],
)
def test_headroom_is_what_the_hours_load_needs_at_the_target(serving, idle, headroom):
    (row,) = bill([hour(serving=serving, idle=idle, idle_usd=Decimal(idle) / 1000)])
    assert row["idle_headroom_usd"] == Decimal(headroom)
    assert row["idle_waste_usd"] == Decimal(idle) / 1000 - Decimal(headroom)
    assert row["idle_headroom_gpu_seconds"] == Decimal(headroom) * 1000


def test_each_hour_is_judged_by_its_own_load():
    hours = [
        hour(serving=700, idle=300, idle_usd=Decimal("0.3")),
        hour(NOON + timedelta(hours=1), serving=0, idle=1000, idle_usd=Decimal(1)),
    ]
    (row,) = bill(hours)
    assert (row["idle_headroom_usd"], row["idle_waste_usd"]) == (Decimal("0.3"), Decimal(1))
    assert row["utilization_ratio"] == pytest.approx(0.35)


def test_a_rate_blends_what_was_paid_and_is_unknown_where_an_hour_has_no_price():
    part = {"serving": 3600, "idle": 0, "idle_usd": Decimal(0)}
    hours = [
        hour(**part, serving_usd=Decimal(2)),
        hour(NOON + timedelta(hours=1), **part, serving_usd=Decimal(4)),
        hour(**part, commitment="spot", serving_usd=Decimal(1)),
        hour(NOON + timedelta(hours=1), **part, commitment="spot", serving_usd=None),
    ]
    rows = {row["commitment"]: row for row in bill(hours)}
    assert rows["on_demand"]["usd_per_gpu_hour"] == 3.0
    assert (rows["spot"]["usd_per_gpu_hour"], rows["spot"]["unpriced_hour_count"]) == (None, 1)


amounts = st.integers(0, 10**18)


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return open_warehouse()


@settings(max_examples=60, deadline=None)
@given(
    hours=st.lists(
        st.tuples(amounts, st.integers(0, 10**13), st.integers(0, 10**13)), min_size=1, max_size=4
    ),
    target=st.integers(1, 100),
)
def test_headroom_and_waste_sum_to_idle_to_the_picodollar(con, hours, target):
    rows = [
        hour(
            NOON + timedelta(hours=number), serving=Decimal(serving).scaleb(-6), idle=Decimal(idle).scaleb(-6),
            idle_usd=picodollars(usd if idle else 0),
        )
        for number, (usd, serving, idle) in enumerate(hours)
    ]  # fmt: skip
    (row,) = bill(rows, target_percent=target, con=con)
    for unit in ("usd", "gpu_seconds"):
        parts = row[f"idle_headroom_{unit}"], row[f"idle_waste_{unit}"]
        assert min(parts) >= 0
        assert sum(parts) == row[f"idle_{unit}"]
