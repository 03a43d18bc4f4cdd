"""Pricing mistakes that other tools made, each as a small case whose answer is worked by hand.

Every case is priced by the built-in sheets; the comment holds the arithmetic.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import polars as pl
import pytest

from models.costs.token_costs import price_requests
from models.finance.restatements import restate_requests
from models.prices.builtin import builtin_token_sheets
from models.prices.sheets import TokenSheet, load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@cache
def sheets() -> list[TokenSheet]:
    return load_token_sheets(builtin_token_sheets())


@cache
def book() -> tuple[pl.DataFrame, pl.DataFrame]:
    return token_book(sheets()), model_aliases(sheets())


def priced(row: dict[str, Any], *, known: datetime = NOW) -> dict[str, Any]:
    plain = {
        "source": "golden", "source_kind": "requests", "request_id": "r", "status": "ok",
        "usage_source": "provider", "is_gateway_cache_hit": False, "started_at": datetime(2026, 8, 1, tzinfo=UTC),
    }  # fmt: skip
    return price_requests(
        table("core.requests").frame([plain | row]).lazy(),
        book=book()[0].lazy(),
        models=book()[1].lazy(),
        time_zone="UTC",
        as_known_at=known,
        from_hour=datetime(2023, 1, 1, tzinfo=UTC),
        to_hour=NOW,
    ).collect().row(0, named=True)  # fmt: skip


SONNET = {"provider": "anthropic", "served_model": "claude-sonnet-4-5"}
GPT_4O = {"provider": "openai", "served_model": "gpt-4o"}
GEMINI = {"provider": "gcp.gemini", "served_model": "gemini-2.5-pro"}


@pytest.mark.parametrize(
    ("row", "dollars"),
    [
        pytest.param(
            # 10,000 x $3 + 100,000 x $0.30 + 1,000 x $15 per million = 0.03 + 0.03 + 0.015
            SONNET | {"input_uncached_tokens": 10_000, "cache_read_tokens": 100_000, "output_text_tokens": 1_000},
            "0.075",
            id="1 cached tokens are charged once",
        ),
        pytest.param(
            # 1,000 x $1.25 + 500 text and 4,500 reasoning x $10 per million = 0.00125 + 0.05
            {"provider": "openai", "served_model": "gpt-5", "input_uncached_tokens": 1_000}
            | {"output_text_tokens": 500, "reasoning_tokens": 4_500},
            "0.05125",
            id="3 reasoning is billed once, as output",
        ),
        pytest.param(
            # 20,000 x $6 + 20,000 x $3.75 per million = 0.12 + 0.075
            SONNET | {"cache_write_1h_tokens": 20_000, "cache_write_5m_tokens": 20_000},
            "0.195",
            id="4 one-hour cache writes have their own rate",
        ),
        pytest.param(
            # 100 x $2.50 + 900 x $40 + 50 x $80 per million = 0.00025 + 0.036 + 0.004
            {"provider": "openai", "served_model": "gpt-4o-audio-preview", "input_uncached_tokens": 100}
            | {"audio_input_tokens": 900, "audio_output_tokens": 50},
            "0.04025",
            id="5 audio is not priced as text",
        ),
        pytest.param(
            # 1,000,000 x $10 + 100,000 x $40 per million: the rate before 2025-06-10
            {"provider": "openai", "served_model": "o3", "started_at": datetime(2025, 6, 9, 23, 59, tzinfo=UTC)}
            | {"input_uncached_tokens": 1_000_000, "output_text_tokens": 100_000},
            "14",
            id="8 the price of the day of the call, before the cut",
        ),
        pytest.param(
            {"provider": "openai", "served_model": "o3", "started_at": datetime(2025, 6, 10, tzinfo=UTC)}
            | {"input_uncached_tokens": 1_000_000, "output_text_tokens": 100_000},
            "2.8",
            id="8 the price of the day of the call, after the cut",
        ),
        pytest.param(
            # 200,000 x $1.25 + 1,000 x $10: the threshold is not exceeded
            GEMINI | {"input_uncached_tokens": 200_000, "output_text_tokens": 1_000},
            "0.26",
            id="10 at the long-context threshold",
        ),
        pytest.param(
            # 150,001 x $2.50 + 50,000 x $0.25 + 1,000 x $15: the whole request, cached input counted
            GEMINI | {"input_uncached_tokens": 150_001, "cache_read_tokens": 50_000, "output_text_tokens": 1_000},
            "0.4025025",
            id="10 one token above the long-context threshold",
        ),
        pytest.param(
            # flex halves: 1,000,000 x $0.625 + 100,000 x $5
            {"provider": "openai", "served_model": "gpt-5", "service_tier": "flex"}
            | {"input_uncached_tokens": 1_000_000, "output_text_tokens": 100_000},
            "1.125",
            id="11 the served tier is priced",
        ),
        pytest.param(
            # 1,000,000 x $5: a floating name meant gpt-4o-2024-05-13 until 2024-10-02
            GPT_4O | {"started_at": datetime(2024, 9, 1, tzinfo=UTC), "input_uncached_tokens": 1_000_000},
            "5",
            id="13 a floating name is dated, before",
        ),
        pytest.param(GPT_4O | {"input_uncached_tokens": 1_000_000}, "2.5", id="13 a floating name is dated, after"),
        pytest.param(
            # 1,000,000 x $0.72
            {"provider": "aws.bedrock", "served_model": "us.meta.llama3-3-70b-instruct-v1:0"}
            | {"input_uncached_tokens": 1_000_000},
            "0.72",
            id="13 a regional id is an alias",
        ),
        pytest.param(
            # 1,000 x $3 per million + 3 x $0.01
            SONNET | {"input_uncached_tokens": 1_000, "other_meters": {"web_search": Decimal(3)}},
            "0.033",
            id="14 searches are counted from use",
        ),
    ],
)  # fmt: skip
def test_cost_equals_the_answer_worked_by_hand(row: dict[str, Any], dollars: str) -> None:
    costs = priced(row)
    assert (costs["price_state"], costs["effective_usd"]) == ("priced", Decimal(dollars))


def test_2_disjoint_classes_never_cost_less_than_nothing() -> None:
    # An exclusive dialect: 3 uncached beside 50,000 cached. 3 x $3 + 50,000 x $0.30 per million.
    costs = priced(SONNET | {"input_uncached_tokens": 3, "cache_read_tokens": 50_000})
    assert costs["effective_usd"] == Decimal("0.015009")


def test_6_a_missing_price_is_unpriced_and_not_zero() -> None:
    costs = priced(GPT_4O | {"served_model": "gpt-4o-of-tomorrow", "input_uncached_tokens": 46_000_000})
    assert (costs["price_state"], costs["unpriced_reason"]) == ("unpriced", "unknown_model")
    assert costs["effective_usd"] is None
    assert costs["input_uncached_tokens"] == 46_000_000


def test_7_an_unknown_model_is_not_free() -> None:
    assert (
        priced({"provider": "openrouter", "served_model": "new:free", "output_text_tokens": 1})["price_state"]
        == "unpriced"
    )


def test_8_a_price_learned_later_does_not_move_what_was_known() -> None:
    row = {"provider": "groq", "served_model": "openai/gpt-oss-20b", "input_uncached_tokens": 1_000_000}
    known_then = priced(row, known=datetime(2026, 7, 1, tzinfo=UTC))
    assert known_then["effective_usd"] == Decimal("0.1")
    assert priced(row)["effective_usd"] == Decimal("0.075")


def test_9_a_closed_month_is_mended_by_one_correction_however_often() -> None:
    row = SONNET | {"input_uncached_tokens": 100_000, "output_text_tokens": 10_000}
    stored, new = (
        table("core.request_costs").frame([priced(row, known=known)])
        for known in (datetime(2025, 1, 1, tzinfo=UTC), NOW)
    )
    august, booked_on = [(date(2026, 8, 1), date(2026, 9, 1))], date(2026, 9, 2)

    once = restate_requests(
        stored, new, table("core.adjustments").empty(), closed=august, booked_on=booked_on
    )
    twice = restate_requests(once.rows, new, once.adjustments, closed=august, booked_on=booked_on)

    # 100,000 x $3 + 10,000 x $15 per million; the price was not known when the month closed.
    assert once.rows.equals(stored)
    assert once.adjustments.select(
        "old_usd", "new_usd", "difference_usd", "accrued_on", "booked_on"
    ).rows() == [(Decimal(0), Decimal("0.45"), Decimal("0.45"), date(2026, 8, 1), booked_on)]
    assert twice.adjustments.is_empty()


def test_12_a_batch_is_costed_on_completion_and_a_poll_costs_nothing_that_is_known() -> None:
    started = datetime(2026, 8, 1, 23, 50, tzinfo=UTC)
    batch = SONNET | {
        "service_tier": "batch",
        "started_at": started,
        "finished_at": started + timedelta(hours=4),
    }

    final = priced(batch | {"input_uncached_tokens": 100_000, "output_text_tokens": 10_000})
    poll = priced(batch | {"usage_source": "missing"})

    # Half of 100,000 x $3 + 10,000 x $15 per million, on the day on which it was done.
    assert (final["effective_usd"], final["accrued_on"]) == (Decimal("0.225"), date(2026, 8, 2))
    assert (poll["effective_usd"], poll["unpriced_reason"]) == (None, "missing_usage")


def test_18_a_fallback_costs_what_served_it_and_its_premium_is_apart() -> None:
    costs = priced(
        SONNET
        | {"requested_model": "gpt-4o", "is_fallback": True}
        | {"input_uncached_tokens": 100_000, "output_text_tokens": 10_000}
    )
    # $0.45 at Claude Sonnet 4.5 instead of 100,000 x $2.50 + 10,000 x $10 per million.
    assert (costs["effective_usd"], costs["fallback_premium_usd"]) == (Decimal("0.45"), Decimal("0.1"))


def test_13_no_price_is_found_by_prefix() -> None:
    costs = priced(GPT_4O | {"served_model": "gpt-4o-mini-of-tomorrow", "input_uncached_tokens": 1})
    assert costs["unpriced_reason"] == "unknown_model"


@pytest.mark.parametrize(
    ("provider", "model", "dollars"),
    [
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "1.76"),
        ("fireworks", "llama-v3p3-70b-instruct", "1.8"),
        ("groq", "llama-3.3-70b-versatile", "1.38"),
        ("cerebras", "llama-3.3-70b", "2.05"),
        ("deepinfra", "meta-llama/Llama-3.3-70B-Instruct", "0.63"),
        ("aws.bedrock", "meta.llama3-3-70b-instruct-v1:0", "1.44"),
        ("aws.bedrock", "meta.llama3-70b-instruct-v1:0", "6.15"),
    ],
)
def test_a_million_tokens_in_and_out_of_llama_70b_by_provider(
    provider: str, model: str, dollars: str
) -> None:
    million = {"input_uncached_tokens": 1_000_000, "output_text_tokens": 1_000_000}
    costs = priced({"provider": provider, "served_model": model} | million)
    assert costs["effective_usd"] == Decimal(dollars)
    assert costs["chip"] == {"groq": "LPU", "cerebras": "WSE-3"}.get(provider)


def test_families_tie_providers_together() -> None:
    served = book()[1].filter(pl.col("model_family") == "llama-3.3-70b")["provider"].unique()
    assert set(served) >= {"aws.bedrock", "cerebras", "deepinfra", "fireworks", "groq", "together"}
