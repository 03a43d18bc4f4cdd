from datetime import UTC, datetime, timedelta
from decimal import Decimal

from models.costs.idle_minutes import idle_minutes
from models.costs.pools import pool_hours
from models.costs.states import replica_states
from models.schemas import table
from tests.models.costs.rows import replica_event

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def settled(happened, *, phases=("loading", "serving", "idle", "draining"), **facts):
    events = table("core.replica_events").frame(
        replica_event(
            event,
            NOON + timedelta(minutes=minutes),
            model="llama-3.3-70b",
            region="us",
            chip_count=8,
            event_hour=NOON,
            ingested_at=NOON,
        )
        for event, minutes in happened
    )
    prices = table("ref.gpu_prices").frame(
        [
            {
                "price_id": "p",
                "provider": "vendor",
                "chip": "H100",
                "commitment": "on_demand",
                "usd_per_gpu_hour": 6,
                "picodollars_per_gpu_hour": 6 * 10**12,
                "is_rounded": False,
                "granularity_seconds": 3600,
                "minimum_seconds": 0,
                "billed_phases": list(phases),
                "valid_from": NOON - 24 * HOUR,
                "known_from": NOON - 24 * HOUR,
                "sheet_version": "v",
                "sheet_path": "f",
                "source_url": "https://example.com",
            }
        ]
    )
    window = {"time_zone": "UTC", "from_hour": NOON, "to_hour": NOON + 2 * HOUR}
    known = {"prices": prices.lazy(), "as_known_at": NOON}
    states = replica_states(events.lazy(), **known, **window)
    requests = table("core.requests").empty().lazy()
    return list(
        pool_hours(events.lazy(), states.lazy(), requests, **known, **window, **facts).iter_rows(named=True)
    )


def test_stop_on_the_hour_pads_the_hour_that_it_closes():
    (row,) = settled([("ready", 30), ("stopped", 60)])
    assert (row["idle_usd"], row["padding_usd"], row["billed_usd"]) == (Decimal(24), Decimal(24), Decimal(48))
    assert row["model"] == "llama-3.3-70b"


def test_idle_time_that_the_vendor_does_not_bill_is_in_no_part():
    (row, _) = settled([("ready", 0)], phases=("serving",))
    assert row["billed_usd"] == row["idle_usd"] == 0
    assert row["wall_gpu_seconds"] == Decimal(8 * 3600)


def test_failed_start_is_failed_not_starting():
    (row,) = settled([("image_pulled", 0), ("failed", 30)], phases=("loading", "failed"))
    assert (row["failed_usd"], row["starting_usd"]) == (Decimal(24), 0)
    assert row["billed_usd"] == Decimal(48)


def test_hours_from_a_given_instant_are_provisional():
    rows = settled([("ready", 0)], provisional_from=NOON + HOUR)
    assert [row["is_provisional"] for row in rows] == [False, True]


def test_a_pool_has_room_in_the_minutes_in_which_it_is_ready_and_not_busy():
    """Eight GPUs are ready from 12:01:30 to 12:04; an attempt works from 12:02:15 to 12:03."""
    states = table("core.replica_states").frame(
        [
            {
                "replica_id": "r1", "provider": "vendor", "region": "us", "chip": "H100", "deployment": "llama",
                "commitment": "on_demand", "state": "ready", "state_hour": NOON, "accrued_on": NOON.date(),
                "started_at": NOON + timedelta(seconds=90), "ended_at": NOON + timedelta(minutes=4),
                "chip_count": 8, "fraction": Decimal(1), "billed_seconds": 150, "is_cold_start": False,
            }
        ]
    )  # fmt: skip
    work = table("core.requests").frame(
        [
            {
                "source": "s", "request_id": "a", "replica_id": "r1", "is_gateway_cache_hit": False,
                "started_at": NOON + timedelta(seconds=135), "finished_at": NOON + timedelta(minutes=3),
            }
        ]
    )  # fmt: skip
    found = idle_minutes(
        states.lazy(), work.lazy(), time_zone="UTC", from_hour=NOON, to_hour=NOON + HOUR
    ).select("minute", "idle_gpu_seconds")
    assert found.rows() == [
        (NOON + timedelta(minutes=1), 30 * 8), (NOON + timedelta(minutes=2), 15 * 8),
        (NOON + timedelta(minutes=3), 60 * 8),
    ]  # fmt: skip
