"""Routing mistakes by hand, with the published Llama 70B prices of 2026-07-24."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from models.routing.mistakes import JudgeContext, routing_mistakes
from models.routing.owned import OwnedPools
from models.routing.policy import read_policy
from models.schemas import table

DAY = date(2026, 7, 24)
NOON = datetime(2026, 7, 24, 12, tzinfo=UTC)
KNOWN = datetime(2026, 11, 20, tzinfo=UTC)
PICO_PER_USD_PER_MTOK = 10**6


def card(provider, model, family, rates, **extra):
    """Rows of one price card; rates in dollars per million tokens."""
    price_id = "/".join([provider, model, *(str(value) for value in extra.values())])
    fixed = {
        "price_id": price_id,
        "provider": provider,
        "model": model,
        "model_family": family,
        "service_tier": "default",
        "priced_at": "started",
        "layer": "list",
        "unit": "token",
        "is_rounded": False,
        "valid_from": datetime(2026, 1, 1, tzinfo=UTC),
        "known_from": datetime(2026, 1, 1, tzinfo=UTC),
        "sheet_version": "v",
        "sheet_path": "p",
        "source_url": "https://example.com",
    }
    return [
        fixed
        | extra
        | {
            "meter": meter,
            "picodollars_per_unit": None if usd is None else int(Decimal(str(usd)) * PICO_PER_USD_PER_MTOK),
        }
        for meter, usd in rates.items()
    ]


def llama(provider, model, usd_in, usd_out, **extra):
    return card(provider, model, "llama-3.3-70b", {"input_uncached": usd_in, "output_text": usd_out}, **extra)


LLAMA = [
    *llama("together", "Llama-3.3-70B-Instruct-Turbo", 0.88, 0.88),
    *llama("fireworks", "llama-v3p3-70b-instruct", 0.9, 0.9),
    *llama("groq", "llama-3.3-70b-versatile", 0.59, 0.79),
    *llama("cerebras", "llama-3.3-70b", 0.85, 1.2),
    *llama("deepinfra", "Llama-3.3-70B-Instruct", 0.23, 0.4),
    *llama("aws.bedrock", "llama3-3-70b", 0.72, 0.72),
]
GPT = [
    *card("openai", "gpt-4o", "gpt-4o", {"input_uncached": 2.5, "cache_read": 1.25, "output_text": 10}),
    *card("openai", "gpt-4o-mini", "gpt-4o-mini", {"input_uncached": 0.15, "output_text": 0.6}),
    *card("openai", "gpt-nano", "gpt-nano", {"input_uncached": 0.05, "output_text": 0.4}),
]


def attempt(provider, model, family, usd, **extra):
    """A priced attempt of 1,000 plain input and 500 output tokens unless said otherwise."""
    return {
        "source": "gateway",
        "request_id": "r1",
        "started_at": NOON,
        "accrued_hour": NOON,
        "accrued_on": DAY,
        "provider": provider,
        "model": model,
        "model_family": family,
        "route": "support",
        "status": "ok",
        "attempt_no": 1,
        "is_first_accrual": True,
        "input_uncached_tokens": 1000,
        "output_text_tokens": 500,
        "effective_usd": Decimal(usd),
        "meters_usd": Decimal(0),
        "price_state": "priced",
        "cost_basis": "token",
        "usage_source": "provider",
        "is_provisional": False,
    } | extra


def judge(attempts, book, policy="", known=KNOWN, surroundings=None):
    judged = routing_mistakes(
        table("core.request_costs").frame(attempts).lazy(),
        policy=read_policy(policy, path="routing.yml"),
        book=table("ref.token_prices").frame(book).lazy(),
        models=table("ref.models").frame([]).lazy(),
        as_known_at=known,
        surroundings=surroundings,
    )
    return judged.mistakes.to_dicts(), judged.regret.to_dicts()


# 1,000 in + 500 out: Together 0.00132, DeepInfra 0.00023 + 0.0002 = 0.00043.
TOGETHER = attempt("together", "Llama-3.3-70B-Instruct-Turbo", "llama-3.3-70b", "0.00132")


def test_the_same_weights_at_a_dearer_provider_cost_the_difference():
    (row,), (day,) = judge([TOGETHER], LLAMA)
    assert (row["source"], row["request_id"]) == ("gateway", "r1")
    assert (row["kind"], row["clause"], row["also_kinds"]) == ("dearer_provider", "default", [])
    assert (row["alternative_provider"], row["alternative_usd"]) == ("deepinfra", Decimal("0.00043"))
    assert row["regret_usd"] == day["regret_usd"] == Decimal("0.00089")
    assert (day["kind"], day["attempt_count"], day["cost_usd"]) == ("dearer_provider", 1, Decimal("0.00132"))


def test_the_cheapest_provider_is_no_mistake():
    best = attempt("deepinfra", "Llama-3.3-70B-Instruct", "llama-3.3-70b", "0.00043")
    assert judge([best], LLAMA) == ([], [])


def test_only_eligible_providers_count():
    policy = "version: 1\nroutes: {support: {providers: [together, groq, fireworks]}}\n"
    (row,), _ = judge([TOGETHER], LLAMA, policy)
    # Groq: 0.00059 + 0.000395 = 0.000985.
    assert (row["alternative_provider"], row["regret_usd"]) == ("groq", Decimal("0.000335"))
    assert row["clause"] == "routes.support"


def test_a_provider_that_is_not_allowed_is_a_violation_even_when_cheaper():
    policy = "version: 1\nroutes: {support: {providers: [together]}}\n"
    (row,), _ = judge(
        [attempt("deepinfra", "Llama-3.3-70B-Instruct", "llama-3.3-70b", "0.00043")], LLAMA, policy
    )
    assert (row["kind"], row["regret_usd"], row["alternative_usd"]) == (
        "policy_violation",
        0,
        Decimal("0.00132"),
    )
    assert row["evidence"] == "deepinfra is not a provider of routes.support (together)"


def test_a_violation_without_any_priced_alternative_has_no_regret():
    policy = "version: 1\nroutes: {support: {providers: [nobody]}}\n"
    (row,), (day,) = judge([TOGETHER], LLAMA, policy)
    assert (row["kind"], row["regret_usd"], row["alternative_provider"]) == ("policy_violation", None, None)
    assert day["regret_usd"] is None


def test_regret_goes_to_the_first_kind_once():
    policy = "version: 1\nroutes: {support: {providers: [deepinfra, groq]}}\n"
    (row,), days = judge([TOGETHER], LLAMA, policy)
    assert (row["kind"], row["also_kinds"]) == ("policy_violation", ["dearer_provider"])
    assert [(day["kind"], day["regret_usd"]) for day in days] == [("policy_violation", Decimal("0.00089"))]


FLOOR = """\
version: 1
routes:
  support:
    task_classes:
      simple: {quality_floor: 60, models: [gpt-4o-mini, gpt-4o, gpt-nano]}
quality: {gpt-nano: 40, gpt-4o-mini: 62, gpt-4o: 82}
"""


def test_a_strong_model_on_simple_work_is_overpowered():
    # gpt-4o: 0.0025 + 0.005; gpt-4o-mini: 0.00015 + 0.0003; gpt-nano is cheaper but below the floor.
    (row,), _ = judge([attempt("openai", "gpt-4o", "gpt-4o", "0.0075", task_class="simple")], GPT, FLOOR)
    assert (row["kind"], row["clause"]) == ("overpowered", "routes.support.task_classes.simple")
    assert (row["alternative_model"], row["regret_usd"]) == ("gpt-4o-mini", Decimal("0.00705"))


def test_without_a_floor_a_smaller_model_is_no_alternative():
    assert judge([attempt("openai", "gpt-4o", "gpt-4o", "0.0075", task_class="complex")], GPT, FLOOR) == (
        [],
        [],
    )


def test_a_model_below_the_floor_is_underpowered():
    (row,), _ = judge([attempt("openai", "gpt-nano", "gpt-nano", "0.00025", task_class="simple")], GPT, FLOOR)
    assert (row["kind"], row["also_kinds"], row["regret_usd"]) == ("underpowered", [], 0)
    assert "scores 40, below the floor of 60" in row["evidence"]


def test_a_region_outside_the_residency_rule_is_wrong():
    policy = "version: 1\nroutes: {support: {regions: [eu-west-1]}}\n"
    (row,), _ = judge([TOGETHER | {"region": "us-east-1"}], LLAMA, policy)
    assert (row["kind"], row["also_kinds"]) == ("wrong_region", ["dearer_provider"])
    assert row["alternative_region"] == "eu-west-1"


def test_cached_tokens_cost_the_uncached_rate_elsewhere():
    cached = TOGETHER | {
        "input_uncached_tokens": 0,
        "cache_read_tokens": 1000,
        "effective_usd": Decimal("0.0005"),
    }
    (row,), _ = judge([cached], LLAMA)
    assert (row["alternative_usd"], row["regret_usd"]) == (Decimal("0.00043"), Decimal("0.00007"))
    assert row["evidence"].endswith("no cache is assumed there")
    assert row["confidence_ratio"] == pytest.approx(0.8 * 0.9)


def test_an_alternative_that_lacks_a_used_class_is_none():
    assert judge([TOGETHER | {"reasoning_tokens": 5}], LLAMA) == ([], [])


def test_prices_count_when_valid_and_known():
    cheap_later = llama("nebius", "llama", 0.01, 0.01, valid_from=datetime(2026, 8, 1, tzinfo=UTC))
    cheap_unknown = llama("novita", "llama", 0.01, 0.01, known_from=datetime(2026, 10, 1, tzinfo=UTC))
    book = [*LLAMA, *cheap_later, *cheap_unknown]
    (row,), _ = judge([TOGETHER], book, known=datetime(2026, 9, 1, tzinfo=UTC))
    assert row["alternative_provider"] == "deepinfra"
    (row,), _ = judge([TOGETHER], book)
    assert row["alternative_provider"] == "novita"


def test_a_change_of_price_that_was_learned_later_makes_no_earlier_choice_a_mistake():
    """Groq cut its price to a tenth a day before the call, which its list told ten days after it."""
    learned = NOON + timedelta(days=10)
    groq = llama("groq", "llama-3.3-70b-versatile", 0.95, 0.95, known_to=learned)
    dear = {"valid_to": NOON - timedelta(days=1), "known_from": learned}
    cut = {"valid_from": NOON - timedelta(days=1), "known_from": learned}
    book = [*LLAMA[:2], *groq]
    book += llama("groq", "llama-3.3-70b-versatile", 0.95, 0.95, **dear)
    book += llama("groq", "llama-3.3-70b-versatile", 0.09, 0.09, **cut)
    assert judge([TOGETHER], book) == ([], [])
    (row,), _ = judge([TOGETHER | {"started_at": learned}], book)
    assert (row["kind"], row["alternative_usd"]) == ("stale_price", Decimal("0.000135"))


def test_a_long_prompt_takes_the_rate_above_the_threshold():
    long_context = {"above_input_tokens": 999, "long_context_mode": "whole_request"}
    book = [
        *LLAMA[:2],
        *llama("deepinfra", "l", 0.23, 0.4),
        *llama("deepinfra", "l", 0.6, 0.8, **long_context),
    ]
    (row,), _ = judge([TOGETHER], book)
    assert row["alternative_usd"] == Decimal("0.001")


def test_a_tier_is_compared_with_the_same_tier():
    for tier in (None, "standard", "On-Demand", "spillover", "PAYG"):
        (row,), _ = judge([TOGETHER | {"service_tier": tier}], LLAMA)
        assert row["alternative_usd"] == Decimal("0.00043"), tier
    batch = TOGETHER | {"service_tier": "batch"}
    assert judge([batch], LLAMA) == ([], [])
    (row,), _ = judge([batch], [*LLAMA, *llama("groq", "l", 0.295, 0.395, service_tier="batch")])
    assert row["alternative_usd"] == Decimal("0.0004925")


def test_a_variant_that_is_served_later_is_no_alternative_to_an_answer_at_once():
    cheap = llama("openrouter", "meta/llama-3.3-70b:batch", 0.1, 0.1)
    assert judge([TOGETHER], [*LLAMA[:2], *cheap]) == ([], [])
    batch = TOGETHER | {"service_tier": "batch"}
    (row,), _ = judge([batch], [*LLAMA[:2], *cheap])
    assert row["alternative_model"] == "meta/llama-3.3-70b:batch"


def test_meters_are_equal_on_both_sides():
    (row,), _ = judge(
        [TOGETHER | {"meters_usd": Decimal("0.01"), "effective_usd": Decimal("0.01132")}], LLAMA
    )
    assert (row["alternative_usd"], row["regret_usd"]) == (Decimal("0.01043"), Decimal("0.00089"))


def test_what_cannot_be_judged_is_counted_apart():
    rows = [
        TOGETHER | {"request_id": "error", "status": "error"},
        TOGETHER | {"request_id": "unpriced", "price_state": "unpriced", "effective_usd": None},
        TOGETHER | {"request_id": "gpu", "cost_basis": "gpu"},
        TOGETHER | {"request_id": "gpu", "cost_basis": "gpu", "is_first_accrual": False},
        TOGETHER | {"request_id": "hit", "attempt_no": 0},
    ]
    mistakes, (day,) = judge(rows, LLAMA)
    assert mistakes == []
    assert (day["kind"], day["attempt_count"], day["regret_usd"]) == ("not_evaluated", 3, None)
    # The failed attempt, and both slices of the pooled one.
    assert day["cost_usd"] == 3 * Decimal("0.00132")
    assert day["wasted_usd"] == Decimal("0.00132")


def test_below_materiality_is_counted_not_listed():
    mistakes, (day,) = judge([TOGETHER], LLAMA, "version: 1\nmateriality_usd: 0.01\n")
    assert mistakes == []
    assert (day["attempt_count"], day["regret_usd"]) == (1, Decimal("0.00089"))


def test_a_clause_does_not_judge_attempts_before_it():
    policy = "version: 1\nvalid_from: 2026-08-01\nroutes: {support: {providers: [nobody]}}\n"
    (row,), _ = judge([TOGETHER], LLAMA, policy)
    assert (row["kind"], row["clause"]) == ("dearer_provider", "default")


def surround(pools=(), measured=(), latency=None, history=None, links=None):
    idle = pl.DataFrame(
        [
            {
                "provider": "nebius", "region": "eu-north1", "commitment": "on_demand", "minute": NOON,
            } | pool
            for pool in pools
        ],
        schema={
            "provider": pl.String, "region": pl.String, "chip": pl.String, "deployment": pl.String,
            "commitment": pl.String, "minute": pl.Datetime("us", "UTC"), "idle_gpu_seconds": pl.Float64,
        },
    )  # fmt: skip
    rates = pl.DataFrame(
        [
            {
                "provider": "nebius", "region": "eu-north1", "commitment": "on_demand", "model": "llama-3.3-70b",
                "input_weight": 0.46, "output_weight": 1.0,
            } | row
            for row in measured
        ],
        schema={
            "provider": pl.String, "region": pl.String, "chip": pl.String, "deployment": pl.String,
            "commitment": pl.String, "model": pl.String, "model_family": pl.String, "billed_usd": pl.Decimal(38, 12),
            "serving_usd": pl.Decimal(38, 12), "serving_gpu_seconds": pl.Decimal(38, 6),
            "allocation_weight": pl.Decimal(38, 6), "input_weight": pl.Float64, "output_weight": pl.Float64,
        },
    )  # fmt: skip
    return JudgeContext(
        owned=OwnedPools(idle, rates) if pools else None,
        latency=latency,
        fallback_history=history,
        links=links,
    )


def pool(chip="H200", idle=100, **extra):
    return {"chip": chip, "deployment": f"llama-{chip}", "idle_gpu_seconds": idle} | extra


def speed(chip="H200", per_second=50, billed="1000", serving="50", weight=10**6):
    """A pool that served a million weighted tokens at so many a GPU-second."""
    return {
        "chip": chip, "deployment": f"llama-{chip}", "billed_usd": Decimal(billed), "serving_usd": Decimal(serving),
        "serving_gpu_seconds": Decimal(weight) / per_second, "allocation_weight": Decimal(weight),
    }  # fmt: skip


def test_a_paid_call_beside_an_idle_pool_cost_all_that_it_paid_until_the_room_is_used_up():
    """1,000 in and 500 out weigh 960; 100 idle seconds at 50 a second have room for 5,000: five calls, not six."""
    calls = [
        TOGETHER | {"request_id": f"r{n}", "started_at": NOON + n * timedelta(seconds=9)} for n in range(6)
    ]
    rows, _ = judge(calls, LLAMA[:2], surroundings=surround([pool()], [speed()]))
    assert [row["request_id"] for row in rows] == [f"r{n}" for n in range(5)]
    assert {(row["kind"], row["regret_usd"], row["alternative_usd"]) for row in rows} == {
        ("idle_capacity", Decimal("0.00132"), Decimal(0))
    }
    assert (rows[0]["alternative_provider"], rows[0]["alternative_chip"]) == ("nebius", "H200")


def test_a_pool_weighs_tokens_by_its_own_weights():
    """At 2 to 1, 1,000 in and 500 out weigh 2,500: of six calls two have room in 5,000; growing costs as much more."""
    calls = [
        TOGETHER | {"request_id": f"r{n}", "started_at": NOON + n * timedelta(seconds=9)} for n in range(6)
    ]
    own = {"input_weight": 2.0}
    rows, _ = judge(calls, LLAMA[:2], surroundings=surround([pool()], [speed() | own]))
    assert [row["request_id"] for row in rows if row["kind"] == "idle_capacity"] == ["r0", "r1"]
    full = surround([pool(idle=0)], [speed(billed="0.4") | own])
    (row,), _ = judge([TOGETHER], LLAMA[:2], surroundings=full)
    assert row["alternative_usd"] == Decimal("0.001")


def test_an_idle_pool_of_another_minute_or_of_another_provider_than_allowed_has_no_room():
    known = surround([pool(minute=NOON + timedelta(minutes=1))], [speed()])
    assert judge([TOGETHER], LLAMA[:2], surroundings=known)[0] == []
    policy = "version: 1\nroutes: {support: {providers: [together]}}\n"
    assert judge([TOGETHER], LLAMA[:2], policy, surroundings=surround([pool()], [speed()]))[0] == []


def test_a_pool_that_must_grow_costs_its_trailing_available_rate():
    """It billed $500 for a million weighted tokens: 960 of them cost 48 cents, more than Together; at $1, less."""
    assert judge([TOGETHER], LLAMA[:2], surroundings=surround([pool(idle=0)], [speed(billed="500")]))[0] == []
    (row,), _ = judge([TOGETHER], LLAMA[:2], surroundings=surround([pool(idle=0)], [speed(billed="1")]))
    assert (row["kind"], row["alternative_provider"], row["alternative_usd"]) == (
        "dearer_provider", "nebius", Decimal("0.00096"),
    )  # fmt: skip


def test_an_idle_pool_that_serves_the_family_under_a_name_of_its_own_is_an_alternative():
    ours = speed() | {"model": "our-llama-v3"}
    assert judge([TOGETHER], LLAMA[:2], surroundings=surround([pool()], [ours]))[0] == []
    known = surround([pool()], [ours | {"model_family": "llama-3.3-70b"}])
    (row,), _ = judge([TOGETHER], LLAMA[:2], surroundings=known)
    assert (row["kind"], row["alternative_model"]) == ("idle_capacity", "our-llama-v3")


def pooled(name, chip, usd):
    return attempt(
        "nebius", "llama-3.3-70b", "llama-3.3-70b", usd, request_id=name, region="eu-north1", cost_basis="gpu",
        chip=chip, deployment=f"llama-{chip}", commitment="on_demand", allocation_weight=Decimal(960),
    )  # fmt: skip


def test_a_dearer_chip_beside_a_cheaper_one_with_room_cost_the_difference_of_their_rates():
    """H100 serves a million weighted tokens for $50, B200 for $20: 960 of them are 4.8 cents against 1.92."""
    known = surround([pool("H100"), pool("B200")], [speed("H100"), speed("B200", serving="20")])
    (row,), _ = judge(
        [pooled("a", "H100", "0.048"), pooled("b", "B200", "0.0192")], LLAMA, surroundings=known
    )
    assert (row["request_id"], row["kind"], row["alternative_chip"]) == ("a", "wrong_chip", "B200")
    assert (row["regret_usd"], row["alternative_usd"]) == (Decimal("0.0288"), Decimal("0.0192"))


def test_a_cheaper_chip_without_room_is_no_alternative():
    known = surround([pool("H100"), pool("B200", idle=19)], [speed("H100"), speed("B200", serving="20")])
    assert judge([pooled("a", "H100", "0.048")], LLAMA, surroundings=known)[0] == []


def test_a_choice_that_was_right_before_the_price_changed_is_stale():
    """Together was the cheaper at 0.50 until the day before; now Groq is."""
    change = NOON - timedelta(days=1)
    old = llama("together", "Llama-3.3-70B-Instruct-Turbo", 0.5, 0.5, valid_to=change)
    new = llama("together", "Llama-3.3-70B-Instruct-Turbo", 0.88, 0.88, valid_from=change)
    groq = llama("groq", "llama-3.3-70b-versatile", 0.59, 0.79)
    (row,), _ = judge([TOGETHER], [*old, *new, *groq])
    assert (row["kind"], row["also_kinds"], row["regret_usd"]) == (
        "stale_price", ["dearer_provider"], Decimal("0.000335"),
    )  # fmt: skip
    assert row["evidence"] == "the choice was right under the prices before 2026-07-23"
    dearer_before = llama("together", "Llama-3.3-70B-Instruct-Turbo", 0.9, 0.9, valid_to=change)
    assert judge([TOGETHER], [*dearer_before, *new, *groq])[0][0]["kind"] == "dearer_provider"


CACHING = [
    *card("openai", "gpt-4.1", "gpt-4.1", {"input_uncached": 2, "cache_read": 0.5, "output_text": 8}),
    *card(
        "azure.ai.openai", "gpt-4.1", "gpt-4.1", {"input_uncached": 2, "cache_read": 0.5, "output_text": 8}
    ),
]


def turn(name, provider, minute, *, plain=4000, cached=0, usd="0.012", **extra):
    return attempt(
        provider, "gpt-4.1", "gpt-4.1", usd, request_id=name, started_at=NOON + minute * timedelta(minutes=1),
        input_uncached_tokens=plain, cache_read_tokens=cached, session_id="s", **extra,
    )  # fmt: skip


def test_a_session_that_leaves_its_warm_prefix_cost_what_the_cache_would_have_saved():
    """3,000 tokens were warm at OpenAI: 3,000 x $1.50 a million are 0.45 cents."""
    warm = turn("a", "openai", 0, plain=1000, cached=3000, usd="0.0075")
    (row,), _ = judge([warm, turn("b", "azure.ai.openai", 4)], CACHING)
    assert (row["request_id"], row["kind"], row["regret_usd"]) == (
        "b",
        "cache_affinity_lost",
        Decimal("0.0045"),
    )
    assert row["alternative_provider"] == "openai"
    assert row["evidence"] == "3000 tokens of the prefix were warm at openai"


def test_what_was_written_anew_is_what_a_warm_prefix_would_have_read():
    """Of 20,500 tokens written at $2.50 a million 20,000 were there to be read at $0.20: 20,000 x $2.30 a million."""
    rates = {"input_uncached": 2, "cache_read": 0.2, "cache_write_5m": 2.5, "output_text": 8}
    book = [*card("delta", "k", "k", rates), *card("eps", "k", "k", rates)]

    def call(name, provider, minute, usd, **tokens):
        return attempt(
            provider, "k", "k", usd, request_id=name, started_at=NOON + minute * timedelta(minutes=1),
            session_id="s", **{"input_uncached_tokens": 900, "output_text_tokens": 65} | tokens,
        )  # fmt: skip

    warm = call("a", "delta", 0, "0.00632", cache_read_tokens=20_000)
    (row,), _ = judge([warm, call("b", "eps", 2, "0.05357", cache_write_5m_tokens=20_500)], book)
    assert (row["kind"], row["regret_usd"], row["alternative_usd"]) == (
        "cache_affinity_lost", Decimal("0.046"), Decimal("0.00757"),
    )  # fmt: skip


def test_a_prefix_is_not_warm_after_its_lifetime_nor_where_the_clause_says_not_to_care():
    warm = turn("a", "openai", 0, plain=1000, cached=3000, usd="0.0075")
    assert judge([warm, turn("b", "azure.ai.openai", 6)], CACHING)[0] == []
    policy = "version: 1\nroutes: {support: {cache_affinity: false}}\n"
    assert judge([warm, turn("b", "azure.ai.openai", 4)], CACHING, policy)[0] == []


def test_cached_tokens_of_a_session_are_read_from_the_cache_of_the_alternative():
    """The session was there four minutes ago in the replay: 3,000 cached tokens cost 0.5 a million, not 2."""
    dear = card("oracle", "gpt-4.1", "gpt-4.1", {"input_uncached": 3, "cache_read": 0.6, "output_text": 9})
    first = turn("a", "oracle", 0, plain=4000, usd="0.0165")
    second = turn("b", "oracle", 4, plain=1000, cached=3000, usd="0.0093")
    rows, _ = judge([first, second], [*CACHING[:3], *dear])
    # 4,000 x 2 + 500 x 8 = 0.012; 1,000 x 2 + 3,000 x 0.5 + 500 x 8 = 0.0075.
    assert [row["alternative_usd"] for row in rows] == [Decimal("0.012"), Decimal("0.0075")]


def test_fallbacks_far_above_their_base_rate_are_a_storm_with_the_price_of_what_was_asked():
    history = pl.DataFrame({"route": "support", "attempt_count": 50, "fallback_count": [0, 1] * 400})
    calls = [
        TOGETHER
        | {"request_id": f"r{n}", "started_at": NOON + n * timedelta(seconds=10), "is_fallback": n < 10}
        for n in range(12)
    ]
    policy = "version: 1\nroutes: {support: {providers: [together, groq]}}\n"
    rows, days = judge(calls, LLAMA, policy, surroundings=surround(history=history))
    assert [row["kind"] for row in rows] == ["fallback_storm"] * 10 + ["dearer_provider"] * 2
    assert rows[0]["also_kinds"] == ["dearer_provider"]
    assert [(day["kind"], day["regret_usd"]) for day in days] == [
        ("dearer_provider", 2 * Decimal("0.000335")), ("fallback_storm", 10 * Decimal("0.000335")),
    ]  # fmt: skip


def test_an_answer_that_a_stronger_model_had_to_give_again_was_wasted_not_regretted():
    weak = attempt("openai", "gpt-nano", "gpt-nano", "0.00025", request_id="a", logical_request_id="one")
    strong = attempt(
        "openai", "gpt-4o", "gpt-4o", "0.0075", request_id="b", logical_request_id="one",
        started_at=NOON + timedelta(seconds=5),
    )  # fmt: skip
    (row,), (day,) = judge([strong, weak], GPT, "version: 1\nquality: {gpt-nano: 40, gpt-4o: 82}\n")
    assert (row["request_id"], row["kind"], row["wasted_usd"]) == ("a", "underpowered", Decimal("0.00025"))
    assert row["evidence"] == "gpt-nano answered, then gpt-4o was asked the same"
    assert (day["regret_usd"], day["wasted_usd"]) == (None, Decimal("0.00025"))


@pytest.mark.parametrize(
    ("first", "later", "is_wasted"),
    [
        ({"attempt_no": 1}, {"attempt_no": 2, "input_uncached_tokens": 1100}, True),  # a later try
        ({"attempt_no": None}, {"attempt_no": None}, True),  # as many tokens of input
        ({"attempt_no": None}, {"attempt_no": None, "input_uncached_tokens": 1100, "retry_of": "a"}, True),
        ({}, {"input_uncached_tokens": 1100}, False),  # a hop of an agent
        ({"task_class": "classify"}, {"attempt_no": 2, "task_class": "answer"}, False),
    ],
)
def test_an_answer_is_wasted_only_where_the_same_was_asked_again(first, later, is_wasted):
    links = pl.DataFrame(
        {"source": "gateway", "request_id": ["a", "b"], "finished_at": [None, None],
         "retry_of": [None, later.pop("retry_of", None)]},
        schema_overrides={"finished_at": pl.Datetime("us", "UTC"), "retry_of": pl.String},
    )  # fmt: skip
    weak = attempt("openai", "gpt-nano", "gpt-nano", "0.00025", request_id="a", logical_request_id="one")
    strong = attempt(
        "openai", "gpt-4o", "gpt-4o", "0.0075", request_id="b", logical_request_id="one",
        started_at=NOON + timedelta(seconds=5),
    )  # fmt: skip
    rows, _ = judge(
        [weak | first, strong | later],
        GPT,
        "version: 1\nquality: {gpt-nano: 40, gpt-4o: 82}\n",
        surroundings=surround(links=links),
    )
    assert [(row["request_id"], row["wasted_usd"]) for row in rows] == [("a", Decimal("0.00025"))] * is_wasted


@pytest.mark.parametrize(
    ("extra", "is_lost"),
    [
        ({"status": "cancelled"}, True),
        ({"provider": "groq", "model": "llama-3.3-70b-versatile"}, True),
        ({}, False),  # a second sample of the same place
        (
            {"provider": "groq", "model": "llama-3.3-70b-versatile", "input_uncached_tokens": 900},
            False,
        ),  # another task
        ({"status": "cancelled", "started_at": NOON + timedelta(seconds=9)}, False),  # after the answer
        ({"status": "error"}, False),
    ],
)
def test_the_slower_of_two_raced_attempts_was_wasted_whatever_it_cost_elsewhere(extra, is_lost):
    links = pl.DataFrame(
        {"source": "gateway", "request_id": ["one", "b"], "retry_of": [None, None],
         "finished_at": [NOON + timedelta(seconds=3), NOON + timedelta(seconds=4)]},
        schema_overrides={"finished_at": pl.Datetime("us", "UTC"), "retry_of": pl.String},
    )  # fmt: skip
    # The first attempt's id is that of the logical request, which its own row therefore leaves out.
    first = TOGETHER | {"request_id": "one"}
    second = TOGETHER | {
        "request_id": "b", "logical_request_id": "one", "started_at": NOON + timedelta(seconds=1),
        "effective_usd": Decimal("0.002"),
    } | extra  # fmt: skip
    rows, _ = judge([first, second], LLAMA[:2], surroundings=surround(links=links))
    lost = [
        (row["request_id"], row["regret_usd"], row["wasted_usd"])
        for row in rows
        if row["kind"] == "hedge_lost"
    ]
    assert lost == [("b", None, Decimal("0.002"))] * is_lost


def test_a_tenant_is_held_to_its_own_rights():
    policy = "version: 1\ntenants: {acme: {regions: [eu-*], providers: [together, groq]}}\n"
    call = TOGETHER | {"tenant": "acme", "region": "us-east-1"}
    (row,), _ = judge([call], LLAMA, policy)
    assert (row["kind"], row["clause"], row["also_kinds"]) == (
        "wrong_region",
        "tenants.acme",
        ["dearer_provider"],
    )
    assert row["alternative_provider"] == "groq"
    assert judge([call | {"tenant": "other"}], LLAMA, policy)[0][0]["kind"] == "dearer_provider"
    (row,), _ = judge([call | {"provider": "deepinfra"}], LLAMA, policy)
    assert (row["kind"], row["also_kinds"]) == (
        "policy_violation",
        ["wrong_region", "dearer_provider"],
    )


def test_a_tenant_without_a_right_to_the_route_is_a_violation():
    policy = "version: 1\ntenants: {acme: {routes: [chat]}}\n"
    (row,), _ = judge([TOGETHER | {"tenant": "acme"}], LLAMA[:2], policy)
    assert (row["kind"], row["evidence"]) == (
        "policy_violation",
        "support is not a route of tenants.acme (chat)",
    )


def test_a_place_that_answered_nothing_but_errors_in_that_minute_is_no_alternative():
    down = [
        attempt(
            "deepinfra", "Llama-3.3-70B-Instruct", "llama-3.3-70b", "0", request_id=f"e{n}", status="error"
        )
        for n in range(2)
    ]
    (row,), _ = judge([TOGETHER, *down], LLAMA)
    assert row["alternative_provider"] == "groq"
    later = TOGETHER | {"started_at": NOON + timedelta(minutes=1)}
    assert judge([later, *down], LLAMA)[0][0]["alternative_provider"] == "deepinfra"


def test_a_place_that_failed_the_call_before_is_no_alternative_for_it():
    chain = {"logical_request_id": "one"}
    failed = attempt(
        "deepinfra", "Llama-3.3-70B-Instruct", "llama-3.3-70b", "0", request_id="e", status="error", **chain
    )
    (row,), _ = judge([failed, TOGETHER | chain | {"started_at": NOON + timedelta(minutes=3)}], LLAMA)
    assert row["alternative_provider"] == "groq"


def seconds(*places):
    return pl.DataFrame(
        [
            {
                "provider": provider, "model": model, "attempt_count": 100, "first_token_seconds": first,
                "seconds_per_output_token": 0.0,
            }
            for provider, model, first in places
        ]
    )  # fmt: skip


def test_a_dearer_provider_that_is_faster_is_no_mistake_and_a_latency_target_decides():
    measured = seconds(
        ("together", "Llama-3.3-70B-Instruct-Turbo", 1.0), ("groq", "llama-3.3-70b-versatile", 2.0)
    )
    known = surround(latency=measured)
    book = [*LLAMA[:2], *LLAMA[4:6]]
    assert judge([TOGETHER], book, surroundings=known)[0] == []
    met = "version: 1\nroutes: {support: {latency_target_seconds: 3}}\n"
    (row,), _ = judge([TOGETHER], book, met, surroundings=known)
    assert (row["alternative_provider"], row["confidence_ratio"]) == ("groq", 1.0)
    missed = "version: 1\nroutes: {support: {latency_target_seconds: 1.5}}\n"
    assert judge([TOGETHER], book, missed, surroundings=known)[0] == []


def test_tokens_are_converted_to_the_other_models_and_the_interval_says_how_surely():
    """gpt-4o-mini makes 1.1 tokens of one and answers at 0.8 the length: 1,100 in and 440 out, each to within 5 %."""
    scores = (
        "quality: {gpt-4o: {score: 82, tokens_ratio: 1}, "
        "gpt-4o-mini: {score: 62, tokens_ratio: 1.1, verbosity_ratio: 0.8, conversion_error: 0.05}}\n"
    )
    policy = "version: 1\nroutes: {support: {quality_floor: 60}}\n" + scores
    (row,), (day,) = judge([attempt("openai", "gpt-4o", "gpt-4o", "0.0075")], GPT, policy)
    # 1,000 x 0.15 x 1.1 + 500 x 0.6 x 0.88 dollars a million.
    assert row["alternative_usd"] == Decimal("0.000429")
    assert row["regret_usd"] == Decimal("0.007071")
    assert (row["regret_low_usd"], row["regret_high_usd"]) == (Decimal("0.00704955"), Decimal("0.00709245"))
    assert (day["regret_low_usd"], day["regret_high_usd"]) == (row["regret_low_usd"], row["regret_high_usd"])


GUESS = """\
version: 1
guess_task_class:
  - {task_class: simple, input_tokens_at_most: 1500, uses_tools: false, confidence: 0.5}
  - {task_class: complex, confidence: 0.9}
routes: {support: {task_classes: {simple: {quality_floor: 60}}}}
quality: {gpt-4o-mini: 62, gpt-4o: 82}
"""


def test_a_guessed_class_of_work_lowers_confidence_and_the_interval_reaches_zero():
    call = attempt("openai", "gpt-4o", "gpt-4o", "0.0075")
    (row,), _ = judge([call], GPT, GUESS)
    assert (row["kind"], row["task_class"], row["confidence_ratio"]) == ("overpowered", "simple", 0.7 * 0.5)
    assert (row["regret_low_usd"], row["regret_usd"] > 0) == (0, True)
    assert judge([call | {"input_uncached_tokens": 2000}], GPT, GUESS)[0] == []
    tools = {"meters_usd": Decimal("0.01"), "effective_usd": Decimal("0.0175")}
    assert judge([call | tools], GPT, GUESS)[0] == []
    assert judge([call | {"task_class": "complex"}], GPT, GUESS)[0] == []


def test_of_two_equal_alternatives_the_first_of_the_book_is_named():
    twins = [*llama("a", "llama", 0.5, 0.5), *llama("b", "llama", 0.5, 0.5)]
    for book, first in ((twins, "a"), ([*twins[2:], *twins[:2]], "b")):
        (row,), _ = judge([TOGETHER], [*LLAMA[:2], *book])
        assert row["alternative_provider"] == first


def test_an_equal_price_is_no_mistake():
    assert judge([TOGETHER], [*LLAMA[:2], *llama("nebius", "llama", 0.88, 0.88)]) == ([], [])


def test_the_llama_routes_of_the_published_sheets_are_up_to_three_times_apart():
    """A million tokens in and out on 2026-07-24 cost from $0.63 at DeepInfra to $2.05 at Cerebras."""
    million = {"input_uncached_tokens": 10**6, "output_text_tokens": 10**6}
    calls = [
        attempt(
            "together",
            "Llama-3.3-70B-Instruct-Turbo",
            "llama-3.3-70b",
            "1.76",
            request_id="together",
            **million,
        ),
        attempt(
            "fireworks", "llama-v3p3-70b-instruct", "llama-3.3-70b", "1.80", request_id="fireworks", **million
        ),
        attempt("groq", "llama-3.3-70b-versatile", "llama-3.3-70b", "1.38", request_id="groq", **million),
        attempt("cerebras", "llama-3.3-70b", "llama-3.3-70b", "2.05", request_id="cerebras", **million),
        attempt(
            "deepinfra", "Llama-3.3-70B-Instruct", "llama-3.3-70b", "0.63", request_id="deepinfra", **million
        ),
        attempt("aws.bedrock", "llama3-3-70b", "llama-3.3-70b", "1.44", request_id="aws.bedrock", **million),
    ]
    rows, (day,) = judge(calls, LLAMA)
    assert {row["request_id"]: row["regret_usd"] for row in rows} == {
        "together": Decimal("1.13"), "fireworks": Decimal("1.17"), "groq": Decimal("0.75"),
        "cerebras": Decimal("1.42"), "aws.bedrock": Decimal("0.81"),
    }  # fmt: skip
    assert day["regret_usd"] == Decimal("5.28")
