"""Bursts planted in fleets of every baseline are found, calm fleets stay quiet, and simple rivals do worse."""

import polars as pl
import pytest

from benchmarks.burst_rivals import RIVALS, detector, false_per_month, incidents, scored, tuned, unplanted
from benchmarks.planted_bursts import SIMULATED, fleet, kinds

SERIES = 25


@pytest.fixture(scope="module")
def calm():
    return fleet(series_per_kind=SERIES, seed=21, is_planted=False)


@pytest.fixture(scope="module")
def hurt():
    return fleet(series_per_kind=SERIES, seed=22, is_planted=True)


@pytest.fixture(scope="module")
def found(hurt):
    return scored(detector(hurt), hurt)


def recall(found, size, *names):
    rows = found.filter(pl.col("size") == size)
    return (rows.filter(pl.col("kind").is_in(names)) if names else rows)["is_found"].mean()


def test_calm_fleet_has_few_false_alarms(calm):
    assert false_per_month(detector(calm), calm) <= 0.02


def test_large_bursts_are_found_whatever_the_baseline(found):
    assert recall(found, 20) >= 0.9
    assert recall(found, 12) >= 0.8


def test_small_bursts_are_found_where_starts_come_one_by_one(found):
    assert recall(found, 12, "steady", "near zero", "weekly") >= 0.95
    assert recall(found, 5, "steady", "near zero", "weekly") >= 0.6


@pytest.mark.parametrize(
    "rival", [item for item in RIVALS if not item.name.startswith("ruptures")], ids=lambda item: item.name
)
def test_rival_with_as_few_false_alarms_finds_less(rival, calm, hurt, found):
    there = scored(rival.make(hurt)(tuned(rival, calm)), hurt)
    assert recall(found, 5) > recall(there, 5)
    assert recall(found, 8) > recall(there, 8)
    assert recall(found, 12) > recall(there, 12)


def test_alarms_on_real_traffic_come_in_its_rushes(calm):
    if "ServeGen" not in kinds():
        pytest.skip("the shared data folder is not here")
    alarms = unplanted(incidents(detector(calm)), calm).filter(~pl.col("kind").is_in(SIMULATED))
    assert not alarms.is_empty()
    assert alarms["in_rush"].all()
