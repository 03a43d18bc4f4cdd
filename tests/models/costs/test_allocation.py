from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl

from models.costs.allocation import allocate_requests
from models.costs.weights import TokenWeights, Weights, load_weights
from models.schemas import table
from tests.models.costs.rows import fleet_attempt

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ready(replica_id="r1", start=0, end=60, hour=NOON, **facts):
    usd = Decimal(end - start) / 10
    return {
        "replica_id": replica_id,
        "provider": "vendor",
        "region": "us",
        "chip": "H100",
        "deployment": "llama",
        "commitment": "on_demand",
        "state": "ready",
        "state_hour": hour,
        "accrued_on": hour.date(),
        "started_at": hour + start * MINUTE,
        "ended_at": hour + end * MINUTE,
        "chip_count": 1,
        "fraction": 1,
        "billed_seconds": (end - start) * 60,
        "billed_usd": usd,
        "is_cold_start": False,
        "price_id": "p",
        **facts,
    }


def attempt(name, start, end, **facts):
    finished_at = None if end is None else NOON + end * MINUTE
    return fleet_attempt(
        name, NOON + start * MINUTE, finished_at, **{"started_hour": NOON, "ingested_at": NOON} | facts
    )


def allocated(attempts, states, *, hours=1, **options):
    rows = allocate_requests(
        table("core.requests").frame(attempts).lazy(),
        table("core.replica_states").frame(states).lazy(),
        time_zone="UTC",
        from_hour=NOON,
        to_hour=NOON + timedelta(hours=hours),
        provisional_from=NOON + timedelta(hours=1),
        **options,
    ).collect()
    return sorted(rows.iter_rows(named=True), key=lambda row: (row["request_id"], row["accrued_hour"]))


def dollars(rows):
    return [row["effective_usd"] for row in rows]


def test_equal_share_ignores_tokens():
    tokens = {"a": 1, "b": 999}
    pair = [attempt(name, 0, 10, replica_id="r1", output_text_tokens=n) for name, n in tokens.items()]
    assert dollars(allocated(pair, [ready()], rule="equal_share")) == [Decimal("0.5"), Decimal("0.5")]


def test_kv_block_share_splits_by_blocks_and_seconds_cached_tokens_too():
    """Four blocks beside one of 16 tokens, a part of one being a whole, however long each works."""
    pair = [
        attempt("a", 0, 10, replica_id="r1", output_text_tokens=1, cache_read_tokens=48),
        attempt("b", 0, 20, replica_id="r1", output_text_tokens=16),
    ]
    rows = allocated(pair, [ready()], rule="kv_block_share")
    assert dollars(rows) == [Decimal("0.8"), Decimal("1.2")]
    assert {row["allocation_rule"] for row in rows} == {"kv_block_share"}


def test_cache_reads_weigh_nothing():
    pair = [
        attempt("a", 0, 10, replica_id="r1", output_text_tokens=50, cache_read_tokens=10**6),
        attempt("b", 0, 10, replica_id="r1", output_text_tokens=50),
    ]
    assert dollars(allocated(pair, [ready()])) == [Decimal("0.5"), Decimal("0.5")]


def test_deployment_only_log_fills_as_many_replicas_as_attempts_in_flight():
    pair = [attempt("a", 0, 20, output_text_tokens=100), attempt("b", 10, 20, output_text_tokens=50)]
    rows = allocated(pair, [ready("r1"), ready("r2"), ready("r3")])
    assert [row["allocation_grain"] for row in rows] == ["pool", "pool"]
    assert dollars(rows) == [Decimal(2), Decimal(1)]


def test_attempt_over_an_hour_carries_its_tokens_once_and_its_cost_where_time_burned():
    states = [ready(), ready(hour=NOON + timedelta(hours=1))]
    first, second = allocated([attempt("a", 50, 80, replica_id="r1", output_text_tokens=30)], states, hours=2)
    assert (first["effective_usd"], second["effective_usd"]) == (Decimal(1), Decimal(2))
    assert (first["output_text_tokens"], second["output_text_tokens"]) == (30, 0)
    assert (first["allocation_weight"], second["allocation_weight"]) == (Decimal(10), Decimal(20))
    assert (first["is_provisional"], second["is_provisional"]) == (False, True)


def test_time_in_the_queue_is_not_work():
    rows = allocated([attempt("a", 0, 10, replica_id="r1", queue_seconds=300.0)], [ready()])
    assert dollars(rows) == [Decimal("0.5")]


def test_attempt_without_an_end_is_estimated_and_says_so():
    (row,) = allocated([attempt("a", 0, None, replica_id="r1")], [ready()])
    assert row["effective_usd"] == Decimal("0.1")
    assert row["usage_source"] == "estimated"


def test_attempt_that_met_no_ready_replica_is_unpriced():
    (row,) = allocated([attempt("a", 0, 1)], [ready(start=30)])
    assert row["effective_usd"] is None
    assert (row["price_state"], row["unpriced_reason"]) == ("unpriced", "no_replica_ready")
    assert (row["chip"], row["deployment"]) == ("H100", "llama")


def test_deployment_scaled_to_zero_keeps_its_attempts():
    (row,) = allocated([attempt("a", 0, 1)], [])
    assert row["unpriced_reason"] == "no_replica_ready"


def test_attempt_of_an_instant_is_priced_at_nothing():
    for minute in (0, 5):  # on the edge of the window, too
        (row,) = allocated([attempt("a", minute, minute, replica_id="r1")], [ready()])
        assert (row["price_state"], row["effective_usd"]) == ("priced", 0), minute


def test_gateway_cache_hit_used_no_gpu():
    assert allocated([attempt("a", 0, 1, is_gateway_cache_hit=True)], [ready()]) == []


def test_attempts_of_one_deployment_go_to_the_pool_of_their_region():
    states = [ready("r1"), ready("r2", region="eu")]
    rows = allocated([attempt(str(n), n, n + 1, region="eu") for n in range(3)], states)
    assert {row["region"] for row in rows} == {"eu"}


def test_attempts_that_fit_several_pools_are_dealt_out_and_cover_each():
    states = [ready("r1"), ready("r2", commitment="spot", billed_usd=Decimal(2))]
    rows = allocated([attempt(str(n), 0, 60) for n in range(8)], states)
    for commitment, whole in (("on_demand", Decimal(6)), ("spot", Decimal(2))):
        assert sum(row["effective_usd"] for row in rows if row["commitment"] == commitment) == whole


def test_attempt_of_a_replica_that_is_gone_by_a_later_hour_works_nowhere_then():
    states = [ready("r1", end=30), ready("r2"), ready("r2", hour=NOON + timedelta(hours=1))]
    work = [attempt("a", 20, 90, replica_id="r1"), attempt("b", 0, 119)]
    whole = allocated(work, states, hours=2)
    assert [(row["request_id"], row["accrued_hour"] - NOON) for row in whole] == [
        ("a", timedelta(0)),
        ("b", timedelta(0)),
        ("b", timedelta(hours=1)),
    ]


def test_a_long_window_and_its_hours_one_by_one_give_the_same_rows():
    """Enough attempts that hours are worked off apart and side by side; some span both, and they come in any order."""
    count = 280_000
    number = pl.int_range(count)
    started = pl.lit(NOON) + pl.duration(milliseconds=(number * 7_919) % 7_200_000)
    lasts = pl.when(number % 1000 == 0).then(3_000_000).otherwise(number % 4000)
    frame = pl.select(
        source=pl.lit("s"), source_kind=pl.lit("requests"), request_id=number.cast(pl.String),
        replica_id=pl.format("r{}", number % 50), started_at=started,
        finished_at=started + pl.duration(milliseconds=lasts), usage_source=pl.lit("provider"), status=pl.lit("ok"),
        output_text_tokens=number % 333, is_gateway_cache_hit=pl.lit(False),
    )  # fmt: skip
    requests = table("core.requests").conform(frame.lazy(), fill=True)
    states = table("core.replica_states").frame(
        ready(f"r{place}", hour=NOON + timedelta(hours=hour)) for place in range(50) for hour in range(2)
    )

    def rows(first, last):
        found = allocate_requests(
            requests,
            states.lazy(),
            time_zone="UTC",
            from_hour=NOON + timedelta(hours=first),
            to_hour=NOON + timedelta(hours=last),
            provisional_from=NOON + timedelta(hours=2),
        )
        compared = found.select(
            "request_id", "accrued_hour", "is_first_accrual", "effective_usd", "allocation_weight"
        )
        return compared.sort("request_id", "accrued_hour").collect()

    whole = rows(0, 2)
    assert whole.equals(pl.concat([rows(0, 1), rows(1, 2)]).sort("request_id", "accrued_hour"))
    assert whole.filter("is_first_accrual").height == count
    assert whole.height > count
    carried = (
        whole.filter(pl.col("effective_usd") > 0).get_column("effective_usd").cast(pl.Decimal(38, 12)).sum()
    )
    # An attempt is in flight most of the time; together they carry no more than the bill.
    assert Decimal(400) < carried <= Decimal(600)


WEIGHTS = {
    ("llama", "H100"): (TokenWeights(input=10_000, cache_read=5_000, output=10_000),),
    ("llama", None): (TokenWeights(input=0, cache_read=0, output=10_000),),
}


def test_measured_weights_of_a_model_and_chip_win_over_those_of_the_model():
    facts = {"replica_id": "r1", "served_model": "llama"}
    pair = [
        attempt("a", 0, 10, input_uncached_tokens=100, cache_read_tokens=200, **facts),
        attempt("b", 0, 10, output_text_tokens=100, **facts),
    ]
    measured = Weights(WEIGHTS)
    assert dollars(allocated(pair, [ready()], weights=measured)) == [
        Decimal("0.666666666667"),
        Decimal("0.333333333333"),
    ]
    rows = allocated(pair, [ready(chip="H200")], weights=measured)
    assert [row["allocation_weight"] for row in rows] == [Decimal(1), Decimal(100)]
    (alone, _) = allocated(pair, [ready()], weights=measured)
    beside = attempt("b", 0, 10, output_text_tokens=100, **facts | {"replica_id": "r2"})
    rows = allocated([pair[0], beside], [ready(), ready("r2", chip="A100")], weights=measured)
    assert [row["allocation_weight"] for row in rows] == [alone["allocation_weight"], Decimal(100)]
    other = Weights({(None, "B200"): WEIGHTS["llama", None]})
    assert allocated(pair, [ready()], weights=other)[0]["allocation_weight"] == 46


DATED = """\
version: 1
weights:
  - {model: llama, chip: H100, input: 1, valid_from: 2026-10-01}
  - {model: llama, chip: H100, input: 3, valid_from: 2026-11-20T12:30:00Z}
  - {chip: H100, input: 2, valid_from: 2026-01-01}
"""


def test_weights_hold_from_their_date_on_and_the_row_says_where_they_are_from():
    """What is adopted later moves no attempt that started before; an older entry of the pair still holds for it."""
    calls = [
        attempt(name, minute, minute + 5, replica_id="r1", served_model=model, input_uncached_tokens=100)
        for name, minute, model in (("a", 0, "llama"), ("b", 30, "llama"), ("c", 40, "qwen"))
    ]
    rows = allocated(calls, [ready()], weights=load_weights(DATED, path="weights.yml"))
    assert [(row["allocation_weight"], row["weights_from"]) for row in rows] == [
        (Decimal(100), "weights.yml:3"), (Decimal(300), "weights.yml:4"), (Decimal(200), "weights.yml:5"),
    ]  # fmt: skip
    (row,) = allocated(calls[:1], [ready(chip="H200")], weights=load_weights(DATED, path="weights.yml"))
    assert (row["allocation_weight"], row["weights_from"], row["allocation_rule"]) == (
        46,
        "default",
        "token_share",
    )


RULES = """\
version: 1
rules:
  - {deployment: llama, rule: equal_share}
  - {deployment: llama, chip: H200, rule: reserved_quota, quotas: {acme: 3, globex: 1}}
"""


def of_tenants(*tenants, minutes=10, chip="H200"):
    """Return what attempts pay that run side by side for as long, each with ten times the tokens of the last."""
    attempts = [
        attempt(f"q{place}", 0, minutes, replica_id="r1", tenant=tenant, output_text_tokens=10 ** (place + 1))
        for place, tenant in enumerate(tenants)
    ]
    return dollars(allocated(attempts, [ready(chip=chip)], weights=load_weights(RULES, path="weights.yml")))


def test_tenants_carry_a_pool_by_what_they_reserved_and_within_one_by_tokens():
    assert of_tenants("acme", "globex") == [Decimal("0.75"), Decimal("0.25")]
    assert of_tenants("globex", "acme", "acme") == [
        Decimal("0.25"), Decimal("0.068181818182"), Decimal("0.681818181818"),
    ]  # fmt: skip


def test_who_reserved_nothing_pays_nothing_beside_one_who_did_and_alone_everything():
    assert of_tenants("acme", "other", None) == [Decimal(1), Decimal(0), Decimal(0)]
    assert of_tenants("other", None) == [Decimal("0.090909090909"), Decimal("0.909090909091")]
    assert of_tenants(None, None) == [Decimal("0.090909090909"), Decimal("0.909090909091")]


def test_each_pool_has_the_last_rule_that_names_it():
    assert of_tenants("acme", "globex", chip="H100") == [Decimal("0.5"), Decimal("0.5")]
