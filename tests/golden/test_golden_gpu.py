"""GPU bills worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from models.costs.allocation import allocate_requests
from models.costs.commitments import commitment_prices, load_commitments
from models.costs.pools import pool_hours
from models.costs.states import replica_states
from models.costs.token_costs import price_requests
from models.prices.builtin import builtin_token_sheets
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table
from models.schemas.vocabulary import POOL_PARTS
from tests.models.costs.rows import fleet_attempt, replica_event, vendor_book

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def book(rates, *, phases="loading, serving, idle, draining", step=1, minimum=0):
    return vendor_book(rates, billed_phases=phases, granularity_seconds=step, minimum_seconds=minimum)


def events(*happened, **facts):
    return [replica_event(event, at, **{"ingested_at": NOON} | facts) for event, at in happened]


def attempt(name, start, end, **facts):
    return fleet_attempt(name, start, end, **{"ingested_at": NOON} | facts)


def settle(happened, attempts, prices, *, hours=1, start=NOON, time_zone="UTC", commitments=None):
    """Return states, pool hours and request costs of a few hours."""
    window = {"time_zone": time_zone, "from_hour": start, "to_hour": start + timedelta(hours=hours)}
    if commitments is not None:
        prices = pl.concat([prices, commitment_prices(commitments)])
    known = {
        "prices": prices.lazy(), "as_known_at": datetime(2026, 12, 1, tzinfo=UTC), "commitments": commitments,
    }  # fmt: skip
    lifecycle = table("core.replica_events").frame(happened).lazy()
    requests = table("core.requests").frame(attempts).lazy()
    states = replica_states(lifecycle, **known, **window)
    pools = pool_hours(lifecycle, states.lazy(), requests, **known, **window)
    costs = allocate_requests(requests, states.lazy(), provisional_from=window["to_hour"], **window).collect()
    return states, pools, costs


def usd(text):
    return Decimal(text).quantize(Decimal("1e-12"))


def test_busy_half_hour_of_a_reserved_gpu_is_half_serving_half_idle():
    """Pain 24: idle is not 0, and usage is not the reservation."""
    prices = book(["chip: H100, commitment: on_demand, usd_per_gpu_hour: 3.99, valid_from: 2025-01-01"])
    _, pools, costs = settle(
        events(("ready", NOON - MINUTE)), [attempt("a", NOON, NOON + 30 * MINUTE, replica_id="r1")], prices
    )
    (pool,) = pools.iter_rows(named=True)
    assert pool["billed_usd"] == usd("3.99")
    assert pool["serving_usd"] == usd("1.995")
    assert pool["idle_usd"] == usd("1.995")
    assert pool["billed_gpu_seconds"] == Decimal(3600)
    assert costs["effective_usd"].to_list() == [usd("1.995")]


def test_seven_slices_of_one_gpu_cost_one_gpu():
    """Pain 24: fractions sum to one GPU, to the microsecond of the whole."""
    prices = book(["chip: H100, commitment: on_demand, usd_per_gpu_hour: 2.10, valid_from: 2025-01-01"])
    shares = ["0.142857"] * 6 + ["0.142858"]
    happened = [
        event
        for number, share in enumerate(shares)
        for event in events(("ready", NOON), replica_id=f"r{number}", fraction=share)
    ]
    _, pools, _ = settle(happened, [], prices)
    (pool,) = pools.iter_rows(named=True)
    assert pool["billed_usd"] == pool["idle_usd"] == usd("2.10")
    assert pool["billed_gpu_seconds"] == Decimal(3600)


def test_spot_and_on_demand_hours_keep_their_own_rate():
    """Pain 24: the price actually paid, by commitment."""
    prices = book(
        [
            "chip: H100, commitment: on_demand, usd_per_gpu_hour: 4, valid_from: 2025-01-01",
            "chip: H100, commitment: spot, usd_per_gpu_hour: 1, valid_from: 2025-01-01",
        ]
    )
    happened = events(("ready", NOON)) + events(("ready", NOON), replica_id="r2", commitment="spot")
    _, pools, _ = settle(happened, [], prices)
    assert dict(pools.select("commitment", "billed_usd").iter_rows()) == {
        "on_demand": usd("4"),
        "spot": usd("1"),
    }


STARTING = [("requested", 0), ("scheduled", 10), ("image_pulled", 15), ("ready", 20)]


@pytest.mark.parametrize(
    ("vendor", "phases", "minutes"),
    [
        ("RunPod serverless", "pulling, loading, serving, idle, draining", 10),
        ("Beam", "loading, serving, idle, draining", 5),
        ("Vast serverless", "loading, serving", 5),
        ("a vendor that bills from the request", "waiting, pulling, loading, serving, idle, draining", 20),
        ("a vendor that bills no start", "serving, idle, draining", 0),
    ],
)
def test_start_is_billed_by_the_vendors_own_rule(vendor, phases, minutes):
    """Ten minutes of machine wait, five of image pull, five of model load at $6 an hour: 10 cents a minute."""
    prices = book(
        ["chip: H100, commitment: on_demand, usd_per_gpu_hour: 6, valid_from: 2025-01-01"], phases=phases
    )
    states, pools, _ = settle(events(*((name, NOON + at * MINUTE) for name, at in STARTING)), [], prices)
    assert pools["starting_usd"].to_list() == [usd(str(minutes * Decimal("0.1")))], vendor
    assert states.filter("is_cold_start")["billed_usd"].sum() == pools["starting_usd"][0]
    assert pools["idle_usd"].to_list() == [usd("4" if "idle" in phases else "0")]
    assert pools["billed_usd"][0] == sum(pools[f"{part}_usd"][0] for part in POOL_PARTS)


def test_minimum_and_rounding_are_padding_in_the_hour_of_the_stop():
    prices = book(
        ["chip: H100, commitment: on_demand, usd_per_gpu_hour: 3.60, valid_from: 2025-01-01"],
        step=60,
        minimum=600,
    )
    short = events(("ready", NOON), ("stopped", NOON + timedelta(seconds=90)))
    long = events(
        ("ready", NOON),
        ("stopped", NOON + timedelta(minutes=61, seconds=10)),
        replica_id="r2",
        deployment="b",
    )
    _, pools, _ = settle(short + long, [], prices, hours=2)
    found = {(row["deployment"], row["pool_hour"].hour): row for row in pools.iter_rows(named=True)}
    assert found["llama", 12]["padding_usd"] == usd("0.51")
    assert found["llama", 12]["billed_usd"] == usd("0.60")
    assert found["b", 12]["padding_usd"] == 0
    assert found["b", 13]["padding_usd"] == usd("0.05")
    assert found["b", 13]["billed_gpu_seconds"] == Decimal(120)


DEEPSEEK_NOON = datetime(2025, 2, 27, 4, tzinfo=UTC)
"""Noon in UTC+8, where the published day begins."""
DEEPSEEK_TOKENS = {
    "input_uncached_tokens": 266 * 10**9, "cache_read_tokens": 342 * 10**9, "output_text_tokens": 168 * 10**9,
}  # fmt: skip


def test_deepseek_day_costs_87072_dollars_and_11_cents_a_million_tokens():
    """226.75 nodes of 8 H800 at $2 a GPU-hour from noon to noon in UTC+8; 342B of 608B input tokens were cached.

    The publication gives the day's nodes and tokens, not who served when: here every node serves its equal share of
    the tokens throughout, so that usage and available are one. $87,072 / 776,000 million tokens = $0.1122.
    """
    prices = book(["chip: H800, commitment: on_demand, usd_per_gpu_hour: 2, valid_from: 2025-01-01"])
    nodes, day = [], []
    for number in range(227):
        name, ends = f"node-{number}", DEEPSEEK_NOON + timedelta(hours=18 if number == 226 else 24)
        nodes += events(
            ("ready", DEEPSEEK_NOON), ("stopped", ends), replica_id=name, chip="H800", chip_count=8
        )
        share = {
            column: whole * (number + 1) // 227 - whole * number // 227
            for column, whole in DEEPSEEK_TOKENS.items()
        }
        day.append(attempt(name, DEEPSEEK_NOON, ends, replica_id=name, **share))
    _, pools, costs = settle(nodes, day, prices, hours=24, start=DEEPSEEK_NOON, time_zone="Asia/Shanghai")
    assert pools["billed_usd"].sum() == Decimal(87072)
    assert pools["billed_gpu_seconds"].sum() == Decimal(226 * 24 + 18) * 8 * 3600
    assert set(pools["accrued_on"]) == {date(2025, 2, 27), date(2025, 2, 28)}
    tokens = {column: costs[column].sum() for column in DEEPSEEK_TOKENS}
    assert tokens == DEEPSEEK_TOKENS
    usage = costs["effective_usd"].cast(pl.Decimal(38, 12)).sum()
    assert usage == pools["serving_usd"].sum() == Decimal(87072)
    assert round(usage / sum(tokens.values()) * 10**6, 4) == Decimal("0.1122")


def test_deepseek_day_at_list_prices_earns_562100_dollars():
    """342B x $0.14 + 266B x $0.55 + 168B x $2.19 a million, from the rounded counts; $562,027 from exact ones."""
    sheets = load_token_sheets(builtin_token_sheets())
    afternoon = datetime(2025, 2, 27, 12, tzinfo=UTC)
    call = attempt("day", afternoon, afternoon, provider="deepseek", served_model="deepseek-reasoner")
    (row,) = (
        price_requests(
            table("core.requests").frame([call | DEEPSEEK_TOKENS]).lazy(),
            book=token_book(sheets).lazy(),
            models=model_aliases(sheets).lazy(),
            time_zone="UTC",
            as_known_at=datetime(2026, 11, 1, tzinfo=UTC),
            from_hour=afternoon,
            to_hour=afternoon + timedelta(hours=1),
        )
        .collect()
        .iter_rows(named=True)
    )
    assert row["list_usd"] == Decimal(562_100)


def test_two_attempts_share_by_weighted_tokens_a_second():
    """a: 100 in + 50 out in 240 s weighs 0.4; b: 1000 in + 50 out in 240 s weighs 2.125; they overlap 120 s."""
    prices = book(["chip: H100, commitment: on_demand, usd_per_gpu_hour: 3.99, valid_from: 2025-01-01"])
    pair = [
        attempt(
            "a", NOON, NOON + 4 * MINUTE, replica_id="r1", input_uncached_tokens=100, output_text_tokens=50
        ),
        attempt(
            "b",
            NOON + 2 * MINUTE,
            NOON + 6 * MINUTE,
            replica_id="r1",
            input_uncached_tokens=1000,
            output_text_tokens=50,
        ),
    ]
    _, pools, costs = settle(events(("ready", NOON)), pair, prices)
    assert dict(costs.select("request_id", "effective_usd").iter_rows()) == {
        "a": usd("0.154069306931"),
        "b": usd("0.244930693069"),
    }
    assert pools["serving_usd"].to_list() == [usd("0.399")]


def test_replica_of_a_chip_without_a_price_is_unpriced_not_free():
    prices = book(["chip: H200, commitment: on_demand, usd_per_gpu_hour: 3.99, valid_from: 2025-01-01"])
    states, pools, costs = settle(
        events(("ready", NOON)), [attempt("a", NOON, NOON + MINUTE, replica_id="r1")], prices
    )
    assert states["billed_usd"].to_list() == [None]
    assert pools["billed_usd"].to_list() == [None]
    assert costs.select("effective_usd", "price_state", "unpriced_reason").row(0) == (
        None,
        "unpriced",
        "unknown_chip",
    )


def priced(*, hourly="4", commitment="on_demand", **rule):
    return book(
        [f"chip: H100, commitment: {commitment}, usd_per_gpu_hour: {hourly}, valid_from: 2025-01-01"], **rule
    )


def by_pool(pools):
    return {(row["deployment"], row["commitment"]): row for row in pools.iter_rows(named=True)}


def test_gpus_of_a_node_that_no_replica_holds_are_unheld():
    """Eight GPUs for an hour at $4: two replicas hold four and two of them, the second for half an hour."""
    node = events(("ready", NOON), replica_id="node-1", deployment="(none)", chip_count=8)
    first = events(("ready", NOON), node="node-1", chip_count=4)
    second = events(
        ("ready", NOON + 30 * MINUTE), replica_id="r2", deployment="qwen", node="node-1", chip_count=2
    )
    states, pools, _ = settle(node + first + second, [], priced())
    found = by_pool(pools)
    assert (
        found["(none)", "on_demand"]["unheld_usd"] == found["(none)", "on_demand"]["billed_usd"] == usd("12")
    )
    assert found["(none)", "on_demand"]["unheld_gpu_seconds"] == Decimal(3 * 3600)
    assert (found["llama", "on_demand"]["idle_usd"], found["qwen", "on_demand"]["idle_usd"]) == (
        usd("16"),
        usd("4"),
    )
    assert pools["billed_usd"].sum() == usd("32")
    # A node is no replica: its states are those of who holds it.
    assert set(states["deployment"]) == {"llama", "qwen"}


def test_a_replica_over_two_nodes_holds_its_gpus_of_both_and_none_is_billed_twice():
    """Twelve of sixteen GPUs for an hour at $4, six on each node: two of each are left."""
    nodes = [
        event
        for name in ("node-1", "node-2")
        for event in events(("ready", NOON), replica_id=name, deployment="(none)", chip_count=8)
    ]
    replica = events(("ready", NOON), ("stopped", NOON + 60 * MINUTE), node="node-1, node-2", chip_count=12)
    _, pools, _ = settle(nodes + replica, [], priced(step=7200, phases="loading, serving, idle, draining"))
    found = by_pool(pools)
    assert found["(none)", "on_demand"]["unheld_usd"] == usd("16")
    assert found["(none)", "on_demand"]["unheld_gpu_seconds"] == Decimal(4 * 3600)
    # The rounding of its life is that of the nodes, which live on.
    assert (found["llama", "on_demand"]["idle_usd"], found["llama", "on_demand"]["padding_usd"]) == (
        usd("48"),
        usd("0"),
    )
    assert pools["billed_usd"].sum() == usd("64")


def test_minimum_and_rounding_of_a_node_are_its_own():
    prices = priced(step=3600, phases="loading, serving, idle, draining")
    node = events(
        ("ready", NOON),
        ("stopped", NOON + 90 * MINUTE),
        replica_id="node-1",
        deployment="(none)",
        chip_count=2,
    )
    replica = events(("ready", NOON), ("stopped", NOON + 80 * MINUTE), node="node-1", chip_count=2)
    _, pools, _ = settle(node + replica, [], prices, hours=2)
    assert pools["padding_usd"].to_list() == [usd("4"), usd("0"), usd("0")]
    assert pools.filter(pools["deployment"] == "(none)")["unheld_usd"].sum() == usd("1.333333333333")
    # An hour and a half is billed as two of two GPUs.
    assert pools["billed_usd"].sum() == usd("16")


def bought(count, *, hourly="2", upfront="0", starts="2026-01-01", ends="2027-01-01", **extra):
    more = "".join(f", {key}: {value}" for key, value in extra.items())
    text = (
        "version: 1\ncommitments:\n  - {provider: vendor, region: us-east-1, chip: H100, commitment: committed, "
        f"gpu_count: {count}, usd_per_gpu_hour: {hourly}, upfront_usd: {upfront}, valid_from: {starts}, "
        f"valid_to: {ends}{more}}}\n"
    )
    return load_commitments(text, path="commitments.yml")


def committed(*happened, **facts):
    return events(*happened, commitment="committed", **facts)


def test_what_nobody_used_of_a_commitment_is_a_line_of_its_own():
    """Sixteen GPUs at $2 an hour; a replica of eight ran half the hour: $8 idle, $24 unused."""
    terms = bought(16)
    _, pools, _ = settle(
        committed(("ready", NOON), ("stopped", NOON + 30 * MINUTE), chip_count=8),
        [],
        priced(),
        commitments=terms,
    )
    found = by_pool(pools)
    assert found["llama", "committed"]["idle_usd"] == usd("8")
    nobody = found["(none)", "committed"]
    assert nobody["unused_commitment_usd"] == nobody["billed_usd"] == usd("24")
    assert nobody["unused_commitment_gpu_seconds"] == Decimal(12 * 3600)


def test_an_upfront_payment_is_spread_over_the_term():
    """$17,520 for two GPUs over a year of 8,760 hours is $1 an hour each."""
    terms = bought(2, upfront="17520", hourly="0.5")
    _, pools, _ = settle([], [], priced(), commitments=terms)
    assert pools["unused_commitment_usd"].to_list() == [usd("3")]


def test_a_commitment_covers_the_earliest_started_replica_first():
    """Eight GPUs are committed; of two replicas of eight the later one runs on demand at $4."""
    early = committed(("ready", NOON - 2 * MINUTE), chip_count=8)
    late = committed(("ready", NOON - MINUTE), replica_id="r2", chip_count=8)
    work = [attempt("a", NOON, NOON + 30 * MINUTE, replica_id="r2")]
    _, pools, costs = settle(late + early, work, priced(), commitments=bought(8))
    found = by_pool(pools)
    assert found["llama", "committed"]["billed_usd"] == usd("16")
    assert found["llama", "on_demand"]["billed_usd"] == usd("32")
    assert found["llama", "on_demand"]["serving_usd"] == usd("16")
    assert costs.select("commitment", "effective_usd").rows() == [("on_demand", usd("16"))]


def test_a_commitment_that_was_not_yet_known_or_has_ended_counts_for_nothing():
    for terms in (bought(8, known_from="2026-12-31"), bought(8, ends="2026-11-20")):
        _, pools, _ = settle([], [], priced(), commitments=terms)
        assert pools.is_empty()


def test_a_name_that_moves_to_another_pool_within_the_hour_is_two_replicas():
    """r1 is preempted on spot at 12:20 and comes back on demand at 12:30; each call costs what its own life cost."""
    prices = book(
        [
            "chip: H100, commitment: on_demand, usd_per_gpu_hour: 6, valid_from: 2025-01-01",
            "chip: H100, commitment: spot, usd_per_gpu_hour: 3, valid_from: 2025-01-01",
        ]
    )
    spot = events(("ready", NOON), commitment="spot") + events(
        ("failed", NOON + 20 * MINUTE), commitment="spot", reason="preempted"
    )
    back = events(("requested", NOON + 25 * MINUTE), ("ready", NOON + 30 * MINUTE))
    work = [
        attempt("a", NOON, NOON + 10 * MINUTE, replica_id="r1"),
        attempt("b", NOON + 40 * MINUTE, NOON + 50 * MINUTE, replica_id="r1"),
    ]
    _, pools, costs = settle(spot + back, work, prices)
    assert costs.sort("request_id").select("commitment", "effective_usd").rows() == [
        ("spot", usd("0.5")),
        ("on_demand", usd("1")),
    ]
    assert {row["commitment"]: row["serving_usd"] for row in pools.iter_rows(named=True)} == {
        "spot": usd("0.5"),
        "on_demand": usd("1"),
    }


def test_a_crash_loop_is_a_failed_start_each_time_and_starts_no_serving():
    """Three starts of two minutes each crash while they load; the fourth is ready: at $6 an hour, 60 cents failed."""
    happened = []
    for number in range(3):
        begins = NOON + 5 * number * MINUTE
        happened += events(
            ("requested", begins), ("image_pulled", begins), ("failed", begins + 2 * MINUTE), reason="crash"
        )
    begins = NOON + 15 * MINUTE
    happened += events(("requested", begins), ("image_pulled", begins), ("ready", begins + 5 * MINUTE))
    states, pools, _ = settle(
        happened, [], priced(hourly="6", phases="pulling, loading, serving, idle, draining, failed")
    )
    (pool,) = pools.iter_rows(named=True)
    assert (pool["failed_usd"], pool["starting_usd"], pool["idle_usd"]) == (usd("0.6"), usd("0.5"), usd("4"))
    assert states.filter(states["state"] == "failed")["reason"].to_list() == ["crash"] * 3
