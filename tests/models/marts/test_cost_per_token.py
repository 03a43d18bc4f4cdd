from datetime import date
from decimal import Decimal

import pytest

from models.errors import ConfigurationError
from models.marts import mart_sql
from tests.models.marts.warehouse import (
    attempt,
    fill,
    gpu_attempt,
    insert,
    open_warehouse,
    picodollars,
    pool_hour,
    utc,
)

DAY = date(2026, 5, 4)
NOON = utc("2026-05-04T12:00")
HOURS = {"from_hour": utc("2026-05-04T00:00"), "to_hour": utc("2026-05-05T00:00")}
DAYS = {"from_on": DAY, "to_on": date(2026, 5, 5)}


def test_unpriced_usage_is_null_and_counted_not_zero():
    con = open_warehouse()
    insert(
        con,
        "core.request_costs",
        [
            attempt(
                "a",
                NOON,
                DAY,
                price_state="unpriced",
                estimated_usd=Decimal("0.5"),
                input_uncached_tokens=70,
                output_text_tokens=30,
            )
        ],
    )
    for dotted, name, span in (
        ("mart.cost_per_token_hourly", "cost_per_token_hourly", HOURS),
        ("mart.cost_per_token_daily", "cost_per_token_daily", DAYS),
    ):
        (row,) = fill(con, dotted, name, **span).to_dicts()
        assert row["usage_usd"] is None
        assert row["usage_usd_per_mtok"] is None
        assert (row["unpriced_tokens"], row["unpriced_count"], row["priced_ratio"]) == (100, 1, 0.0)
        assert row["estimated_usd"] == Decimal("0.5")
        assert row.get("available_usd") is None


def test_cost_per_million_is_a_ratio_of_sums_over_priced_and_free_rows():
    con = open_warehouse()
    rows = [
        attempt(
            "a", NOON, DAY, effective_usd=Decimal("0.000300"), input_uncached_tokens=100, cache_read_tokens=50
        ),
        attempt("b", NOON, DAY, effective_usd=Decimal(0), price_state="free", output_text_tokens=150),
        attempt("c", NOON, DAY, price_state="unpriced", input_uncached_tokens=5000),
    ]
    insert(con, "core.request_costs", rows)
    (row,) = fill(con, "mart.cost_per_token_hourly", "cost_per_token_hourly", **HOURS).to_dicts()
    assert row["usage_usd_per_mtok"] == pytest.approx(1.0)
    assert row["input_usd_per_mtok"] == pytest.approx(2.0)
    assert row["output_usd_per_mtok"] == 0.0
    assert (row["priced_input_tokens"], row["priced_output_tokens"]) == (150, 150)
    assert (row["input_uncached_tokens"], row["cache_read_tokens"], row["reasoning_tokens"]) == (
        5100,
        50,
        None,
    )
    assert row["priced_ratio"] == pytest.approx(2 / 3)


def test_a_logical_request_counts_once_and_a_cache_hit_is_no_attempt():
    con = open_warehouse()
    rows = [
        attempt("first", NOON, DAY, status="error", price_state="free", effective_usd=Decimal(0)),
        attempt("again", NOON, DAY, attempt_no=2, logical_request_id="first", effective_usd=Decimal(1)),
        attempt(
            "other",
            NOON,
            DAY,
            is_fallback=True,
            logical_request_id="first",
            route="backup",
            effective_usd=Decimal(1),
        ),
        attempt(
            "hit", NOON, DAY, attempt_no=0, price_state="free", effective_usd=Decimal(0), saved_usd=Decimal(2)
        ),
        attempt("lone", NOON, DAY, attempt_no=3, effective_usd=Decimal(1)),
    ]
    insert(con, "core.request_costs", rows)
    cells = {
        row["route"]: row
        for row in fill(con, "mart.cost_per_token_daily", "cost_per_token_daily", **DAYS).to_dicts()
    }
    chat, backup = cells["chat"], cells["backup"]
    assert (chat["request_count"], chat["attempt_count"], chat["error_count"]) == (3, 3, 1)
    assert (chat["gateway_cache_hit_count"], chat["saved_usd"]) == (1, Decimal(2))
    assert (backup["request_count"], backup["attempt_count"]) == (0, 1)


def test_an_attempt_over_two_hours_counts_once_and_costs_in_both():
    con = open_warehouse()
    one, two = utc("2026-05-04T12:59"), utc("2026-05-04T13:00")
    rows = [
        gpu_attempt(
            "a", one, DAY, effective_usd=Decimal(1), output_text_tokens=10, allocation_weight=Decimal(4)
        ),
        gpu_attempt(
            "a",
            one,
            DAY,
            accrued_hour=two,
            is_first_accrual=False,
            effective_usd=Decimal(2),
            output_text_tokens=0,
            allocation_weight=Decimal(6),
        ),
    ]
    insert(con, "core.request_costs", rows)
    hourly = fill(con, "mart.cost_per_token_hourly", "cost_per_token_hourly", **HOURS).sort("accrued_hour")
    assert hourly["attempt_count"].to_list() == [1, 0]
    assert hourly["usage_usd"].to_list() == [Decimal(1), Decimal(2)]
    assert hourly["usage_usd_per_mtok"].to_list() == [pytest.approx(1e5), None]


def test_overhead_is_spread_by_weight_to_the_last_picodollar():
    con = open_warehouse()
    rows = [
        gpu_attempt(
            name,
            NOON,
            DAY,
            tenant=name,
            effective_usd=picodollars(5),
            allocation_weight=Decimal(1),
            output_text_tokens=1,
        )
        for name in ("a", "b", "c")
    ]
    insert(con, "core.request_costs", rows)
    bill = {"serving_usd": picodollars(15), "idle_usd": picodollars(7), "starting_usd": picodollars(3)}
    insert(con, "core.pool_hours", [pool_hour(NOON, DAY, **bill)])
    daily = fill(con, "mart.cost_per_token_daily", "cost_per_token_daily", **DAYS).sort("tenant")
    # 10 over three equal weights: 3.33 -> 3, 6.67 -> 7, 10 -> 10; the parts are 3, 4 and 3.
    assert daily["available_usd"].to_list() == [picodollars(8), picodollars(9), picodollars(8)]
    assert daily["usage_usd"].to_list() == [picodollars(5)] * 3


def test_a_tie_rounds_half_to_even():
    con = open_warehouse()
    rows = [
        gpu_attempt(name, NOON, DAY, tenant=name, effective_usd=Decimal(0), allocation_weight=Decimal(1))
        for name in ("a", "b")
    ]
    insert(con, "core.request_costs", rows)
    insert(con, "core.pool_hours", [pool_hour(NOON, DAY, idle_usd=picodollars(5))])
    daily = fill(con, "mart.cost_per_token_daily", "cost_per_token_daily", **DAYS).sort("tenant")
    assert daily["available_usd"].to_list() == [picodollars(2), picodollars(3)]


def test_a_pool_day_without_traffic_and_unheld_gpus_stay_unallocated():
    con = open_warehouse()
    insert(
        con,
        "core.request_costs",
        [gpu_attempt("a", NOON, DAY, effective_usd=Decimal(1), allocation_weight=Decimal(1))],
    )
    insert(
        con,
        "core.pool_hours",
        [
            pool_hour(NOON, DAY, serving_usd=Decimal(1), idle_usd=Decimal(2), unheld_usd=Decimal(4)),
            pool_hour(NOON, DAY, deployment="quiet", model="mistral", idle_usd=Decimal(8)),
            pool_hour(NOON, DAY, deployment="dark", model="qwen", idle_usd=None, starting_usd=None),
        ],
    )
    daily = fill(con, "mart.cost_per_token_daily", "cost_per_token_daily", **DAYS)
    cells = {(row["route"], row["model"]): row for row in daily.to_dicts()}
    assert cells["llama-pool", "llama"]["available_usd"] == Decimal(3)
    assert cells["(unallocated)", "llama"]["available_usd"] == Decimal(4)
    assert cells["(unallocated)", "mistral"]["available_usd"] == Decimal(8)
    assert cells["(unallocated)", "mistral"]["usage_usd"] is None
    assert cells["(unallocated)", "mistral"]["attempt_count"] == 0
    assert cells["(unallocated)", "qwen"]["available_usd"] is None


def quota(tenant, reserved, **facts):
    rule = {"rule_number": 1, "rule": "reserved_quota", "overhead": "spread", "deployment": "llama-pool"}
    return rule | {"tenant": tenant, "quota": None if tenant is None else Decimal(reserved)} | facts


def carried(rules, weights, **parts):
    """Return what each (route, tenant) carries of a pool-day, by attempts of some weight."""
    con = open_warehouse()
    attempts = [
        gpu_attempt(
            f"{tenant}{n}", NOON, DAY, tenant=tenant, effective_usd=Decimal(0), allocation_weight=Decimal(weight)
        )
        for n, (tenant, weight) in enumerate(weights)
    ]  # fmt: skip
    insert(con, "core.request_costs", attempts)
    insert(con, "ref.allocation_rules", rules)
    insert(con, "core.pool_hours", [pool_hour(NOON, DAY, **parts)])
    daily = fill(con, "mart.cost_per_token_daily", "cost_per_token_daily", **DAYS)
    return {(row["route"], row["tenant"]): row["available_usd"] for row in daily.to_dicts()}


def test_idle_of_a_reserved_pool_goes_to_the_tenants_by_quota_whatever_they_sent():
    """6 to 2 of eight dollars; acme sent less than globex, and initech, who reserved nothing, carries nothing."""
    rules = [quota("acme", 6), quota("globex", 2)]
    weights = [("acme", 1), ("acme", 1), ("globex", 90), ("initech", 5)]
    assert carried(rules, weights, idle_usd=Decimal(7), starting_usd=Decimal(1), unheld_usd=Decimal(3)) == {
        ("llama-pool", "acme"): Decimal(6), ("llama-pool", "globex"): Decimal(2), ("llama-pool", "initech"): Decimal(0),
        ("(unallocated)", None): Decimal(3),
    }  # fmt: skip


def test_a_tenant_that_reserved_and_sent_nothing_carries_its_part_all_the_same():
    rules = [quota("acme", 6), quota("globex", 2)]
    assert carried(rules, [("acme", 1)], idle_usd=Decimal(8)) == {
        ("llama-pool", "acme"): Decimal(6), ("(reserved)", "globex"): Decimal(2),
    }  # fmt: skip
    assert carried(rules, [], idle_usd=Decimal(8), serving_usd=Decimal(1)) == {
        ("(reserved)", "acme"): Decimal(6), ("(reserved)", "globex"): Decimal(2), ("(unallocated)", None): Decimal(1),
    }  # fmt: skip


def test_of_several_rules_of_a_pool_the_last_counts_and_one_may_leave_idle_unallocated():
    last = quota(None, 0, rule_number=2, rule="token_share", overhead="unallocated", chip="H100")
    assert carried([quota("acme", 1), last], [("acme", 1)], idle_usd=Decimal(8), unheld_usd=Decimal(3)) == {
        ("llama-pool", "acme"): Decimal(0), ("(unallocated)", None): Decimal(11),
    }  # fmt: skip
    elsewhere = last | {"chip": "B200"}
    assert carried([elsewhere], [("acme", 1)], idle_usd=Decimal(8)) == {("llama-pool", "acme"): Decimal(8)}


def test_an_unknown_mart_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"nonsense\.sql"):
        mart_sql("nonsense")


RATES = {"input_uncached": 4, "cache_read": 1, "cache_write_5m": 5, "cache_write_1h": 8}
"""Picodollars a token of a card."""


def card(price_id, rates, **changes):
    return [
        {
            "price_id": price_id, "meter": meter, "provider": "openai", "model": "gpt", "service_tier": "default",
            "priced_at": "started", "layer": "list", "unit": "token", "picodollars_per_unit": rate, "is_rounded": False,
            "valid_from": utc("2026-01-01T00:00"), "known_from": utc("2026-01-01T00:00"), "sheet_version": "1",
            "sheet_path": "s.yml", "source_url": "https://example.com",
        } | changes
        for meter, rate in rates.items()
    ]  # fmt: skip


def test_what_the_prompt_cache_saves_is_at_the_rates_of_the_card_and_beyond_its_threshold():
    con = open_warehouse()
    beyond = {meter: 2 * rate for meter, rate in RATES.items()}
    insert(
        con,
        "ref.token_prices",
        [
            *card("flat", RATES),
            *card("graduated", RATES, beyond_price_id="high"),
            *card("high", beyond, above_input_tokens=100),
            *card("no cache", {"input_uncached": 4}),
        ],
    )
    usage = {"cache_read_tokens": 90, "cache_write_1h_tokens": 20, "cache_write_5m_tokens": 5}
    rows = [
        attempt("a", NOON, DAY, price_id="flat", tenant="a", effective_usd=Decimal(1), **usage),
        attempt("b", NOON, DAY, price_id="graduated", tenant="b", effective_usd=Decimal(1), **usage),
        attempt("c", NOON, DAY, price_id="no cache", tenant="c", effective_usd=Decimal(1), cache_read_tokens=9),
        attempt("d", NOON, DAY, price_id="flat", tenant="d", effective_usd=Decimal(1), input_uncached_tokens=9),
        attempt(
            "e", NOON, DAY, price_id="flat", tenant="e", effective_usd=Decimal(1), cache_read_tokens=10,
            fx_usd_per_unit=Decimal("1.5"),
        ),
    ]  # fmt: skip
    insert(con, "core.request_costs", rows)

    daily = fill(con, "mart.cost_per_token_daily", "cost_per_token_daily", **DAYS).sort("tenant")

    # Graduated: 90 reads and 10 of the 20 writes lie below 100 tokens; the rest costs twice as much.
    assert daily["cache_read_saved_usd"].to_list() == [
        picodollars(90 * 3), picodollars(90 * 3), None, None, picodollars(45),
    ]  # fmt: skip
    assert daily["cache_write_premium_usd"].to_list() == [
        picodollars(20 * 4 + 5 * 1), picodollars(10 * 4 + 10 * 8 + 5 * 2), None, None, None,
    ]  # fmt: skip


def test_rows_say_who_asked_what_was_retried_and_who_else_could_serve_it():
    con = open_warehouse()
    insert(
        con,
        "ref.families",
        [
            {"stem": "gpt-", "is_prefix": True, "developer": "openai", "is_open_weights": False, "sheet_path": "s"},
            {"stem": "gpt-oss", "is_prefix": True, "developer": "openai", "is_open_weights": True, "sheet_path": "s"},
        ],
    )  # fmt: skip
    one = {"model": "gpt-5", "model_family": "gpt-5"}
    two = {"model": "gpt-4o", "model_family": "gpt-4o"}
    insert(
        con,
        "ref.token_prices",
        [
            *card("p5", RATES, **one),
            *card("r5", RATES, provider="openrouter", **one),
            *card("p4", RATES, **two),
            *card("q4", RATES, provider="azure.ai.openai", **two),
        ],
    )
    asked = {"team": "web", "feature": "chat", "environment": "production", "operation": "chat"}
    costs = {"effective_usd": Decimal(1), "list_usd": Decimal(2), "output_text_tokens": 10}
    rows = [
        attempt("a", NOON, DAY, status="error", **one, **asked, **costs),
        attempt("b", NOON, DAY, attempt_no=2, logical_request_id="a", **one, **asked, **costs),
        attempt("c", NOON, DAY, attempt_no=2, is_fallback=True, logical_request_id="x", **two, **costs),
        attempt("d", NOON, DAY, status="cancelled", service_tier="batch", model="gpt-oss-20b", **costs),
        attempt("e", NOON, DAY, model="mystery", **costs),
    ]
    insert(con, "core.request_costs", rows)

    daily = fill(con, "mart.cost_per_token_daily", "cost_per_token_daily", **DAYS).sort("model")

    names = ["model", "family", "developer", "is_open_weights", "is_locked_in", "team", "service_tier"]
    assert daily.select(names).rows() == [
        ("gpt-4o", "gpt-4o", "openai", False, False, None, None),
        ("gpt-5", "gpt-5", "openai", False, True, "web", None),
        ("gpt-oss-20b", None, "openai", True, False, None, "batch"),
        ("mystery", None, None, None, None, None, None),
    ]
    measures = ["failed_usd", "cancelled_usd", "retry_usd", "retry_count", "fallback_count", "list_usd"]
    assert daily.select(measures).rows() == [
        (None, None, None, 0, 1, 2),
        (1, None, 1, 1, 0, 4),
        (None, 1, None, 0, 0, 2),
        (None, None, None, 0, 0, 2),
    ]  # fmt: skip
    rate = "SELECT is_open_weights, usd_per_mtok(usage_usd, priced_tokens) FROM mart.cost_per_token_daily"
    assert con.execute(f"{rate} GROUP BY ALL ORDER BY 1").fetchall() == [
        (False, 1e5),
        (True, 1e5),
        (None, 1e5),
    ]
