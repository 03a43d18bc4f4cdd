from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from models.costs.states import replica_states
from models.schemas import table
from tests.models.costs.rows import replica_event

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def price(**changes):
    row = {
        "price_id": "p",
        "provider": "vendor",
        "chip": "H100",
        "commitment": "on_demand",
        "usd_per_gpu_hour": Decimal(6),
        "picodollars_per_gpu_hour": 6 * 10**12,
        "is_rounded": False,
        "granularity_seconds": 1,
        "minimum_seconds": 0,
        "billed_phases": ["loading", "serving", "idle", "draining", "failed"],
        "valid_from": datetime(2026, 1, 1, tzinfo=UTC),
        "known_from": datetime(2026, 1, 1, tzinfo=UTC),
        "sheet_version": "v",
        "sheet_path": "f",
        "source_url": "https://example.com",
    }
    return row | changes


def lived(*happened, prices=None, time_zone="UTC", hours=1, as_known_at=NOON, **facts):
    """Return the states of a replica whose events happened so many minutes after noon."""
    rows = [
        replica_event(
            event,
            NOON + timedelta(minutes=minutes),
            line_number=number + 1,
            **{"region": "us", "event_hour": NOON, "ingested_at": NOON + timedelta(days=1)} | facts,
        )
        for number, (event, minutes) in enumerate(happened)
    ]
    return replica_states(
        table("core.replica_events").frame(rows).lazy(),
        prices=table("ref.gpu_prices").frame(prices or [price()]).lazy(),
        time_zone=time_zone,
        as_known_at=as_known_at,
        from_hour=NOON,
        to_hour=NOON + timedelta(hours=hours),
    )


def spans(states):
    return [
        (state, (start - NOON).total_seconds() / 60, (end - NOON).total_seconds() / 60)
        for state, start, end in states.select("state", "started_at", "ended_at").iter_rows()
    ]


START = [("requested", 0), ("scheduled", 5), ("image_pulled", 7), ("ready", 10)]
WHOLE = [*START, ("draining", 40), ("stopped", 41)]


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        (
            WHOLE,
            [
                ("waiting", 0, 5),
                ("pulling", 5, 7),
                ("loading", 7, 10),
                ("ready", 10, 40),
                ("draining", 40, 41),
            ],
        ),
        ([("requested", 0), ("image_pulled", 7), ("ready", 10)],
         [("pulling", 0, 7), ("loading", 7, 10), ("ready", 10, 60)]),
        ([("requested", 0), ("ready", 10)], [("loading", 0, 10), ("ready", 10, 60)]),
        ([("requested", 0), ("weights_loaded", 8), ("ready", 10)], [("loading", 0, 10), ("ready", 10, 60)]),
        ([("ready", 10), ("stopped", 20)], [("ready", 10, 20)]),
        ([("requested", 0)], [("waiting", 0, 60)]),
        ([("requested", 0), ("scheduled", 5), ("stopped", 9)], [("waiting", 0, 5), ("pulling", 5, 9)]),
        ([("requested", 0), ("scheduled", 5), ("failed", 9)], [("failed", 0, 5), ("failed", 5, 9)]),
        ([("ready", 0), ("failed", 9), ("stopped", 12)], [("ready", 0, 9), ("failed", 9, 12)]),
        ([("ready", 0), ("failed", 9), ("ready", 12)], [("ready", 0, 9), ("ready", 12, 60)]),
        ([("stopped", 9)], []),
    ],
)  # fmt: skip
def test_events_become_states(happened, expected):
    assert spans(lived(*happened)) == expected


@pytest.mark.parametrize(
    ("happened", "repair", "expected"),
    [
        ([*WHOLE, ("ready", 11)], "duplicate_events", [10, 40]),
        ([("requested", 0), ("ready", 10), ("image_pulled", 12), ("draining", 40)], "out_of_order", [10, 40]),
        ([("requested", 0), ("ready", 10), ("image_pulled", 10.5)], "clock_skew 30.0 s", [10, 60]),
        ([("image_pulled", 7), ("draining", 40)], "missing_ready", [7, 40]),
        ([("ready", 10), ("requested", 30)], "missing_stopped", [10, 30]),
    ],
)
def test_mended_events_are_named(happened, repair, expected):
    states = lived(*happened)
    ready = [row for row in states.iter_rows(named=True) if row["state"] == "ready"]
    assert repair in ready[0]["repair"]
    assert [[start, end] for state, start, end in spans(states) if state == "ready"] == [expected]


def test_rows_are_cut_at_business_days_and_sum_to_the_hour():
    states = lived(("ready", 0), time_zone="Asia/Kolkata", hours=12)
    assert states.height == 13
    assert states.filter(states["state_hour"] == NOON + timedelta(hours=6))["billed_usd"].to_list() == [
        Decimal(3),
        Decimal(3),
    ]


def test_price_that_changes_inside_an_hour_is_two_exact_parts():
    change = NOON + timedelta(minutes=20)
    states = lived(
        ("ready", -60),
        prices=[
            price(valid_to=change),
            price(price_id="q", valid_from=change, picodollars_per_gpu_hour=3 * 10**12 + 1),
        ],
    )
    assert states["price_id"].to_list() == ["p", "q"]
    assert states["billed_usd"].sum() == Decimal("4.000000000001")


def test_failed_start_bills_only_the_phases_that_the_vendor_bills():
    states = lived(("requested", 0), ("scheduled", 5), ("image_pulled", 7), ("failed", 17))
    assert states["billed_seconds"].to_list() == [0, 0, 600]
    assert not states["is_cold_start"].any()


def test_price_of_the_region_wins_over_one_for_any_region():
    prices = [price(), price(price_id="us", region="us"), price(price_id="eu", region="eu")]
    assert lived(("ready", 0), prices=prices)["price_id"].to_list() == ["us"]


def test_missing_price_is_null_not_zero():
    (row,) = lived(("ready", 0), prices=[price(chip="H200")]).iter_rows(named=True)
    assert row["billed_usd"] is None
    assert row["billed_seconds"] == Decimal(3600)


def test_price_not_yet_known_does_not_count():
    early = datetime(2025, 12, 31, tzinfo=UTC)
    assert lived(("ready", 0), as_known_at=early)["billed_usd"].to_list() == [None]


def test_fraction_and_count_scale_the_bill():
    states = lived(("ready", 0), chip_count=2, fraction="0.25")
    assert states["billed_usd"].to_list() == [Decimal(3)]


def test_start_event_that_a_fast_clock_put_after_the_stop_begins_no_life():
    states = lived(("requested", 0), ("image_pulled", 5), ("stopped", 8), ("ready", 8.5))
    assert spans(states) == [("pulling", 0, 5), ("loading", 5, 8)]
    assert states["repair"].unique().to_list() == ["clock_skew 30.0 s"]


def test_replica_that_comes_back_just_after_its_stop_begins_another_life():
    states = lived(("ready", 0), ("stopped", 8), ("ready", 8.5), ("stopped", 20), ("ready", 21.5))
    assert spans(states) == [("ready", 0, 8), ("ready", 8.5, 20), ("ready", 21.5, 60)]
    assert states["repair"].null_count() == 3


def test_event_from_the_future_is_named_and_left_where_it_is():
    early = NOON + timedelta(minutes=8)
    states = lived(("ready", 10), ("stopped", 20), ingested_at=early)
    assert spans(states) == [("ready", 10, 20)]
    assert states["repair"].to_list() == ["clock_ahead 720.0 s"]
