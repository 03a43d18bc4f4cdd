"""Random fleets: the dollars of starts are those of the pools, and no request is counted twice."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.cold_starts.starts import cold_starts
from models.costs.pools import pool_hours
from models.costs.states import replica_states
from models.schemas import table
from tests.models.costs.rows import fleet_attempt, replica_event, vendor_book

START = datetime(2026, 11, 20, 18, tzinfo=UTC)
HOURS = 12  # over midnight in every zone below
BOOK = vendor_book(
    (
        "chip: H100, commitment: on_demand, usd_per_gpu_hour: 3.99, valid_from: 2026-01-01",
        "chip: H100, commitment: on_demand, usd_per_gpu_hour: 2.777777777, valid_from: 2026-11-20T23:20:00Z",
        "chip: H100, commitment: spot, usd_per_gpu_hour: 1.23, valid_from: 2026-01-01",
    ),
    billed_phases="pulling, loading, serving, draining, failed",
    minimum_seconds=60,
)
STEPS = ("requested", "scheduled", "image_pulled", "ready", "draining", "stopped")
micros = st.integers(0, HOURS * 3_600_000_000)


CALL = {"route": "b", "replica_id": None, "starts": 0, "lasts": None, "queue_seconds": 0.0}
"""A request to a route of which no replica is known."""


@st.composite
def fleets(draw):
    events = []
    for number in range(draw(st.integers(1, 4))):
        facts = {
            "deployment": draw(st.sampled_from(["a", "b"])),
            "commitment": draw(st.sampled_from(["on_demand", "spot"])),
            "chip": draw(st.sampled_from(["H100", "H100", "unpriced"])),
            "chip_count": draw(st.sampled_from([1, 8])),
        }
        # Lives of one replica follow each other.
        edges = sorted(draw(st.lists(micros, min_size=0, max_size=24, unique=True)))
        steps: list[str] = []
        for _ in edges:
            if not steps or steps[-1] in ("stopped", "failed"):
                steps.append("requested")
            else:
                later = STEPS[STEPS.index(steps[-1]) + 1 :]
                steps.append(draw(st.sampled_from([*later, "failed"])))
        events += [
            {"replica_id": f"r{number}", "event": step, "at": at, **facts}
            for step, at in zip(steps, edges, strict=True)
        ]
    attempts = [
        {
            "route": draw(st.sampled_from(["a", "b", "c"])),
            "replica_id": draw(st.sampled_from([None, "r0", "r1"])),
            "starts": draw(micros),
            "lasts": draw(st.one_of(st.none(), st.integers(0, 3_000_000_000))),
            "queue_seconds": draw(st.sampled_from([None, 0.0, 30.0])),
        }
        for _ in range(draw(st.integers(0, 15)))
    ]
    return events, attempts


def lifecycle(events):
    return table("core.replica_events").frame(
        replica_event(
            at=START + timedelta(microseconds=event["at"]),
            event_hour=START,
            ingested_at=START,
            **{name: value for name, value in event.items() if name != "at"},
        )
        for event in events
    )


def requests(attempts):
    return table("core.requests").frame(
        fleet_attempt(
            f"q{number}",
            START + timedelta(microseconds=attempt["starts"]),
            None
            if attempt["lasts"] is None
            else START + timedelta(microseconds=attempt["starts"] + attempt["lasts"]),
            route=attempt["route"],
            replica_id=attempt["replica_id"],
            queue_seconds=attempt["queue_seconds"],
            ingested_at=START,
            started_hour=START,
        )
        for number, attempt in enumerate(attempts)
    )


@given(fleet=fleets(), time_zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]))
@example(fleet=([], [CALL, CALL, CALL | {"queue_seconds": 30.0}]), time_zone="UTC")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_dollars_of_starts_are_the_pools_over_all_days(fleet, time_zone):
    events, attempts = lifecycle(fleet[0]), requests(fleet[1])
    window = {"time_zone": time_zone, "from_hour": START, "to_hour": START + timedelta(hours=HOURS)}
    known = {"prices": BOOK.lazy(), "as_known_at": datetime(2026, 12, 1, tzinfo=UTC)}
    states = replica_states(events.lazy(), **known, **window)
    pools = pool_hours(events.lazy(), states.lazy(), attempts.lazy(), **known, **window)
    # Day by day, as partitions are made.
    starts, waits = (
        pl.concat(parts)
        for parts in zip(*(
            cold_starts(
                events.lazy(), states.lazy(), attempts.lazy(), time_zone=time_zone,
                from_on=date(2026, 11, day), to_on=date(2026, 11, day + 1),
            )
            for day in (20, 21)
        ), strict=True)
    )  # fmt: skip
    assert starts.select("replica_id", "requested_at").is_duplicated().sum() == 0

    observed = starts.filter(~pl.col("is_inferred"))
    has_failed = pl.col("outcome") == "failed"
    assert dollars(observed.filter(~has_failed), "start_usd") == dollars(pools, "starting_usd")
    ready = states.filter(pl.col("state") == "ready").select("replica_id", "life_started_at").unique()
    broke = states.filter(pl.col("state") == "failed").join(ready, on=["replica_id", "life_started_at"])
    assert dollars(observed.filter(has_failed), "start_usd") == dollars(pools, "failed_usd") - dollars(
        broke, "billed_usd"
    )

    assert starts.filter("is_inferred")["start_usd"].drop_nulls().is_empty()
    assert starts["delayed_request_count"].sum() <= attempts.height
    assert (starts["abandoned_request_count"] <= starts["delayed_request_count"]).all()

    # Who waited: the parts of a start are the start, and each request that waited is in one part.
    parts = waits.group_by("replica_id", "requested_at").agg(
        pl.col("start_usd").sum(), pl.col("request_count").sum(), pl.col("is_waited").any()
    )
    both = starts.join(parts, on=["replica_id", "requested_at"], how="left", suffix="_parts")
    assert (both["start_usd"].fill_null(0) == both["start_usd_parts"]).all()
    assert (both["delayed_request_count"] == both["request_count"]).all()
    assert (both["is_waited"] == (both["delayed_request_count"] > 0)).all()


def dollars(frame, column):
    return frame[column].cast(pl.Decimal(38, 12)).sum() or Decimal(0)
