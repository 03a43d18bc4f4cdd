"""Random fleets: the bill is conserved, requests carry serving cost, windows and row order do not matter."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.costs.allocation import allocate_requests
from models.costs.commitments import commitment_prices, load_commitments
from models.costs.pools import pool_hours
from models.costs.states import replica_states
from models.prices.gpu_book import gpu_book
from models.prices.gpu_sheets import load_gpu_sheets
from models.schemas import table
from models.schemas.vocabulary import NONE_DEPLOYMENT, POOL_PARTS

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
END = START + timedelta(hours=3)
BOOK = gpu_book(
    load_gpu_sheets(
        {
            "vendor.yml": """
vendor: vendor
currency: USD
source_url: https://example.com
checked_on: 2026-01-01
billing: {granularity_seconds: 60, minimum_seconds: 600, billed_phases: [loading, serving, idle, draining, failed]}
rates:
  - {chip: H100, commitment: on_demand, usd_per_gpu_hour: 3.99, valid_from: 2026-01-01}
  - {chip: H100, commitment: on_demand, usd_per_gpu_hour: 2.777777777, valid_from: 2026-11-20T11:20:00Z}
  - {chip: H100, commitment: spot, usd_per_gpu_hour: 1.23, valid_from: 2026-01-01}
"""
        }
    )
)
COMMITMENTS = load_commitments(
    """
version: 1
commitments:
  - {provider: vendor, region: r, chip: H100, gpu_count: 9, usd_per_gpu_hour: 1.111111111111, valid_from: 2026-01-01,
     valid_to: 2026-11-20T12:10:00Z}
""",
    path="commitments.yml",
)
PRICES = pl.concat([BOOK, commitment_prices(COMMITMENTS)])
POOL_HOUR = ["provider", "region", "chip", "deployment", "commitment", "pool_hour", "accrued_on"]
STEPS = ("requested", "scheduled", "image_pulled", "ready", "draining", "stopped")
micros = st.integers(0, 3 * 3_600_000_000)


@st.composite
def fleets(draw):
    replicas = []
    for number in range(draw(st.integers(1, 4))):
        events = draw(st.sets(st.sampled_from(STEPS), min_size=1))
        if draw(st.booleans()):
            events |= {"ready"}
        instants = sorted(draw(st.lists(micros, min_size=len(events), max_size=len(events), unique=True)))
        names = [step for step in STEPS if step in events]
        if names[-1] == "stopped" and draw(st.integers(0, 3)) == 0:
            names[-1] = "failed"
        replicas.append(
            {
                "replica_id": f"r{number}",
                "deployment": draw(st.sampled_from(["a", "b"])),
                "commitment": draw(st.sampled_from(["on_demand", "spot", "committed"])),
                "node": draw(st.sampled_from([None, "node-0"])),
                "chip_count": draw(st.sampled_from([1, 8])),
                "fraction": draw(st.sampled_from([None, "0.142857"])),
                "events": list(zip(names, instants, strict=True)),
            }
        )
    if draw(st.booleans()):
        first, last = sorted(draw(st.lists(micros, min_size=2, max_size=2, unique=True)))
        replicas.append(
            {
                "replica_id": "node-0",
                "deployment": NONE_DEPLOYMENT,
                "commitment": draw(st.sampled_from(["on_demand", "spot"])),
                "chip_count": draw(st.sampled_from([8, 16])),
                "fraction": None,
                "node": None,
                "events": [("ready", first), ("stopped", last)],
            }
        )
    attempts = []
    for number in range(draw(st.integers(0, 12))):
        starts = draw(micros)
        attempts.append(
            {
                "request_id": f"q{number}",
                "route": draw(st.sampled_from(["a", "b"])),
                "replica_id": draw(st.sampled_from([None, "r0", "r1", "r9"])),
                "starts": starts,
                "ends": starts + draw(st.one_of(st.just(0), st.integers(1, 5_000_000_000))),
                "queue_seconds": draw(st.sampled_from([None, 0.0, 1.5])),
                "input": draw(st.one_of(st.none(), st.integers(0, 200_000))),
                "output": draw(st.one_of(st.none(), st.integers(0, 20_000))),
            }
        )
    return replicas, attempts


def event_frame(replicas):
    return table("core.replica_events").frame(
        {
            "source": "s",
            "source_kind": "replica_events",
            "provider": "vendor",
            "region": "r",
            "chip": "H100",
            "event": event,
            "event_at": START + timedelta(microseconds=at),
            "event_hour": START,
            "ingested_at": START,
            "file_hash": "f",
            "line_number": 1,
            "record_number": 1,
            **{key: value for key, value in replica.items() if key != "events"},
        }
        for replica in replicas
        for event, at in replica["events"]
    )


def attempt_frame(attempts):
    return table("core.requests").frame(
        {
            "source": "s",
            "source_kind": "requests",
            "request_id": attempt["request_id"],
            "route": attempt["route"],
            "replica_id": attempt["replica_id"],
            "started_at": START + timedelta(microseconds=attempt["starts"]),
            "finished_at": START + timedelta(microseconds=attempt["ends"]),
            "queue_seconds": attempt["queue_seconds"],
            "input_uncached_tokens": attempt["input"],
            "output_text_tokens": attempt["output"],
            "status": "ok",
            "usage_source": "provider",
            "is_gateway_cache_hit": False,
            "ingested_at": START,
            "file_hash": "f",
            "line_number": 1,
            "record_number": 1,
            "started_hour": START,
        }
        for attempt in attempts
    )


def ledger(events, attempts, *, hours, time_zone="Asia/Kolkata"):
    """Run the three functions over windows of some hours each."""
    found = {"states": [], "pools": [], "costs": []}
    for offset in range(0, 3, hours):
        window = {
            "time_zone": time_zone,
            "from_hour": START + timedelta(hours=offset),
            "to_hour": START + timedelta(hours=offset + hours),
        }
        known = {"prices": PRICES.lazy(), "as_known_at": END, "commitments": COMMITMENTS}
        states = replica_states(events.lazy(), **known, **window)
        found["states"].append(states)
        found["pools"].append(pool_hours(events.lazy(), states.lazy(), attempts.lazy(), **known, **window))
        found["costs"].append(
            allocate_requests(attempts.lazy(), states.lazy(), provisional_from=END, **window).collect()
        )
    return {name: pl.concat(frames) for name, frames in found.items()}


def by_key(costs):
    return costs.sort("source", "request_id", "accrued_hour", "accrued_on")


relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(fleets())
def test_bill_equals_its_parts_and_requests_carry_serving(fleet):
    replicas, attempts = fleet
    books = ledger(event_frame(replicas), attempt_frame(attempts), hours=3)
    pools = books["pools"]
    for unit in ("usd", "gpu_seconds"):
        parts = pl.sum_horizontal(f"{part}_{unit}" for part in POOL_PARTS)
        assert pools.filter(pl.col(f"billed_{unit}") != parts).is_empty()
        assert pools.filter(pl.any_horizontal(pl.col(f"{part}_{unit}") < 0 for part in POOL_PARTS)).is_empty()
    carried = (
        books["costs"]
        .rename({"accrued_hour": "pool_hour"})
        .group_by(POOL_HOUR)
        .agg(pl.col("effective_usd").cast(pl.Decimal(38, 12)).sum())
    )
    compared = pools.join(carried, on=POOL_HOUR, how="left").with_columns(
        pl.col("effective_usd").fill_null(0)
    )
    assert compared.filter(pl.col("effective_usd") != pl.col("serving_usd")).is_empty()
    costs = books["costs"]
    assert costs.filter(pl.col("effective_usd") != pl.col("input_usd") + pl.col("output_usd")).is_empty()
    assert costs.filter(pl.col("is_first_accrual")).height == costs["request_id"].n_unique()
    assert costs.select("request_id", "accrued_hour", "accrued_on").is_duplicated().sum() == 0


@relaxed
@given(fleets(), st.randoms(use_true_random=False))
def test_windows_and_row_order_do_not_matter(fleet, random):
    replicas, attempts = fleet
    events = event_frame(replicas)
    whole = ledger(events, attempt_frame(attempts), hours=3)
    random.shuffle(attempts)
    hourly = ledger(events, attempt_frame(attempts), hours=1)
    assert (
        hourly["states"]
        .sort("replica_id", "started_at")
        .equals(whole["states"].sort("replica_id", "started_at"))
    )
    assert hourly["pools"].sort(POOL_HOUR).equals(whole["pools"].sort(POOL_HOUR))
    assert by_key(hourly["costs"]).equals(by_key(whole["costs"]))


@relaxed
@given(fleets())
def test_allocation_agrees_with_exact_fractions_event_by_event(fleet):
    """One whole replica, every attempt tied to it: within a picodollar of the exact integral."""
    _, attempts = fleet
    for attempt in attempts:
        attempt["replica_id"] = "r0"
    replica = {
        "replica_id": "r0", "deployment": "a", "commitment": "spot", "chip_count": 8, "fraction": None, "node": None,
    }  # fmt: skip
    events = event_frame([{**replica, "events": [("ready", 1_234_567), ("stopped", 9_876_543_210)]}])
    costs = ledger(events, attempt_frame(attempts), hours=3, time_zone="UTC")["costs"]
    found = {
        (row["request_id"], row["accrued_hour"]): int(row["effective_usd"] * 10**12)
        for row in costs.filter(pl.col("price_state") == "priced").iter_rows(named=True)
    }
    expected = _reference(attempts, ready_from=1_234_567, ready_to=9_876_543_210)
    for key in found.keys() | expected.keys():
        assert abs(found.get(key, 0) - expected.get(key, Fraction(0))) <= 1


def _reference(attempts, *, ready_from, ready_to):
    """Split each hour's bill, whole picodollars by the rule of an hour's parts, event by event in exact fractions."""
    rate = Fraction(1_230_000_000_000 * 8, 3_600_000_000)
    work = []
    for attempt in attempts:
        queue = int((attempt["queue_seconds"] or 0) * 1_000_000)
        begun = min(attempt["starts"] + queue, attempt["ends"])
        tokens = max(Fraction(46, 100) * (attempt["input"] or 0) + (attempt["output"] or 0), Fraction(1))
        weight = tokens / max(attempt["ends"] - begun, 1000)
        work.append((attempt["request_id"], begun, attempt["ends"], weight))
    hours = [number * 3_600_000_000 for number in range(4)]
    edges = sorted(
        {ready_from, ready_to, *hours, *(edge for _, begun, end, _ in work for edge in (begun, end))}
    )
    cost = defaultdict(Fraction)
    for left, right in pairwise(edges):
        if left < ready_from or right > ready_to:
            continue
        flying = [(name, weight) for name, begun, end, weight in work if begun <= left and right <= end]
        total = sum(weight for _, weight in flying)
        first = left // 3_600_000_000 * 3_600_000_000
        begins, ends = max(ready_from, first), min(ready_to, first + 3_600_000_000)
        billed = round(rate * (ends - first)) - round(rate * (begins - first))
        for name, weight in flying:
            hour = START + timedelta(hours=left // 3_600_000_000)
            cost[name, hour] += Fraction(billed, ends - begins) * (right - left) * weight / total
    return cost
