"""Laws of completeness: gap = counter - logs, parts sum to the whole, and deliveries count once in any order."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.counters.completeness import completeness
from models.counters.increases import increases
from models.counters.latest import latest
from models.schemas import table
from tests.golden.test_golden_completeness import LATER, LOGGED, NINE, counter, logged, reading

PRICES = pl.DataFrame(
    schema={
        "provider": pl.String, "model": pl.String, "meter": pl.String, "picodollars_per_unit": pl.Int64,
        "valid_from": pl.Datetime("us", "UTC"), "valid_to": pl.Datetime("us", "UTC"),
    }
)  # fmt: skip
FIRST = datetime(2026, 11, 4, tzinfo=UTC)
calls = st.integers(0, 50)
models = st.sampled_from(["a", "b", None])


def of(counters: list[dict[str, Any]], attempts: list[dict[str, Any]] | None = None) -> pl.DataFrame:
    rows, _ = latest(table("raw.usage_counters").frame(counters).lazy())
    held = pl.DataFrame(attempts or [], schema=LOGGED).lazy()
    done = completeness(rows, held, PRICES.lazy(), ended_by=LATER).collect()
    return done.sort("bucket_hour", "bucket_seconds", "model")


def bucket(hour: int, model: str | None, count: int, delivered: int) -> dict[str, Any]:
    at = NINE + timedelta(hours=hour)
    counts = {
        "request_count": count,
        "input_tokens": 10 * count,
        "cache_read_tokens": 4 * count,
        "output_tokens": count,
    }
    place = {"ingested_at": FIRST + timedelta(minutes=delivered), "file_hash": f"{delivered}"}
    return counter(
        at, model=model, grouped_by=model and "model", dedupe_key=f"{hour}|{model}", record_number=hour + 1,
        line_number=1 + ord((model or "z")[0]), **counts, **place,
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["a", "b"]), calls),
        max_size=8,
        unique_by=lambda c: c[:2],
    ),
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c"]), calls),
        max_size=8,
        unique_by=lambda c: c[:2],
    ),
)
def test_the_gap_is_the_count_less_the_log_and_its_parts_sum_to_it(
    counted: list[tuple[int, str, int]], held: list[tuple[int, str, int]]
) -> None:
    attempts = [logged(NINE + timedelta(hours=hour), model=model, calls=count) for hour, model, count in held]

    rows = of([bucket(*one, delivered=1) for one in counted], attempts)

    named = rows.filter(pl.col("counted_count").is_not_null())
    in_log = {(NINE + timedelta(hours=hour), model): count for hour, model, count in held}
    assert {
        (row["bucket_hour"], row["model"]): (row["counted_count"], row["logged_count"], row["gap_count"])
        for row in named.to_dicts()
    } == {
        (at, model): (count, in_log.get((at, model), 0), count - in_log.get((at, model), 0))
        for at, model, count in (
            (NINE + timedelta(hours=hour), model, count) for hour, model, count in counted
        )
    }
    for side in ("counted", "logged", "gap"):
        parts = pl.col(f"{side}_input_tokens") + pl.col(f"{side}_output_tokens")
        assert named.select((parts == pl.col(f"{side}_tokens")).all()).item()
    # Of a bucket that is told at all, every logged call is in one row.
    told = {NINE + timedelta(hours=hour) for hour, _, _ in counted}
    assert rows["logged_count"].sum() == sum(
        count for hour, _, count in held if NINE + timedelta(hours=hour) in told
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["a", "b"]), calls, st.integers(0, 5)), max_size=10,
             unique_by=lambda c: (c[0], c[1], c[3])),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_the_latest_delivery_of_a_bucket_counts_once_in_any_order(
    delivered: list[tuple[int, str, int, int]], chance: Any
) -> None:
    rows = [bucket(*one) for one in delivered]
    shuffled = chance.sample(rows, len(rows))

    winners, losers = pl.collect_all(latest(table("raw.usage_counters").frame(shuffled).lazy()))

    assert of(rows).equals(of(shuffled))
    assert winners.height + losers.height == len(rows)
    assert winners["dedupe_key"].is_unique().all()
    last = {}
    for hour, model, count, _minute in sorted(delivered, key=lambda one: one[3]):
        before = last.get((hour, model), [])
        # What only repeats an earlier delivery is no later.
        last[hour, model] = before if count in before else [*before, count]
    assert {row["dedupe_key"]: row["request_count"] for row in winners.to_dicts()} == {
        f"{hour}|{model}": counts[-1] for (hour, model), counts in last.items()
    }


def test_a_bucket_that_was_asked_for_by_other_keys_is_replaced_as_a_whole() -> None:
    by_model = [bucket(0, "a", 3, 1), bucket(0, "b", 4, 1)]

    assert of([*by_model, bucket(0, None, 7, 2)])["counted_count"].to_list() == [7]
    assert of([bucket(0, None, 7, 1), bucket(0, "a", 3, 2), bucket(0, "b", 4, 2)])[
        "counted_count"
    ].to_list() == [3, 4]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 110), st.integers(0, 10**15)),
        min_size=2,
        max_size=8,
        unique_by=lambda r: r[0],
    ),
    st.randoms(use_true_random=False),
)
def test_the_hours_of_a_running_counter_sum_to_its_growth_in_any_order(
    read: list[tuple[int, int]], chance: Any
) -> None:
    rows = [reading(minute, "s", input_tokens=value) for minute, value in chance.sample(read, len(read))]

    hours = increases(table("raw.usage_counters").frame(rows).lazy()).collect()

    values = [value for _, value in sorted(read)]
    grown = sum(after - before if after >= before else after for before, after in itertools.pairwise(values))
    assert hours["input_tokens"].sum() == grown
    assert (hours["input_tokens"] >= 0).all()
