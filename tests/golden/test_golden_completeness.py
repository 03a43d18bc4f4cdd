"""Logs against counters, worked out by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from models.counters.completeness import LOGGED, completeness
from models.schemas import table

NINE = datetime(2026, 11, 2, 9, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 2, tzinfo=UTC)
LATER = datetime(2026, 11, 4, tzinfo=UTC)
PRICES = {"input_uncached": 150_000, "cache_read": 75_000, "output_text": 600_000}
"""gpt-4o-mini in picodollars a token: $0.15, $0.075 and $0.60 per million."""


def counter(started_at: datetime = NINE, **changes: Any) -> dict[str, Any]:
    """Return a count of 10 calls: 10,000 tokens in, 4,000 of them cached, and 2,000 out."""
    finished_at = changes.pop("finished_at", started_at + timedelta(hours=1))
    return {
        "source": "usage", "source_kind": "openai_usage_api", "started_at": started_at, "finished_at": finished_at,
        "counter": "completions", "provider": "openai", "model": "gpt-4o-mini", "request_count": 10,
        "input_tokens": 10_000, "cache_read_tokens": 4_000, "output_tokens": 2_000, "ingested_at": LATER,
        "file_hash": "f", "line_number": 1, "record_number": 1, "dedupe_key": str(started_at),
    } | changes  # fmt: skip


def reading(minute: float, series: str, **value: int) -> dict[str, Any]:
    """Return a running counter as it was read some minutes after nine."""
    nothing = dict.fromkeys(("request_count", "input_tokens", "cache_read_tokens", "output_tokens"))
    return counter(
        NINE + timedelta(minutes=minute), finished_at=None, series=series, source="engines", source_kind="prometheus",
        provider="self_hosted", model="llama", dedupe_key=f"{series}{minute}", **nothing | value,
    )  # fmt: skip


def logged(hour: datetime = NINE, calls: int = 8, **changes: Any) -> dict[str, Any]:
    """Return attempts of 1,000 tokens in, 400 of them cached, and 200 out: $0.00012 + $0.00012 each."""
    return {
        "hour": hour, "provider": "openai", "model": "gpt-4o-mini", "request_count": calls,
        "input_tokens": 1000 * calls, "cache_read_tokens": 400 * calls, "output_tokens": 200 * calls,
        "input_picodollars": 120_000_000 * calls, "priced_input_tokens": 1000 * calls,
        "output_picodollars": 120_000_000 * calls, "priced_output_tokens": 200 * calls,
    } | changes  # fmt: skip


def compared(
    counters: list[dict[str, Any]], attempts: list[dict[str, Any]], ended_by: datetime = LATER
) -> list[dict[str, Any]]:
    valid = {"valid_from": datetime(2026, 1, 1, tzinfo=UTC), "valid_to": None}
    prices = [
        {"provider": "openai", "model": "gpt-4o-mini", "meter": meter, "picodollars_per_unit": rate, **valid}
        for meter, rate in PRICES.items()
    ]
    dtypes = {"valid_to": pl.Datetime("us", "UTC")}
    return (
        completeness(
            table("raw.usage_counters").frame(counters).lazy(),
            pl.DataFrame(attempts, schema=LOGGED).lazy(),
            pl.DataFrame(prices, schema_overrides=dtypes).lazy(),
            ended_by=ended_by,
        )
        .sort("bucket_hour", "model")
        .collect()
        .to_dicts()
    )


def test_a_gap_costs_what_the_logged_tokens_of_its_model_cost() -> None:
    (row,) = compared([counter()], [logged()])

    # Two calls of ten: 2,000 in at $0.12 and 400 out at $0.60 per million = $0.00024 + $0.00024.
    assert (row["counted_count"], row["logged_count"], row["gap_count"]) == (10, 8, 2)
    assert (row["counted_tokens"], row["logged_tokens"], row["gap_tokens"]) == (12_000, 9_600, 2_400)
    assert (row["gap_input_tokens"], row["gap_cache_read_tokens"], row["gap_output_tokens"]) == (
        2000,
        800,
        400,
    )
    assert (row["gap_estimated_usd"], row["estimated_from"]) == (Decimal("0.00048"), "logged")


def test_a_gap_of_a_model_that_no_log_names_costs_its_list_price() -> None:
    (row,) = compared([counter()], [])

    # 6,000 x $0.15 + 4,000 x $0.075 + 2,000 x $0.60 per million.
    assert (row["gap_tokens"], row["gap_estimated_usd"]) == (12_000, Decimal("0.0024"))
    assert row["estimated_from"] == "price_book"


def test_a_gap_without_a_price_has_no_estimate() -> None:
    (row,) = compared([counter(model="house-model")], [])

    assert (row["gap_tokens"], row["gap_estimated_usd"], row["estimated_from"]) == (12_000, None, None)


def test_what_is_not_counted_has_no_gap() -> None:
    (row,) = compared([counter(request_count=None, cache_read_tokens=None)], [logged()])

    assert (row["counted_count"], row["gap_count"], row["gap_cache_read_tokens"]) == (None, None, None)
    assert (row["logged_count"], row["gap_tokens"]) == (8, 2_400)


def test_a_model_that_the_counter_does_not_name_is_shown_without_a_gap() -> None:
    rows = compared([counter()], [logged(), logged(model="other")])

    assert [(row["model"], row["gap_count"], row["logged_count"]) for row in rows] == [
        ("gpt-4o-mini", 2, 8), ("other", None, 8),
    ]  # fmt: skip


def test_a_count_of_all_models_is_held_against_all_of_the_provider() -> None:
    (row,) = compared([counter(model=None)], [logged(calls=5), logged(model="other", calls=4)])

    assert (row["model"], row["logged_count"], row["gap_count"]) == (None, 9, 1)


def test_a_counted_day_is_compared_on_the_day_once_it_has_ended() -> None:
    day = counter(MIDNIGHT, finished_at=MIDNIGHT + timedelta(days=1))
    attempts = [logged(calls=3), logged(NINE + timedelta(hours=5), calls=4)]

    (row,) = compared([day], attempts)

    assert (row["bucket_hour"], row["bucket_seconds"]) == (MIDNIGHT, 86_400)
    assert (row["logged_count"], row["gap_count"]) == (7, 3)
    assert compared([day], attempts, ended_by=NINE) == []


def test_minutes_sum_to_their_hour() -> None:
    minutes = [
        counter(NINE + timedelta(minutes=step), finished_at=NINE + timedelta(minutes=step + 1))
        for step in (0, 7)
    ]

    (row,) = compared(minutes, [logged()])

    assert (row["bucket_seconds"], row["counted_count"], row["gap_count"]) == (3600, 20, 12)


def test_a_restart_counts_from_nothing_and_an_increase_over_an_hour_is_split_by_time() -> None:
    # 100 to 160, then a restart that shows 30, then 40 more from 9:50 to 10:10, half of them before ten.
    prompt = [reading(at, "p", input_tokens=value) for at, value in ((0, 100), (30, 160), (50, 30), (70, 70))]
    output = [reading(at, "o", output_tokens=value) for at, value in ((0, 0), (50, 9), (70, 10))]
    own = {"provider": "self_hosted", "model": "llama"}

    rows = compared([*prompt, *output], [logged(calls=0, **own)])

    nine = (60 + 30 + 20, 9 + 1)  # Of one token over ten the half is rounded up into the hour before.
    assert [(row["counted_input_tokens"], row["counted_output_tokens"]) for row in rows] == [nine, (20, 0)]
    assert {row["counted_count"] for row in rows} == {None}


def test_readings_far_apart_say_nothing_about_the_hours_between() -> None:
    far = [reading(0, "p", input_tokens=0), reading(121, "p", input_tokens=500)]

    assert compared(far, []) == []
