"""The sample's own GPUs: clean lives, a calm background, planted bursts, and requests that a replica could serve."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from models.costs.lives import replica_intervals
from models.samples.bursts import Burst, planted_bursts
from models.samples.deployments import DEPLOYMENTS
from models.samples.fleet_calls import day_of_fleet_calls
from models.samples.replicas import Life, background_lives, event_rows
from models.schemas import table

MONDAY = date(2026, 11, 2)
DAYS = 14


@pytest.fixture(scope="module")
def background() -> list[Life]:
    return background_lives(MONDAY, days=DAYS, seed=1)


@pytest.fixture(scope="module")
def planted() -> tuple[list[Life], list[Burst]]:
    return planted_bursts(MONDAY, days=DAYS, seed=1)


def starts(lives: list[Life]) -> pl.DataFrame:
    return event_rows(lives).filter(pl.col("event") == "requested")


def test_events_make_lives_that_need_no_repair(
    background: list[Life], planted: tuple[list[Life], list[Burst]]
) -> None:
    lives = [*background, *planted[0]]
    events = event_rows(lives).with_columns(
        source=pl.lit("replicas"), source_kind=pl.lit("replica_events"), fraction=pl.lit(1),
        node=pl.lit(None, dtype=pl.String), file_hash=pl.lit("f"),
        line_number=pl.int_range(pl.len()), record_number=pl.lit(1), ingested_at=pl.col("event_at"),
    )  # fmt: skip

    schema = table("core.replica_events")
    intervals = replica_intervals(schema.conform(events.lazy(), fill=True))

    assert intervals.select("replica_id", "life").unique().height == len(lives)
    assert intervals.get_column("repair").null_count() == intervals.height
    assert intervals.get_column("ended_at").null_count() == 0
    assert events.get_column("event_at").max() < datetime(2026, 11, 16, tzinfo=UTC)
    assert set(events.columns) <= set(table("core.replica_events").column_names)


def test_the_background_starts_at_most_one_replica_an_hour(background: list[Life]) -> None:
    by_hour = starts(background).group_by("deployment", pl.col("event_at").dt.truncate("1h")).len()

    assert by_hour.get_column("len").max() == 1
    assert by_hour.height > DAYS * len(DEPLOYMENTS)


def test_a_burst_is_as_many_starts_as_the_truth_says(
    background: list[Life], planted: tuple[list[Life], list[Burst]]
) -> None:
    lives, bursts = planted

    for burst in bursts:
        span = pl.col("event_at").is_between(burst.onset_at, burst.ended_at)
        of_burst = starts(lives).filter(pl.col("deployment") == burst.deployment)
        around = starts(background).filter(span, pl.col("deployment") == burst.deployment)
        assert of_burst.filter(span).height == of_burst.height == burst.start_count >= 10
        assert around.height <= 2
        assert burst.ended_at - burst.onset_at < timedelta(hours=2)
    assert len({burst.deployment for burst in bursts}) == len({burst.cause for burst in bursts}) == 4


def test_only_a_crash_loop_never_gets_ready(planted: tuple[list[Life], list[Burst]]) -> None:
    never = [life for life in planted[0] if life.ready is None]

    assert {DEPLOYMENTS[life.deployment].name for life in never} == {"llama-70b-chat"}
    assert len({life.replica_id for life in never}) == 1
    assert all(life.failed for life in never)


def test_requests_run_on_replicas_that_are_ready(
    background: list[Life], planted: tuple[list[Life], list[Burst]]
) -> None:
    lives = [*background, *planted[0]]
    number = 9
    requests = day_of_fleet_calls(lives, MONDAY + timedelta(days=number), number=number, count=3000, seed=1)
    events = event_rows(lives).filter(
        pl.col("replica_id").is_in(requests.get_column("replica_id").drop_nulls().implode())
    )
    ready = events.filter(pl.col("event") == "ready").select("replica_id", ready_at="event_at")
    gone = events.filter(pl.col("event").is_in(["draining", "failed"])).select(
        "replica_id", gone_at="event_at"
    )
    waited = pl.duration(microseconds=(pl.col("queue_seconds") * 1e6).round().cast(pl.Int64))

    placed = requests.join(ready, on="replica_id", how="inner").join(gone, on="replica_id")

    assert requests.height == 3000
    assert placed.height == requests.get_column("replica_id").count() > 2000
    assert placed.filter(pl.col("started_at") + waited < pl.col("ready_at")).is_empty()
    assert placed.filter(pl.col("started_at") >= pl.col("gone_at")).is_empty()
    assert placed.filter(pl.col("finished_at") < pl.col("started_at") + waited).is_empty()
    assert placed.filter(pl.col("queue_seconds") > 60).height > 3


def test_one_deployments_requests_name_it_only_as_route(background: list[Life]) -> None:
    requests = day_of_fleet_calls(background, MONDAY, number=0, count=2000, seed=1)
    unnamed = requests.filter(pl.col("replica_id").is_null())

    assert set(unnamed.get_column("route")) == {"llama-8b-search"}
    assert unnamed.height > 100


def test_the_fleet_has_every_kind_of_chip() -> None:
    assert {item.chip for item in DEPLOYMENTS} == {
        "H100", "H200", "B200", "A100", "L4", "MI300X", "Trainium1", "Inferentia2", "TPU-v5e",
    }  # fmt: skip


@pytest.mark.parametrize("days", [1, 2])
def test_a_short_period_has_all_bursts_inside(days: int) -> None:
    lives, bursts = planted_bursts(MONDAY, days=days, seed=1)

    assert len(bursts) == 4
    assert event_rows(lives).get_column("event_at").dt.date().max() < MONDAY + timedelta(days=days)
