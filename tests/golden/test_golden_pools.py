"""What belongs to a pool and what a purchase covers, worked out by hand. One GPU costs $4 an hour on demand."""

from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest

from models.costs.commitments import load_commitments
from models.schemas.vocabulary import POOL_PARTS
from tests.golden.test_golden_gpu import MINUTE, NOON, attempt, book, by_pool, events, priced, settle, usd

HOUR = 60 * MINUTE


def purchases(*terms):
    return load_commitments(
        "version: 1\ncommitments:\n"
        + "".join(
            f"  - {{provider: vendor, region: us-east-1, chip: H100, commitment: committed, {each}}}\n"
            for each in terms
        ),
        path="commitments.yml",
    )


def purchase(count, hourly, starts="2026-01-01", ends="2027-01-01"):
    return f"gpu_count: {count}, usd_per_gpu_hour: {hourly}, valid_from: {starts}, valid_to: {ends}"


def ran(replica_id, first, last, count=1, **facts):
    return events(
        ("ready", NOON + first * MINUTE), ("stopped", NOON + last * MINUTE),
        replica_id=replica_id, chip_count=count, commitment="committed", **facts,
    )  # fmt: skip


def parts(pools):
    return {
        (row["deployment"], row["commitment"]): {
            name: row[f"{name}_usd"] for name in ("billed", "unheld", "unused_commitment")
        }
        for row in pools.iter_rows(named=True)
    }


LATER_LIST = [
    "chip: H100, commitment: committed, usd_per_gpu_hour: 1, valid_from: 2026-11-20",
    "chip: H100, region: us-east-1, commitment: committed, usd_per_gpu_hour: 9, valid_from: 2026-11-20",
    "chip: H100, commitment: on_demand, usd_per_gpu_hour: 4, valid_from: 2025-01-01",
]


@pytest.mark.parametrize(
    ("terms", "replicas", "expected"),
    [
        pytest.param(
            [purchase(8, 2), purchase(8, 3)],
            ran("r1", 0, 60, 16),
            {("llama", "committed"): (40, 0)},
            id="each purchase of one scope keeps its own rate",
        ),
        pytest.param(
            [purchase(8, 3), purchase(8, "1.5", starts="2026-03-01")],
            [],
            {("(none)", "committed"): (36, 36)},
            id="what was paid does not depend on use",
        ),
        pytest.param(
            [purchase(4, 2, ends="2026-11-20T12:15:00Z"), purchase(4, 1, starts="2026-11-20T12:45:00Z")],
            [],
            {("(none)", "committed"): (3, 3)},
            id="purchases begin and end inside an hour",
        ),
        pytest.param(
            [purchase(1, 2)],
            [each for n in range(4) for each in ran(f"r{n}", 15 * n, 15 * n + 15)],
            {("llama", "committed"): (2, 0)},
            id="one GPU is 3,600 seconds of a clock hour, whoever uses them",
        ),
        pytest.param(
            [purchase(1, 2)],
            ran("r1", 0, 40) + ran("r2", 0, 40),
            {("llama", "committed"): (2, 0), ("llama", "on_demand"): (Decimal("1.333333333333"), 0)},
            id="what goes beyond is on demand",
        ),
        pytest.param(
            [purchase(8, 2)],
            ran("r1", 0, 30, 8),
            {("llama", "committed"): (8, 0), ("(none)", "committed"): (8, 8)},
            id="what nobody used",
        ),
        pytest.param(
            [purchase(1, 2, starts="2026-11-20T12:30:00Z")],
            ran("before", 0, 30) + ran("after", 30, 60),
            {("llama", "on_demand"): (2, 0), ("llama", "committed"): (1, 0)},
            id="what ran before a purchase began is on none of it",
        ),
        pytest.param(
            [purchase(1, 2, ends="2026-11-20T12:15:00Z")],
            ran("before", 0, 10) + ran("after", 20, 50),
            {
                ("llama", "committed"): (Decimal("0.333333333333"), 0),
                ("(none)", "committed"): (Decimal("0.166666666667"), Decimal("0.166666666667")),
                ("llama", "on_demand"): (2, 0),
            },
            id="nor what ran after it ended",
        ),
    ],
)
def test_purchases_cover_gpu_seconds_of_the_clock_hour_and_sum_to_what_was_paid(terms, replicas, expected):
    # A list rate of a later date does not hold for what a contract covers.
    _, pools, _ = settle(replicas, [], book(LATER_LIST), commitments=purchases(*terms))
    found = parts(pools)
    assert found.keys() == expected.keys()
    for pool, (billed, unused) in expected.items():
        assert abs(found[pool]["billed"] - billed) < Decimal("1e-10")
        assert abs(found[pool]["unused_commitment"] - unused) < Decimal("1e-10")


def test_nothing_is_padded_beyond_what_was_bought():
    happened = events(
        ("ready", NOON), ("stopped", NOON + timedelta(minutes=30, milliseconds=400)),
        commitment="committed", chip_count=8,
    )  # fmt: skip
    _, pools, _ = settle(happened, [], book(LATER_LIST, step=60), commitments=purchases(purchase(8, 2)))
    assert (pools["billed_usd"].sum(), pools["billed_gpu_seconds"].sum()) == (usd("16"), Decimal(28_800))


def test_a_committed_node_with_a_replica_on_it_is_paid_once():
    node = events(("ready", NOON), replica_id="n1", deployment="(none)", commitment="committed", chip_count=8)
    # The replica states no terms: it has those of its node, which no default outvotes.
    replica = events(("ready", NOON + 15 * MINUTE), chip_count=4, node="n1", commitment=None)
    states, pools, _ = settle(node + replica, [], priced(), commitments=purchases(purchase(8, 2)))
    assert parts(pools) == {
        ("llama", "committed"): {"billed": usd("6"), "unheld": usd("0"), "unused_commitment": usd("0")},
        ("(none)", "committed"): {"billed": usd("10"), "unheld": usd("10"), "unused_commitment": usd("0")},
    }
    assert states["commitment"].to_list() == ["committed"]
    assert not states["repair"].str.contains("assumed").any()


def test_the_replica_that_started_first_uses_a_purchase_and_works_first_in_every_hour():
    happened = ran("z-first", -60, 120, deployment="bought") + ran("a-second", -59, 120, deployment="bought")
    happened += [
        *events(("ready", NOON - HOUR), replica_id="z-eight", chip_count=8),
        *events(("ready", NOON - 59 * MINUTE), replica_id="a-one"),
    ]
    asked = [
        attempt(f"q{hour}", NOON + hour * HOUR, NOON + (hour + 0.5) * HOUR, route="llama") for hour in (0, 1)
    ]
    states, _, costs = settle(happened, asked, priced(), hours=2, commitments=purchases(purchase(1, 2)))
    terms = states.filter(pl.col("deployment") == "bought").select("replica_id", "commitment").unique()
    assert set(terms.rows()) == {("z-first", "committed"), ("a-second", "on_demand")}
    assert costs["effective_usd"].to_list() == [usd("16")] * 2


def test_an_attempt_over_the_end_of_a_purchase_carries_what_it_worked_on_both_sides():
    """A purchase of one GPU for two replicas of one each: the second is on it for half the hour."""
    happened = ran("r1", 0, 30) + ran("r2", 0, 60)
    asked = [attempt("q", NOON, NOON + HOUR, replica_id="r2")]
    states, pools, costs = settle(happened, asked, priced(), commitments=purchases(purchase(1, 2)))
    assert states.filter(pl.col("replica_id") == "r2").select("commitment", "billed_usd").rows() == [
        ("committed", usd("1")),
        ("on_demand", usd("2")),
    ]
    assert costs["effective_usd"].to_list() == [usd("3")] == [pools["serving_usd"].sum()]
    assert pools.filter(
        pl.col("billed_usd") != pl.sum_horizontal(f"{part}_usd" for part in POOL_PARTS)
    ).is_empty()


def test_replicas_of_one_id_in_two_places_are_two():
    """A StatefulSet calls its pods alike in every cluster; a request is of the one whose region it states."""
    happened = [
        *events(("ready", NOON), replica_id="vllm-0", source="us"),
        *events(("ready", NOON), replica_id="vllm-0", source="eu", region="eu-west-1", chip_count=2),
        *events(("ready", NOON), replica_id="vllm-0", source="us", cluster="b", chip_count=4),
    ]
    asked = [
        attempt(name, NOON, NOON + 30 * MINUTE, replica_id="vllm-0", provider="vendor", region=name)
        for name in ("us-east-1", "eu-west-1")
    ]
    _, pools, costs = settle(happened, asked, priced())
    assert dict(pools.select("region", "billed_usd").rows()) == {
        "us-east-1": usd("20"),
        "eu-west-1": usd("8"),
    }
    assert dict(costs.select("request_id", "effective_usd").rows())["eu-west-1"] == usd("4")


def test_a_default_never_outvotes_what_any_event_states():
    asked = events(("requested", NOON), chip_count=None, region=None, fraction=None, commitment=None)
    known = events(
        ("scheduled", NOON), ("ready", NOON), chip_count=8, fraction="0.25", commitment="spot", region="us-west-2"
    )  # fmt: skip
    states, _, _ = settle(asked + known, [], priced(commitment="spot"))
    assert states.select("region", "chip_count", "fraction", "commitment", "billed_usd", "repair").row(0) == (
        "us-west-2", 8, Decimal("0.25"), "spot", usd("8"), None,
    )  # fmt: skip
    other = events(
        ("stopped", NOON + HOUR), chip_count=4, fraction="0.25", commitment="spot", region="us-west-2"
    )
    states, _, _ = settle(known + other, [], priced(commitment="spot"))
    assert states["repair"].str.starts_with("several_chip_counts").all()
    states, _, _ = settle(events(("ready", NOON), chip_count=None), [], priced())
    assert states["repair"].to_list() == ["assumed_chip_count"]


def test_seconds_in_a_gap_of_the_sheet_are_unpriced_and_counted():
    """$4 until half past, nothing until a quarter past the next hour, then $3."""
    sheet = book(
        [
            "chip: H100, usd_per_gpu_hour: 4, valid_from: 2025-01-01, valid_to: 2026-11-20T12:30:00Z",
            "chip: H100, usd_per_gpu_hour: 3, valid_from: 2026-11-20T13:15:00Z",
        ]
    )
    asked = [
        attempt(name, NOON + at * MINUTE, NOON + (at + 1) * MINUTE, replica_id="r1")
        for name, at in (("before", 10), ("inside", 40), ("after", 80))
    ]
    _, pools, costs = settle(events(("ready", NOON)), asked, sheet, hours=2)
    assert pools.sort("pool_hour").select("billed_usd", "unpriced_gpu_seconds").rows() == [
        (usd("2"), Decimal(1800)),
        (usd("2.25"), Decimal(900)),
    ]
    found = {
        row["request_id"]: (row["price_state"], row["effective_usd"]) for row in costs.iter_rows(named=True)
    }
    assert found == {
        "before": ("priced", usd("0.066666666667")),
        "inside": ("unpriced", None),
        "after": ("priced", usd("0.05")),
    }


def test_what_the_vendor_takes_back_in_the_first_hour_costs_nothing_where_its_sheet_says_so():
    """AWS EC2 User Guide, "Billing for interrupted Spot Instances"."""
    sheet = book(["chip: H100, commitment: spot, usd_per_gpu_hour: 1, valid_from: 2025-01-01"], minimum=600)
    waived = sheet.with_columns(free_if_interrupted_within_seconds=pl.lit(3600, dtype=pl.Int64))
    ends = {"short": 40, "long": 90, "stopped": 40}
    happened = [
        {**event, "reason": "preempted" if event["event"] == "stopped" and name != "stopped" else None}
        for name, end in ends.items()
        for event in events(
            ("scheduled", NOON), ("ready", NOON + MINUTE), ("stopped", NOON + end * MINUTE),
            replica_id=name, commitment="spot",
        )
    ]  # fmt: skip
    states, pools, _ = settle(happened, [], waived, hours=2)
    billed = dict(states.group_by("replica_id").agg(pl.col("billed_usd").sum()).rows())
    assert billed["short"] == 0
    assert (billed["long"], billed["stopped"]) == (usd("1.5"), usd("0.666666666667"))
    assert pools.filter(
        pl.col("billed_usd") != pl.sum_horizontal(f"{part}_usd" for part in POOL_PARTS)
    ).is_empty()


def test_what_a_vendor_takes_back_is_the_node_and_not_what_ran_on_it():
    sheet = book(["chip: H100, commitment: spot, usd_per_gpu_hour: 1, valid_from: 2025-01-01"])
    waived = sheet.with_columns(free_if_interrupted_within_seconds=pl.lit(3600, dtype=pl.Int64))
    happened = []
    for name, first in (("old", -60), ("new", 0)):
        spans = {"replica_id": name, "deployment": "(none)"}, {"replica_id": f"on-{name}", "node": name}
        for facts, since in zip(spans, (first, 0), strict=True):
            # Half of the new node holds nobody, which is waived with it.
            size = 2 if facts["replica_id"] == "new" else 1
            lived = events(
                ("ready", NOON + since * MINUTE), ("stopped", NOON + 30 * MINUTE),
                commitment="spot", chip_count=size, **facts,
            )  # fmt: skip
            happened += [
                event | {"reason": "preempted" if event["event"] == "stopped" else None} for event in lived
            ]
    states, pools, _ = settle(happened, [], waived)
    assert dict(states.select("replica_id", "billed_usd").rows()) == {
        "on-old": usd("0.5"),
        "on-new": usd("0"),
    }
    assert pools["billed_usd"].sum() == usd("0.5")
    assert pools["billed_gpu_seconds"].sum() == 1800
    assert pools["wall_gpu_seconds"].sum() == 3 * 1800


def test_seven_sevenths_and_three_thirds_are_one_gpu():
    happened = [
        each
        for count, fraction in ((7, "0.142857"), (3, "0.333333"))
        for n in range(count)
        for each in events(("ready", NOON), replica_id=f"{count}-{n}", fraction=fraction, deployment=fraction)
    ]
    _, pools, _ = settle(happened, [], priced(hourly="2.10"))
    assert pools.select("billed_usd", "billed_gpu_seconds").rows() == [(usd("2.10"), Decimal(3600))] * 2


def test_a_start_that_fails_while_it_waits_holds_nothing_and_a_node_holds_what_is_left():
    node = events(("ready", NOON), replica_id="n1", deployment="(none)", chip_count=1)
    failed = events(
        ("requested", NOON), ("failed", NOON + 30 * MINUTE), ("stopped", NOON + 30 * MINUTE), node="n1"
    )
    _, pools, _ = settle(node + failed, [], priced())
    assert by_pool(pools)["(none)", "on_demand"]["unheld_usd"] == usd("4")
    assert by_pool(pools)["llama", "on_demand"]["wall_gpu_seconds"] == 0


def test_two_whole_claims_on_one_gpu_are_told():
    node = events(("ready", NOON), replica_id="n1", deployment="(none)", chip_count=1)
    claims = [each for n in range(2) for each in events(("ready", NOON), replica_id=f"r{n}", node="n1")]
    states, _, _ = settle(node + claims, [], priced())
    assert states["repair"].to_list() == ["over_held_node"] * 2


def group(*happened, replica_id, is_head=False, chips=8, name="lws/llm/deepseek/0", **facts):
    return events(
        *happened, replica_id=replica_id, chip_count=chips, source_kind="k8s_pod", replica_group=name,
        is_group_head=is_head, node=f"node-{replica_id}", **facts,
    )  # fmt: skip


def test_pods_of_a_group_are_one_replica_that_does_what_its_head_does():
    """Head and worker of 8 GPUs each; the worker comes ten minutes earlier and never turns ready."""
    happened = [
        *group(("requested", NOON), ("scheduled", NOON), replica_id="worker", region=None),
        *group(
            ("requested", NOON), ("scheduled", NOON + 10 * MINUTE), ("ready", NOON + 20 * MINUTE),
            ("stopped", NOON + 50 * MINUTE), replica_id="head", is_head=True,
        ),
        *group(("stopped", NOON + HOUR), replica_id="worker", region=None),
    ]  # fmt: skip
    asked = attempt("q", NOON + 20 * MINUTE, NOON + 35 * MINUTE)
    asked["route"] = "llama"
    states, pools, costs = settle(
        happened, [asked], priced(phases="pulling, loading, serving, idle, draining")
    )
    assert states.select("replica_id", "state", "chip_count", "node", "billed_usd").rows() == [
        ("head", "pulling", 8, "node-worker", usd("5.333333333333")),
        ("head", "loading", 16, "node-head,node-worker", usd("10.666666666666")),
        ("head", "ready", 16, "node-head,node-worker", usd("32")),
        ("head", "draining", 8, "node-worker", usd("5.333333333333")),
    ]
    assert costs["effective_usd"].to_list() == [usd("16")]
    (pool,) = pools.iter_rows(named=True)
    assert (pool["starting_usd"], pool["serving_usd"], pool["idle_usd"]) == (
        usd("15.999999999999"), usd("16"), usd("16"),
    )  # fmt: skip


def test_a_head_without_accelerators_serves_with_those_of_its_workers_and_ready_ray_workers_serve_alone():
    ray = {"name": "ray/llm/cluster"}
    happened = [
        *group(("ready", NOON), replica_id="head", is_head=True, chips=0, **ray),
        *group(("scheduled", NOON), replica_id="mute", **ray),
        *group(("ready", NOON), replica_id="own", chips=4, **ray),
    ]
    states, _, _ = settle(happened, [], priced())
    assert states.select("replica_id", "state", "chip_count", "billed_usd").rows() == [
        ("head", "ready", 8, usd("32")),
        ("own", "ready", 4, usd("16")),
    ]
