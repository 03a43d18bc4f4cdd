from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from models.costs.token_costs import price_requests
from models.errors import DataError
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
LATER = datetime(2026, 11, 1, tzinfo=UTC)
SHEET = """\
provider: example
source_url: https://example.com/pricing
checked_on: 2026-01-15
models:
  - model: m1
    family: f
    aliases: [example/m1, {name: floating, valid_from: 2026-03-01}]
    prices:
      - valid_from: 2026-01-01
        usd_per_mtok: {input_uncached: 1, cache_read: 0.1, output: 4}
        tiers: {batch: {multiplier: 0.5}, priority: {usd_per_mtok: {output: 8}}}
        long_context: {above_input_tokens: 1000, mode: whole_request, usd_per_mtok: {input_uncached: 2}}
        per_call_usd: {web_search: 0.01}
        schedule: [{days: [mon], from_utc: "22:00", to_utc: "02:00", multiplier: 0.5}]
      - valid_from: 2026-01-01
        region: eu
        usd_per_mtok: {input_uncached: 1.1, cache_read: 0.11, output: 4.4}
  - model: m2
    prices: [{valid_from: 2026-01-01, usd_per_mtok: {input_uncached: 3, output: 9}}]
  - model: gift
    prices: [{valid_from: 2026-01-01, usd_per_mtok: {input_uncached: 0, output: 0}}]
  - model: graduated
    prices:
      - valid_from: 2026-01-01
        usd_per_mtok: {input_uncached: 1, cache_read: 0.1, output: 4}
        long_context:
          {above_input_tokens: 1000, mode: graduated, usd_per_mtok: {input_uncached: 2, cache_read: 0.2}}
  - model: late
    prices:
      - {valid_from: 2026-01-01, priced_at: finished, usd_per_mtok: {output: 1}}
      - {valid_from: 2026-03-02T12:30:00Z, priced_at: finished, usd_per_mtok: {output: 2}}
"""
OTHER = """\
provider: sibling
source_url: https://example.com/pricing
checked_on: 2026-01-15
models:
  - model: their-m1
    family: f
    prices: [{valid_from: 2026-01-01, usd_per_mtok: {input_uncached: 1, cache_write_1h: 7, output: 4}}]
"""


def cost(*rows: dict[str, Any], known: datetime = LATER, sheet: str = SHEET, **options: Any) -> pl.DataFrame:
    sheets = load_token_sheets({"example.yml": sheet, "other.yml": OTHER})
    plain = {
        "source": "gateway", "source_kind": "requests", "started_at": NOON,
        "provider": "example", "served_model": "m1",
        "status": "ok", "usage_source": "provider", "is_gateway_cache_hit": False,
    }  # fmt: skip
    requests = table("core.requests").frame(
        plain | {"request_id": f"r{n}"} | row for n, row in enumerate(rows)
    )
    arguments = {
        "time_zone": "UTC",
        "from_hour": NOON - timedelta(days=400),
        "to_hour": NOON + timedelta(days=400),
    }
    costs = price_requests(
        requests.lazy(),
        book=token_book(sheets).lazy(),
        models=model_aliases(sheets).lazy(),
        as_known_at=known,
        **(arguments | options),
    )
    return costs.collect().sort("request_id")


def tokens(uncached: int = 0, output: int = 0, **others: int) -> dict[str, int]:
    named = {f"{name}_tokens": count for name, count in others.items()}
    return {"input_uncached_tokens": uncached, "output_text_tokens": output} | named


def micro(value: str) -> Decimal:
    return Decimal(value) / 1_000_000


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (tokens(100, 10), "140"),
        (tokens(100, 10, cache_read=50, reasoning=5), "165"),
        (tokens(1000, 0), "1000"),  # the threshold is exceeded strictly
        (tokens(950, 1, cache_read=51), "1909.1"),  # 950 x 2 + 51 x 0.1 + 4: all input classes count
        (tokens(100, 10) | {"service_tier": "batch"}, "70"),
        *(
            (tokens(100, 10) | {"service_tier": tier}, "140")
            for tier in ("standard", "On-Demand", "PayGo", "")
        ),
        (tokens(100, 10) | {"service_tier": "priority"}, "180"),
        (tokens(100, 10) | {"region": "eu"}, "154"),
        (tokens(100, 10) | {"region": "us"}, "140"),
        (tokens(100, 10) | {"started_at": NOON.replace(hour=22)}, "70"),
        (tokens(100, 10) | {"started_at": NOON.replace(day=3, hour=1, minute=59)}, "70"),
        (tokens(100, 10) | {"started_at": NOON.replace(day=3, hour=2)}, "140"),
        (tokens(100, 10) | {"started_at": NOON.replace(day=3, hour=22)}, "140"),
        (tokens(100, 10) | {"served_model": "example/m1"}, "140"),
        (tokens(100, 10) | {"served_model": None, "routed_model": "m1"}, "140"),
        (tokens(100, 10) | {"other_meters": {"web_search": Decimal(2), "latency": Decimal(9)}}, "20140"),
        (tokens(1000, 1) | {"served_model": "graduated"}, "1004"),
        # 600 cached + 400 uncached fill the threshold; the other 100 uncached cost double.
        (tokens(500, 1, cache_read=600) | {"served_model": "graduated"}, "664"),
        (tokens(0, 10) | {"served_model": "late", "finished_at": NOON + timedelta(minutes=31)}, "20"),
        (tokens(0, 10) | {"served_model": "late", "finished_at": NOON + timedelta(minutes=29)}, "10"),
    ],
)
def test_cost_is_worked_by_hand(row: dict[str, Any], expected: str) -> None:
    costs = cost(row)
    assert costs["effective_usd"].to_list() == [micro(expected)]
    assert costs["price_state"].to_list() == ["priced"]
    parts = costs.select(pl.col("input_usd") + pl.col("output_usd") + pl.col("meters_usd")).to_series()
    assert parts.to_list() == [micro(expected)]


@pytest.mark.parametrize(
    ("row", "reason", "estimate"),
    [
        (tokens(10, 0) | {"served_model": "nobody"}, "unknown_model", None),
        (tokens(10, 0) | {"provider": "acme"}, "unknown_model", "10"),
        (tokens(10, 0) | {"provider": None}, "unknown_model", "10"),
        (tokens(10, 0) | {"started_at": NOON.replace(year=2025, month=12)}, "no_price_at_time", "10"),
        (tokens(10, 0) | {"service_tier": "gold"}, "no_price_at_time", "10"),
        (tokens(10) | {"served_model": "floating", "started_at": NOON.replace(month=2)}, "unknown_model", None),
        (tokens(10, 0, cache_write_1h=10), "class_not_priced", "80"),
        (tokens(10, 0, audio_input=10), "class_not_priced", "20"),
        (
            tokens(10) | {"served_model": "m2", "other_meters": {"web_search": Decimal(1)}},
            "class_not_priced", None,
        ),
        (tokens(10, 0) | {"usage_source": "missing"}, "missing_usage", None),
        ({}, "missing_usage", None),
        ({"status": "cancelled"}, "missing_usage", None),
    ],
)  # fmt: skip
def test_unpriced_is_null_with_a_reason_and_never_zero(
    row: dict[str, Any], reason: str, estimate: str | None
) -> None:
    costs = cost(row)
    money = [
        "list_usd",
        "contracted_usd",
        "effective_usd",
        "input_usd",
        "output_usd",
        "meters_usd",
        "price_id",
    ]
    assert costs.select(money).row(0) == (None,) * len(money)
    assert costs.select("price_state", "unpriced_reason").row(0) == ("unpriced", reason)
    assert costs["estimated_usd"].to_list() == [None if estimate is None else micro(estimate)]


def test_free_is_declared_and_keeps_its_card() -> None:
    costs = cost(tokens(10, 10) | {"served_model": "gift"})
    assert costs.select("price_state", "effective_usd").row(0) == ("free", Decimal(0))
    assert costs["price_id"].null_count() == 0


def test_an_error_without_usage_is_free_and_one_with_usage_is_priced() -> None:
    costs = cost({"status": "error"}, tokens(10, 0) | {"status": "error"})
    assert costs["price_state"].to_list() == ["free", "priced"]
    assert costs["effective_usd"].to_list() == [Decimal(0), micro("10")]


def test_gateway_cache_hit_costs_nothing_and_shows_what_it_saved() -> None:
    costs = cost(tokens(100, 10) | {"is_gateway_cache_hit": True, "attempt_no": 0})
    shown = costs.select(
        "price_state", "effective_usd", "saved_usd", "input_uncached_tokens", "reasoning_tokens"
    )
    assert shown.row(0) == ("free", Decimal(0), micro("140"), 0, 0)


def test_fallback_premium_is_taken_minus_what_the_requested_model_would_cost() -> None:
    fallback = tokens(100, 10) | {"is_fallback": True}
    costs = cost(
        fallback | {"requested_model": "m2"},  # 300 + 90
        fallback | {"requested_model": "their-m1"},  # known at another provider only: 140
        fallback | {"requested_model": "nobody"},
        tokens(100, 10) | {"requested_model": "m2"},
    )
    assert costs["fallback_premium_usd"].to_list() == [micro("-250"), Decimal(0), None, None]


def test_other_hours_are_left_out() -> None:
    costs = cost(
        tokens(1) | {"route": "api"},
        tokens(1) | {"started_at": NOON + timedelta(hours=1)},
        tokens(1) | {"service_tier": "batch", "finished_at": NOON + timedelta(hours=1)},
        from_hour=NOON,
        to_hour=NOON + timedelta(hours=1),
    )
    assert costs["request_id"].to_list() == ["r0"]


def test_batch_accrues_at_completion_on_the_business_day_of_the_zone() -> None:
    row = tokens(1) | {"service_tier": "batch", "finished_at": NOON + timedelta(hours=7)}
    costs = cost(row, time_zone="Asia/Kolkata")
    assert costs["accrued_hour"].to_list() == [NOON + timedelta(hours=7)]
    assert costs["accrued_on"].to_list() == [date(2026, 3, 3)]


CORRECTED = SHEET.split("  - model: m2", maxsplit=1)[0].replace(
    "      - valid_from: 2026-01-01\n        region: eu",
    """      - valid_from: 2026-03-01
        known_from: 2026-05-01
        usd_per_mtok: {input_uncached: 10, output: 4}
      - valid_from: 2026-03-01
        known_from: 2026-06-01
        usd_per_mtok: {input_uncached: 5, output: 4}
      - valid_from: 2026-01-01
        region: eu""",
)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ("2026-01-14", None), ("2026-04-30", "100"), ("2026-05-01", "1000"),
        ("2026-05-31", "1000"), ("2026-06-01", "500"),
    ],
)  # fmt: skip
def test_cost_as_known_uses_only_what_was_known(known: str, expected: str | None) -> None:
    costs = cost(tokens(100), known=datetime.fromisoformat(known).replace(tzinfo=UTC), sheet=CORRECTED)
    assert costs["effective_usd"].to_list() == [None if expected is None else micro(expected)]


def test_a_cost_beyond_the_range_of_a_row_is_an_error() -> None:
    with pytest.raises(DataError, match="attempt 'r0' of source 'gateway' would cost more than"):
        cost(tokens(10**13))
