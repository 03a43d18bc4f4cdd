"""Random deployments of every kind of provisioned throughput: what is billed, its parts, and who carries it."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil
from random import Random

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.costs.allocation import allocate_requests
from models.costs.pools import pool_hours
from models.costs.states import replica_states
from models.prices.builtin import builtin_gpu_sheets
from models.prices.gpu_book import capacity_rates, gpu_book
from models.prices.gpu_sheets import load_gpu_sheets
from models.schemas import table
from models.schemas.vocabulary import CAPACITY_CHIP, POOL_PARTS
from tests.models.marts.warehouse import fill, insert, open_warehouse

START = datetime(2026, 11, 20, 17, tzinfo=UTC)
DAYS = {"from_on": START.date(), "to_on": START.date() + timedelta(days=2)}
SHEETS = load_gpu_sheets(builtin_gpu_sheets())
KINDS = {
    # provider, region, model, commitment: dollars a unit and hour, and seconds by and from which it is billed.
    ("azure.ai.openai", "global", "gpt-4.1", "on_demand"): (Fraction(1), 60, 0),
    ("azure.ai.openai", "eastus", "gpt-4o", "on_demand"): (Fraction(2), 60, 0),
    ("gcp.vertex_ai", "global", "gemini-2.5-flash", "on_demand"): (Fraction("7.14"), 3600, 604800),
    ("gcp.vertex_ai", "global", "gemini-2.5-pro", "committed"): (Fraction("3.6986"), 3600, 2628000),
    ("aws.bedrock", "us-east-1", "amazon.titan-text-lite-v1", "on_demand"): (Fraction("7.10"), 3600, 3600),
    ("x_ai", "global", "grok-4-1-fast", "on_demand"): (Fraction("0.416666666667"), 86400, 2592000),
}
"""As the vendors publish them; `data/prices/gpu` states sources."""
SPAN = 5 * 3_600_000_000


def deployment(draw, number):
    """Return a random deployment: its kind, units, and life in microseconds since START."""
    kind = draw.choice(list(KINDS))
    first, last = sorted(
        draw.sample((0, 1, 3_600_000_000, SPAN, *(draw.randrange(SPAN) for _ in range(4))), 2)
    )
    return {
        "name": f"d{number}",
        "kind": kind,
        "units": draw.choice((1, 3, 50)),
        "first": first,
        "last": last,
    }


def attempts_of(draw, deployments):
    for number in range(draw.randrange(30)):
        of = draw.choice(deployments)
        starts = draw.randrange(SPAN)
        yield {
            "source": "s", "source_kind": "requests", "request_id": f"q{number}", "route": of["name"],
            "provider": of["kind"][0], "started_at": START + timedelta(microseconds=starts),
            "finished_at": START + timedelta(microseconds=starts + draw.randrange(600_000_000)),
            "input_uncached_tokens": draw.randrange(9000), "cache_read_tokens": draw.randrange(900),
            "output_text_tokens": draw.randrange(900), "tenant": draw.choice((None, "acme")),
            "api_key_id": draw.choice((None, "k1", "k2")), "status": "ok", "usage_source": "provider",
            "is_gateway_cache_hit": False, "ingested_at": START, "file_hash": "f", "line_number": 1,
            "record_number": 1, "started_hour": START,
        }  # fmt: skip


def events_of(deployments):
    return table("core.replica_events").frame(
        {
            "source": "s", "source_kind": "replica_events", "replica_id": each["name"], "deployment": each["name"],
            "provider": provider, "region": region, "chip": CAPACITY_CHIP, "chip_count": each["units"], "model": model,
            "commitment": commitment, "event": event, "event_at": START + timedelta(microseconds=each[at]),
            "event_hour": START, "ingested_at": START, "file_hash": "f", "line_number": 1, "record_number": 1,
        }
        for each in deployments
        for provider, region, model, commitment in [each["kind"]]
        for event, at in (("ready", "first"), ("stopped", "last"))
    )  # fmt: skip


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32 - 1))
def test_every_kind_bills_its_rule_and_users_carry_the_whole_bill(seed):
    draw = Random(seed)
    deployments = [deployment(draw, number) for number in range(8)]
    events, requests = events_of(deployments), table("core.requests").frame(attempts_of(draw, deployments))
    window = {"time_zone": "Asia/Kolkata", "from_hour": START, "to_hour": START + timedelta(hours=6)}
    known = {"prices": gpu_book(SHEETS).lazy(), "as_known_at": datetime(2026, 12, 1, tzinfo=UTC)}
    states = replica_states(events.lazy(), **known, **window)
    pools = pool_hours(events.lazy(), states.lazy(), requests.lazy(), **known, **window)
    costs = allocate_requests(requests.lazy(), states.lazy(), provisional_from=START, **window).collect()
    # What met no deployment that was there is nobody's.
    on_pools = costs.filter(pl.col("commitment").is_not_null())
    for unit in ("usd", "gpu_seconds"):
        parts = pl.sum_horizontal(f"{part}_{unit}" for part in POOL_PARTS)
        assert pools.filter(pl.col(f"billed_{unit}") != parts).is_empty()
    billed = dict(pools.group_by("deployment").agg(pl.col("billed_usd").sum()).iter_rows())
    for each in deployments:
        rate, step, least = KINDS[each["kind"]]
        seconds = max(ceil(Fraction(each["last"] - each["first"], 1_000_000 * step)) * step, least)
        exact = rate * each["units"] * seconds / 3600
        # Each slot's part is rounded to a picodollar, and so is the padding.
        assert abs(Fraction(billed[each["name"]]) - exact) < Fraction(1, 10**9)
    con = open_warehouse()
    for dotted, rows in (
        ("core.pool_hours", pools), ("core.request_costs", costs), ("core.requests", requests),
        ("ref.capacity_rates", capacity_rates(SHEETS)),
    ):  # fmt: skip
        insert(con, dotted, rows)
    span = {"early": START - timedelta(days=2), "late": START + timedelta(days=2)}
    users = fill(con, "mart.pool_users_daily", "pool_users_daily", **DAYS, **span)
    key = ["accrued_on", "deployment"]
    carried = users.group_by(key).agg(pl.col("whole_usd").sum()).sort(key)
    bills = pools.group_by(key).agg(pl.col("billed_usd").sum().alias("whole_usd")).sort(key)
    is_billed = pl.col("whole_usd") != 0
    assert carried.filter(is_billed).equals(bills.filter(is_billed))
    told = users.filter(pl.col("tenant").is_null() | (pl.col("tenant") != "(unallocated)"))
    assert told["attempt_count"].sum() == on_pools.filter("is_first_accrual").height
    days = fill(con, "mart.capacity_daily", "capacity_daily", **DAYS)
    assert days["billed_usd"].sum() == pools["billed_usd"].sum()
    assert days["attempt_count"].sum() == on_pools.filter("is_first_accrual").height
    known_models = {"gpt-4.1", "gpt-4o", "gemini-2.5-flash", "gemini-2.5-pro"}
    assert set(days.filter(pl.col("capacity_tokens").is_not_null())["model"]) <= known_models
