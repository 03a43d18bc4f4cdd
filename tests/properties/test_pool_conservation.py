"""Random fleets: the bill is conserved, requests carry serving cost, windows and row order do not matter."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.costs.allocation import allocate_requests
from models.costs.commitments import commitment_prices, load_commitments
from models.costs.intervals import slots
from models.costs.pools import pool_hours
from models.costs.states import replica_states
from models.costs.weights import Weights, load_weights
from models.schemas import table
from models.schemas.vocabulary import NONE_DEPLOYMENT, POOL_PARTS
from tests.models.costs.rows import fleet_attempt, replica_event, vendor_book

START = datetime(2026, 11, 20, 17, tzinfo=UTC)
END = START + timedelta(hours=3)
BOOK = vendor_book(
    (
        "chip: H100, commitment: on_demand, usd_per_gpu_hour: 3.99, valid_from: 2026-01-01",
        "chip: H100, commitment: on_demand, usd_per_gpu_hour: 2.777777777, valid_from: 2026-11-20T18:20:00Z",
        "chip: H100, commitment: spot, usd_per_gpu_hour: 1.23, valid_from: 2026-01-01",
    ),
    billed_phases="loading, serving, idle, draining, failed",
    granularity_seconds=60,
    minimum_seconds=600,
)
FLEETS = 100
"""Fleets that are worked off side by side; none may touch another."""
COMMITMENTS = load_commitments(
    "version: 1\ncommitments:\n"
    + "".join(
        f"  - {{provider: vendor, region: r{place}, chip: H100, gpu_count: {count}, usd_per_gpu_hour: {rate}, "
        f"valid_from: {first}, valid_to: {last}}}\n"
        for place in range(FLEETS)
        for count, rate, first, last in (
            (9, "1.111111111111", "2026-01-01", "2026-11-20T19:10:00Z"),
            (2, "2.345678901234", "2026-11-20T18:20:00.7Z", "2027-01-01"),
        )
    ),
    path="commitments.yml",
)
WEIGHTS = load_weights(
    "version: 1\nweights:\n  - {chip: H100, input: 0.31, cache_read: 0.02}\nrules:\n"
    + "".join(
        f"  - {{region: r{place}, rule: {rule}}}\n"
        for place in range(FLEETS)
        if (
            rule := (None, "equal_share", "reserved_quota, quotas: {acme: 3, globex: 0.7}", "kv_block_share")[
                place % 4
            ]
        )
    ),
    path="weights.yml",
)
PRICES = pl.concat([BOOK, commitment_prices(COMMITMENTS)])
POOL_HOUR = ["provider", "region", "chip", "deployment", "commitment", "pool_hour", "accrued_on"]
STEPS = ("requested", "scheduled", "image_pulled", "ready", "draining", "stopped")
SPAN = 3 * 3_600_000_000
EDGES = (0, 3_600_000_000, 4_800_000_000, 5_400_000_000, 7_200_000_000, 7_800_000_000, SPAN)
"""Hours, the change of price, the start of a day in Asia/Kolkata, the end of the commitments: microseconds."""


class Draw:
    """Seeded choices: edges come up often, as instants on an edge are where a rule goes wrong."""

    def __init__(self, seed):
        self.random = Random(seed)

    def one(self, *choices):
        return self.random.choice(choices)

    def instant(self):
        if self.random.random() < 0.2:
            return self.random.choice(EDGES) + self.random.choice((-1, 0, 0, 1)) % SPAN
        return self.random.randrange(SPAN + 1)

    def instants(self, number):
        found = set()
        while len(found) < number:
            found.add(self.instant())
        return sorted(found)


def fleet(seed, place):
    """Return the replicas and attempts of one random fleet, in a region of its own."""
    draw = Draw(f"{seed}-{place}")
    region = {"region": f"r{place}"}
    replicas = []
    for number in range(draw.one(1, 2, 3, 4)):
        events = set(draw.random.sample(STEPS, draw.random.randint(1, len(STEPS))))
        if draw.one(True, False):
            events |= {"ready"}
        names = [step for step in STEPS if step in events]
        instants = draw.instants(len(names))
        if names[-1] == "stopped" and draw.one(True, False, False, False):
            names[-1] = "failed"
        replicas.append(
            {
                **region,
                "replica_id": f"{place}-r{number}",
                "deployment": f"{place}-{draw.one('a', 'b')}",
                "commitment": draw.one("on_demand", "spot", "committed", "committed", None),
                "node": draw.one(None, f"{place}-node"),
                "chip_count": draw.one(1, 8),
                "fraction": draw.one(None, "0.142857", "0.333333", "0.3"),
                "events": list(zip(names, instants, strict=True)),
            }
        )
    if draw.one(True, False, False):
        # Some serve as one, over several nodes.
        for number, replica in enumerate(replicas):
            replica |= {"replica_group": f"lws/{place}", "is_group_head": number == 0}
    if draw.one(True, False, False):
        # Another cluster calls one of its replicas alike.
        replicas.append(
            replicas[0] | {"source": "t", "cluster": "c", "replica_group": None, "is_group_head": None}
        )
    if draw.one(True, False):
        first, last = draw.instants(2)
        replicas.append(
            {
                **region,
                "replica_id": f"{place}-node",
                "deployment": NONE_DEPLOYMENT,
                "commitment": draw.one("on_demand", "spot", "committed"),
                "chip_count": draw.one(8, 16),
                "fraction": None,
                "node": None,
                "events": [("ready", first), ("stopped", last)],
            }
        )
    return replicas, attempts_of(draw, place)


def attempts_of(draw, place):
    attempts = []
    for number in range(draw.random.randint(0, 12)):
        starts = draw.instant()
        attempts.append(
            {
                "request_id": f"{place}-q{number}",
                "region": f"r{place}",
                "route": f"{place}-{draw.one('a', 'b')}",
                "replica_id": draw.one(None, f"{place}-r0", f"{place}-r1", f"{place}-r9"),
                "tenant": draw.one(None, "acme", "globex", "other"),
                "starts": starts,
                "ends": starts + draw.one(0, 1, draw.random.randrange(5_000_000_000)),
                "queue_seconds": draw.one(None, 0.0, 1.5),
                "input": draw.one(None, 0, draw.random.randrange(200_000)),
                "output": draw.one(None, 0, draw.random.randrange(20_000)),
            }
        )
    return attempts


def fleets(seed):
    """Return the replicas and attempts of FLEETS fleets side by side, each in its own region."""
    drawn = [fleet(seed, place) for place in range(FLEETS)]
    return [each for replicas, _ in drawn for each in replicas], [
        each for _, attempts in drawn for each in attempts
    ]


def event_frame(replicas):
    return table("core.replica_events").frame(
        replica_event(
            event,
            START + timedelta(microseconds=at),
            event_hour=START,
            ingested_at=START,
            **{key: value for key, value in replica.items() if key != "events"},
        )
        for replica in replicas
        for event, at in replica["events"]
    )


def attempt_frame(attempts):
    return table("core.requests").frame(
        fleet_attempt(
            attempt["request_id"],
            START + timedelta(microseconds=attempt["starts"]),
            START + timedelta(microseconds=attempt["ends"]),
            route=attempt["route"],
            region=attempt["region"],
            tenant=attempt["tenant"],
            replica_id=attempt["replica_id"],
            queue_seconds=attempt["queue_seconds"],
            input_uncached_tokens=attempt["input"],
            output_text_tokens=attempt["output"],
            ingested_at=START,
            started_hour=START,
        )
        for attempt in attempts
    )


def ledger(events, attempts, *, hours, time_zone="Asia/Kolkata", weights=WEIGHTS):
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
            allocate_requests(
                attempts.lazy(), states.lazy(), provisional_from=END, weights=weights, **window
            ).collect()
        )
    return {name: pl.concat(frames) for name, frames in found.items()}


def by_key(costs):
    return costs.sort("source", "request_id", "accrued_hour", "accrued_on")


seeds = st.integers(0, 2**32 - 1)
many = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(seeds)
def test_bill_equals_its_parts_and_requests_carry_serving(seed):
    replicas, attempts = fleets(seed)
    books = ledger(event_frame(replicas), attempt_frame(attempts), hours=3)
    pools = books["pools"]
    for unit in ("usd", "gpu_seconds"):
        parts = pl.sum_horizontal(f"{part}_{unit}" for part in POOL_PARTS)
        assert pools.filter(pl.col(f"billed_{unit}") != parts).is_empty()
        assert pools.filter(pl.any_horizontal(pl.col(f"{part}_{unit}") < 0 for part in POOL_PARTS)).is_empty()
    # A purchase may end while a request works: its one row names the commitment that it began on.
    of_deployment = [name for name in POOL_HOUR if name != "commitment"]
    carried = (
        books["costs"]
        .rename({"accrued_hour": "pool_hour"})
        .group_by(of_deployment)
        .agg(pl.col("effective_usd").cast(pl.Decimal(38, 12)).sum())
    )
    served = pools.group_by(of_deployment).agg(pl.col("serving_usd").sum())
    compared = served.join(carried, on=of_deployment, how="left").with_columns(
        pl.col("effective_usd").fill_null(0)
    )
    assert compared.filter(pl.col("effective_usd") != pl.col("serving_usd")).is_empty()
    costs = books["costs"]
    assert costs.filter(pl.col("effective_usd") != pl.col("input_usd") + pl.col("output_usd")).is_empty()
    assert costs.filter(pl.col("is_first_accrual")).height == costs["request_id"].n_unique()
    assert costs.select("request_id", "accrued_hour", "accrued_on").is_duplicated().sum() == 0


@settings(parent=many, max_examples=4)
@given(seeds)
def test_used_and_unused_dollars_of_purchases_sum_to_what_was_paid(seed):
    """Whatever runs on them: each slot of an hour at each purchase's own rate, as exact fractions, rounded once."""
    replicas, attempts = fleets(seed)
    pools = ledger(event_frame(replicas), attempt_frame(attempts), hours=3)["pools"]
    bought = pools.filter(pl.col("commitment") == "committed").group_by("region", "pool_hour", "accrued_on")
    found = {tuple(key): usd for *key, usd in bought.agg(pl.col("billed_usd").sum()).iter_rows()}
    expected = defaultdict(int)
    for row in COMMITMENTS.iter_rows(named=True):
        for begins, ends, hour, day in slots(from_hour=START, to_hour=END, time_zone="Asia/Kolkata").select(
            "slot_started_at", "slot_ended_at", "hour", "accrued_on"
        ).iter_rows():  # fmt: skip
            since = max(hour, row["valid_from"])
            inside = [min(max(at, since), max(row["valid_to"], since)) - since for at in (begins, ends)]
            rate = Fraction(row["picodollars_per_gpu_hour"] * row["gpu_count"], 3_600_000_000)
            cost = [round(rate * (each // timedelta(microseconds=1))) for each in inside]
            expected[row["region"], hour, day] += cost[1] - cost[0]
    for key, picodollars in expected.items():
        assert int(found.get(key, 0) * 10**12) == picodollars


@settings(parent=many, max_examples=5)
@given(seeds)
def test_windows_and_row_order_do_not_matter(seed):
    replicas, attempts = fleets(seed)
    events = event_frame(replicas)
    whole = ledger(events, attempt_frame(attempts), hours=3)
    Random(seed).shuffle(attempts)
    hourly = ledger(events, attempt_frame(attempts), hours=1)
    assert (
        hourly["states"]
        .sort("replica_id", "source", "started_at")
        .equals(whole["states"].sort("replica_id", "source", "started_at"))
    )
    assert hourly["pools"].sort(POOL_HOUR).equals(whole["pools"].sort(POOL_HOUR))
    assert by_key(hourly["costs"]).equals(by_key(whole["costs"]))


@many
@given(seeds)
def test_allocation_agrees_with_exact_fractions_event_by_event(seed):
    """One whole replica a fleet, every attempt tied to it: within a picodollar of the exact integral."""
    draws = [Draw(f"{seed}-{place}") for place in range(FLEETS)]
    work = [
        [attempt | {"replica_id": f"{place}-r0"} for attempt in attempts_of(draw, place)]
        for place, draw in enumerate(draws)
    ]
    replicas = [
        {
            "replica_id": f"{place}-r0", "region": f"r{place}", "deployment": f"{place}-a", "commitment": "spot",
            "chip_count": 8, "fraction": None, "node": None,
            "events": [("ready", 1_234_567), ("stopped", 9_876_543_210)],
        }
        for place in range(FLEETS)
    ]  # fmt: skip
    attempts = attempt_frame([attempt for fleet in work for attempt in fleet])
    costs = ledger(event_frame(replicas), attempts, hours=3, time_zone="UTC", weights=Weights())["costs"]
    found = {
        (row["request_id"], row["accrued_hour"]): int(row["effective_usd"] * 10**12)
        for row in costs.filter(pl.col("price_state") == "priced").iter_rows(named=True)
    }
    expected = {}
    for fleet in work:
        expected |= _reference(fleet, ready_from=1_234_567, ready_to=9_876_543_210)
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
