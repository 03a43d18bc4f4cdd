import polars as pl
import pytest

from benchmarks.planted_routes import judged, planted, scores
from models.schemas.vocabulary import MISTAKE_KINDS


def test_a_clean_fleet_has_no_mistake():
    day = planted(calls_per_kind=600, share=0, seed=3)
    found = judged(day)
    assert found.mistakes.is_empty()
    # The calls that failed before a fallback are all that could not be judged.
    assert found.regret.get_column("kind").to_list() == ["not_evaluated"]


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_planted_mistakes_of_every_kind_are_found_with_their_dollars(share):
    table = scores(planted(calls_per_kind=1500, share=share, seed=4))
    assert table.get_column("kind").to_list() == list(MISTAKE_KINDS)
    # A storm takes in the calls that would have fallen back within it anyway.
    least = pl.when(pl.col("kind") == "fallback_storm").then(0.97).otherwise(1.0)
    assert table.filter(
        (pl.col("precision") < least) | (pl.col("recall") < 1) | (pl.col("planted") == 0)
    ).is_empty()
    off = (pl.col("found_usd") - pl.col("planted_usd")).abs() > 0.01 * pl.col("planted_usd")
    assert table.filter(off).is_empty()


def test_kinds_sum_to_the_total_and_each_attempt_counts_once():
    found = judged(planted(calls_per_kind=600, share=0.1, seed=5))
    rows, days = found.mistakes, found.regret.filter(pl.col("kind") != "not_evaluated")
    assert rows.get_column("request_id").is_unique().all()
    assert days.get_column("regret_usd").sum() == rows.get_column("regret_usd").sum()
    assert days.get_column("attempt_count").sum() == rows.height
    low, middle, high = (days.get_column(f"regret{end}_usd").sum() for end in ("_low", "", "_high"))
    assert low <= middle <= high


def test_coverage_counts_every_attempt_once_a_kind():
    day = planted(calls_per_kind=300, share=0.1, seed=6)
    coverage = judged(day).coverage
    attempts = coverage.group_by("kind").agg(pl.col("attempt_count").sum())
    assert set(attempts.get_column("attempt_count")) == {day.costs.height}
    partial = coverage.filter(pl.col("evaluated_count") < pl.col("attempt_count"))
    assert partial.get_column("reason").null_count() == 0
