"""A day of the sample company's gateway: exact counts, and retries and fallbacks that hang together."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from models.samples.calls import day_of_calls
from models.samples.lanes import LANES, MISTAKES, SHAPES
from models.samples.otel_rows import direct_calls, sdk_copies
from models.samples.traffic import calls_per_day, generator, lengths

MONDAY = date(2026, 11, 2)


@pytest.fixture(scope="module")
def calls() -> pl.DataFrame:
    return day_of_calls(MONDAY, number=0, count=4000, seed=1)


def test_a_day_has_exactly_the_calls_asked_for(calls: pl.DataFrame) -> None:
    assert calls.get_column("call_id").n_unique() == 4000
    assert calls.get_column("request_id").n_unique() == calls.height
    assert calls.filter(pl.col("started_at").dt.date() != MONDAY).is_empty()


def test_days_follow_the_week_and_sum_exactly() -> None:
    counts = calls_per_day(MONDAY, days=10, requests_per_day=777)

    assert sum(counts) == 7770
    assert max(counts[5], counts[6]) < min(counts[:5])


def test_the_same_seed_makes_the_same_day_and_another_day_differs(calls: pl.DataFrame) -> None:
    again = day_of_calls(MONDAY, number=0, count=4000, seed=1)
    other = day_of_calls(MONDAY + timedelta(days=1), number=1, count=4000, seed=1)

    assert again.equals(calls)
    assert not set(other.get_column("request_id")) & set(calls.get_column("request_id"))


def test_each_kind_of_mistake_is_planted_on_attempts_that_succeeded(calls: pl.DataFrame) -> None:
    planted = calls.filter(pl.col("plant").is_in(MISTAKES))

    assert dict(planted.group_by("plant").len().rows()) == dict.fromkeys(MISTAKES, 2)
    assert planted.get_column("error_class").is_null().all()
    assert not planted.select(pl.any_horizontal("is_cache_hit", "is_fallback")).to_series().any()


def test_a_retry_follows_a_failed_attempt_of_its_call(calls: pl.DataFrame) -> None:
    pairs = calls.filter(pl.col("retries") > 0).join(
        calls, left_on="retry_of", right_on="request_id", how="left", suffix="_before"
    )

    assert pairs.height > 20
    assert (pairs.get_column("call_id") == pairs.get_column("call_id_before")).all()
    assert (pairs.get_column("error_class_before") == "Timeout").all()
    assert (pairs.get_column("started_at") > pairs.get_column("finished_at_before")).all()


def test_a_fallback_follows_a_failed_attempt_of_its_call_on_another_lane(calls: pl.DataFrame) -> None:
    failed = calls.filter(pl.col("error_class").is_in(["RateLimitError", "ServiceUnavailableError"]))
    pairs = calls.filter("is_fallback").join(failed, on="call_id", how="left", suffix="_before")

    assert pairs.height == failed.height > 10
    assert (pairs.get_column("lane") != pairs.get_column("lane_before")).all()
    assert (pairs.get_column("original_route") == pairs.get_column("route_before")).all()
    assert set(pairs.select("error_class_before", "fallback_cause").unique().rows()) == {
        ("RateLimitError", "rate_limit"),
        ("ServiceUnavailableError", "outage"),
    }


def test_token_classes_lie_inside_their_totals(calls: pl.DataFrame) -> None:
    cached = pl.col("cached_tokens") + pl.col("written_tokens")

    assert calls.filter((cached > pl.col("prompt_tokens")) | (cached < 0)).is_empty()
    assert calls.filter(pl.col("reasoning_tokens") > pl.col("completion_tokens")).is_empty()
    assert calls.get_column("cached_tokens").sum() > 0
    assert calls.get_column("written_tokens").sum() > 0


def test_lengths_are_shaped_like_the_published_traces() -> None:
    """Azure LLM inference traces 2023 (github.com/Azure/AzurePublicDataset): mean tokens in and out."""
    for name, prompt, answer in (("code", 2048, 28), ("conversation", 1155, 211)):
        shape = SHAPES[name]
        rng = generator(1, 0, 0)
        drawn = lengths(rng, 50_000, shape.prompt, at_most=shape.prompt_at_most)
        spoken = lengths(rng, 50_000, shape.answer, at_most=shape.answer_at_most)

        assert drawn.mean() == pytest.approx(prompt, rel=0.1)
        assert spoken.mean() == pytest.approx(answer, rel=0.1)


def test_the_sdk_sees_some_of_the_gateways_calls_and_an_app_that_goes_past_it(calls: pl.DataFrame) -> None:
    seen = sdk_copies(calls)
    alone = direct_calls(MONDAY, number=0, count=100, seed=1)

    assert 0.1 < seen.height / 4000 < 0.2
    assert alone.height == 100
    assert not set(alone.get_column("request_id")) & set(calls.get_column("request_id"))
    assert (alone.get_column("cached_tokens") <= alone.get_column("prompt_tokens")).all()


def test_four_routes_a_dozen_models_and_eight_known_providers() -> None:
    ordinary = [lane for lane in LANES if lane.plant == ""]

    assert len({lane.route for lane in ordinary}) == 4
    assert len({lane.model for lane in LANES}) >= 12
    assert len({lane.vendor.otel for lane in ordinary}) == 8


def test_instants_are_whole_milliseconds_as_logs_keep_them(calls: pl.DataFrame) -> None:
    for name in ("started_at", "first_token_at", "finished_at"):
        assert (calls.get_column(name).dt.microsecond() % 1000 == 0).all()
    assert calls.get_column("started_at").min() >= datetime(2026, 11, 2, tzinfo=UTC)
