"""Random fleets of starts: the order and range of judging do not matter, calm is calm, planted bursts are found."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.cold_starts.alarms import burst_alarms
from models.cold_starts.bursts import HISTORY_DAYS, cold_start_bursts
from models.cold_starts.series import start_series
from models.schemas import table

FIRST = date(2026, 3, 20)  # clocks in Europe and America change within the range
BEGINS = datetime(2026, 3, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
NO_PRICES = table("ref.gpu_prices").empty()


def fleet(seed, *, series, days, rate, grouped=0.0, per_week=0):
    """Return starts at Poisson instants; some bring others within a minute; bursts of 6 to 15 within ten minutes."""
    rng = np.random.default_rng(seed)
    span = days * 24 * 3600
    rows = []
    for number in range(series):
        seconds = rng.uniform(0, span, rng.poisson(rate * days * 24))
        groups = seconds[rng.random(len(seconds)) < grouped]
        seconds = np.concatenate([seconds, groups + rng.uniform(0, 60, len(groups))])
        for onset in rng.uniform(0, span - 600, rng.poisson(per_week * days / 7)):
            seconds = np.concatenate([seconds, onset + rng.uniform(0, 600, rng.integers(6, 16))])
        rows += [
            start(f"d{number}", BEGINS + timedelta(seconds=round(float(second), 3)), f"r{place}")
            for place, second in enumerate(np.sort(seconds))
        ]
    return table("mart.cold_starts").frame(rows)


def start(deployment, at, replica, **facts):
    return {
        "started_on": at.date(),
        "replica_id": f"{deployment}-{replica}",
        "provider": "vendor",
        "region": "us-east-1",
        "chip": "H100",
        "deployment": deployment,
        "commitment": "on_demand",
        "chip_count": 1,
        "fraction": 1,
        "requested_at": at,
        "ready_at": at + timedelta(minutes=3),
        "outcome": "ready",
        "cause": "traffic_spike",
        "evidence": "reason scale_up",
        "start_usd": "0.25",
        "delayed_request_count": 0,
        "added_seconds": 0.0,
        "is_inferred": False,
        **facts,
    }


def bursts(starts, from_on, to_on, *, time_zone="UTC"):
    return cold_start_bursts(
        starts, from_on=from_on, to_on=to_on, time_zone=time_zone, prices=NO_PRICES, known_from=BEGINS
    )


def named(alarms, found):
    """Alarms by deployment instead of the number of their series, in order."""
    return (
        alarms.join(found.names.select("series", "deployment"), on="series")
        .drop("series")
        .sort("deployment", "hour", "ended_at", "onset_at")
    )


@given(
    seed=st.integers(0, 10**6),
    grouped=st.sampled_from([0.0, 0.5]),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_hours_judged_one_by_one_are_judged_as_all_at_once(seed, grouped, time_zone):
    starts = fleet(seed, series=5, days=16, rate=0.15, grouped=grouped, per_week=3)
    found = start_series(starts)
    last = FIRST + timedelta(days=17)
    rules = {"time_zone": time_zone, "known_from": BEGINS}
    whole = named(burst_alarms(found, from_on=FIRST, to_on=last, **rules), found)
    parts = []
    for hour in range(9 * 24, 11 * 24):
        end = BEGINS + (hour + 1) * HOUR
        known = start_series(starts.filter(pl.col("requested_at") < end))
        on = (end - HOUR).date()
        seen = burst_alarms(known, from_on=on - timedelta(days=1), to_on=on + timedelta(days=2), **rules)
        parts.append(named(seen, known).filter(pl.col("hour") == (end - HOUR).timestamp() // 3600))
    span = ((BEGINS + 9 * 24 * HOUR).timestamp() // 3600, (BEGINS + 11 * 24 * HOUR).timestamp() // 3600)
    once = whole.filter(pl.col("hour") >= span[0], pl.col("hour") < span[1])
    assert pl.concat(parts).sort("deployment", "hour", "ended_at", "onset_at").equals(once)


@given(seed=st.integers(0, 10**6), time_zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]))
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_days_settled_a_day_later_are_as_the_whole_range_has_them(seed, time_zone):
    starts = fleet(seed, series=6, days=20, rate=0.1, per_week=4)
    whole = bursts(starts, FIRST, FIRST + timedelta(days=20), time_zone=time_zone)
    daily = [
        bursts(
            starts.filter(pl.col("requested_at") < BEGINS + timedelta(days=day + 2, hours=12)),
            FIRST + timedelta(days=day),
            FIRST + timedelta(days=day + 1),
            time_zone=time_zone,
        )
        for day in range(20)
    ]
    assert whole.height > 0
    assert pl.concat(daily).sort("burst_id").equals(whole.sort("burst_id"))


def test_what_is_left_out_of_a_long_past_does_not_matter():
    """Starts older than the look-back change nothing, so a day reads no more than that."""
    starts = fleet(7, series=6, days=150, rate=0.05, per_week=3)
    days = (FIRST + timedelta(days=145), FIRST + timedelta(days=150))
    recent = starts.filter(pl.col("requested_at") >= BEGINS + timedelta(days=145 - HISTORY_DAYS))
    whole = bursts(starts, *days)
    assert whole.height > 0
    assert bursts(recent, *days).equals(whole)


@pytest.mark.parametrize("rate", [0.01, 0.2, 1.0])
def test_calm_fleet_has_no_alarm(rate):
    starts = fleet(11, series=20, days=60, rate=rate)
    assert bursts(starts, FIRST, FIRST + timedelta(days=60)).is_empty()


def test_starts_that_always_come_in_pairs_are_no_bursts():
    starts = fleet(12, series=20, days=60, rate=0.1, grouped=1.0)
    assert bursts(starts, FIRST, FIRST + timedelta(days=60)).is_empty()


@pytest.mark.parametrize("day", [1, 3, 20, 45])
def test_planted_burst_is_found_with_its_onset_end_and_size(day):
    calm = fleet(13, series=10, days=50, rate=0.05)
    onset = BEGINS + timedelta(days=day, hours=5, minutes=7)
    planted = [start("d3", onset + timedelta(seconds=30 * turn), f"planted-{turn}") for turn in range(16)]
    (row,) = bursts(
        pl.concat([calm, table("mart.cold_starts").frame(planted)]), FIRST, FIRST + timedelta(days=50)
    ).iter_rows(named=True)
    assert row["deployment"] == "d3"
    assert row["onset_at"] == onset
    assert row["ended_at"] == onset + timedelta(seconds=450)
    assert row["start_count"] == 16
    assert row["expected_count"] < 1
    assert row["is_history_short"] == (day < 14)


def test_busy_series_is_learned_within_a_week_and_its_burst_found():
    busy = fleet(15, series=2, days=40, rate=60.0)
    onset = BEGINS + timedelta(days=35, hours=5)
    planted = [start("d1", onset + timedelta(seconds=3 * turn), f"planted-{turn}") for turn in range(150)]
    starts = pl.concat([busy, table("mart.cold_starts").frame(planted)])
    found = bursts(starts, FIRST + timedelta(days=7), FIRST + timedelta(days=40))
    assert found["deployment"].to_list() == ["d1"]
    assert 150 <= found["start_count"][0] <= 170


def test_open_hour_alarms_as_soon_as_the_burst_is_under_way():
    calm = fleet(14, series=10, days=30, rate=0.05)
    onset = BEGINS + timedelta(days=29, hours=6, minutes=2)
    planted = [start("d3", onset + timedelta(seconds=20 * turn), f"planted-{turn}") for turn in range(20)]
    sizes = []
    for count in range(3, 20):
        known = pl.concat([calm, table("mart.cold_starts").frame(planted[:count])])
        found = bursts(
            known.filter(pl.col("requested_at") < onset + timedelta(hours=1)),
            FIRST + timedelta(days=29),
            FIRST + timedelta(days=30),
        )
        sizes.append(found["start_count"].sum())
    assert sizes[-1] == 19
    assert min(size for size in sizes if size) <= 6
    assert sizes == sorted(sizes)
