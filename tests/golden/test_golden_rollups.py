"""Roll-ups by local day, by hand: a +05:30 day begins inside an hour, DST days have 23 and 25 hours."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from models.periods import business_day_bounds, business_day_of
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


def _business_day(instant: datetime, time_zone: str) -> date:
    day = pl.select(
        business_day_of(pl.lit(instant, dtype=pl.Datetime("us", "UTC")), time_zone=time_zone)
    ).item()
    assert isinstance(day, date)
    return day


def test_a_hour_that_holds_two_indian_days_is_two_cells_that_sum_to_it():
    con = open_warehouse()
    before, after = utc("2026-05-04T18:29:59.999999"), utc("2026-05-04T18:30")
    days = [_business_day(instant, "Asia/Kolkata") for instant in (before, after)]
    assert days == [date(2026, 5, 4), date(2026, 5, 5)]
    insert(
        con,
        "core.request_costs",
        [
            attempt("a", before, days[0], effective_usd=picodollars(3), output_text_tokens=1),
            attempt("b", after, days[1], effective_usd=picodollars(4), output_text_tokens=2),
        ],
    )
    hourly = fill(
        con,
        "mart.cost_per_token_hourly",
        "cost_per_token_hourly",
        from_hour=utc("2026-05-04T18:00"),
        to_hour=utc("2026-05-04T19:00"),
    ).sort("accrued_on")
    assert hourly["usage_usd"].to_list() == [picodollars(3), picodollars(4)]
    daily = fill(
        con,
        "mart.cost_per_token_daily",
        "cost_per_token_daily",
        from_on=date(2026, 5, 4),
        to_on=date(2026, 5, 6),
    ).sort("accrued_on")
    assert daily["accrued_on"].to_list() == days
    assert daily["usage_usd"].to_list() == [picodollars(3), picodollars(4)]
    assert daily["total_tokens"].sum() == 3


@pytest.mark.parametrize(
    ("changing_on", "half_hours"), [(date(2026, 3, 8), 46), (date(2026, 11, 1), 50), (date(2026, 6, 1), 48)]
)
def test_a_day_that_loses_or_gains_an_hour_holds_what_began_in_it(changing_on: date, half_hours: int):
    zone = "America/New_York"
    first = business_day_bounds(changing_on - timedelta(days=1), time_zone=zone)[0]
    end = business_day_bounds(changing_on + timedelta(days=1), time_zone=zone)[1]
    instants = [
        first + timedelta(minutes=30) * step for step in range(int((end - first) / timedelta(minutes=30)))
    ]
    con = open_warehouse()
    insert(
        con,
        "core.request_costs",
        [
            attempt(f"r{number}", at, _business_day(at, zone), effective_usd=picodollars(1))
            for number, at in enumerate(instants)
        ],
    )
    daily = fill(
        con,
        "mart.cost_per_token_daily",
        "cost_per_token_daily",
        from_on=changing_on - timedelta(days=1),
        to_on=changing_on + timedelta(days=2),
    ).sort("accrued_on")
    assert daily["attempt_count"].to_list() == [48, half_hours, 48]
    assert daily["usage_usd"].sum() == picodollars(len(instants))


def test_the_overhead_of_an_indian_pool_day_rests_on_that_days_traffic_alone():
    con = open_warehouse()
    hour, half_past = utc("2026-05-04T18:00"), utc("2026-05-04T18:30")
    monday, tuesday = date(2026, 5, 4), date(2026, 5, 5)
    insert(
        con,
        "core.request_costs",
        [
            gpu_attempt("a", hour, monday, effective_usd=picodollars(10), allocation_weight=Decimal(1)),
            gpu_attempt(
                "b",
                half_past,
                tuesday,
                tenant="x",
                effective_usd=picodollars(20),
                allocation_weight=Decimal(2),
            ),
            gpu_attempt(
                "c",
                half_past,
                tuesday,
                tenant="y",
                effective_usd=picodollars(0),
                allocation_weight=Decimal(1),
            ),
        ],
    )
    insert(
        con,
        "core.pool_hours",
        [
            pool_hour(hour, monday, serving_usd=picodollars(10), idle_usd=picodollars(1)),
            pool_hour(hour, tuesday, serving_usd=picodollars(20), starting_usd=picodollars(7)),
        ],
    )
    daily = fill(
        con, "mart.cost_per_token_daily", "cost_per_token_daily", from_on=monday, to_on=date(2026, 5, 6)
    )
    cells = {(row["accrued_on"], row["tenant"]): row["available_usd"] for row in daily.to_dicts()}
    # Monday: 10 + 1. Tuesday: 7 over weights 2 and 1 is 4.67 -> 5, then 2.
    assert cells == {
        (monday, "acme"): picodollars(11),
        (tuesday, "x"): picodollars(25),
        (tuesday, "y"): picodollars(2),
    }
