"""Routing mistakes by hand, with the published Llama 70B prices of 2026-07-24."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from models.routing.mistakes import routing_mistakes
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


def judge(attempts, book, policy="", known=KNOWN):
    judged = routing_mistakes(
        table("core.request_costs").frame(attempts).lazy(),
        policy=read_policy(policy, path="routing.yml"),
        book=table("ref.token_prices").frame(book).lazy(),
        models=table("ref.models").frame([]).lazy(),
        as_known_at=known,
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
    batch = TOGETHER | {"service_tier": "batch"}
    assert judge([batch], LLAMA) == ([], [])
    (row,), _ = judge([batch], [*LLAMA, *llama("groq", "l", 0.295, 0.395, service_tier="batch")])
    assert row["alternative_usd"] == Decimal("0.0004925")


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
