"""Starts that lifecycle events show: one per life of a replica, with its phases and its billed dollars."""

import polars as pl

from models.money import picodollars_from_usd, usd_from_picodollars
from models.schemas.vocabulary import STARTING_STATES

LIFE = ("replica_id", "life_started_at")
_ASSUMED = {"provider": "unknown", "region": "unknown", "chip": "unknown", "commitment": "on_demand"}
_FACTS = ("provider", "region", "chip", "deployment", "commitment", "model", "node", "chip_count", "fraction")


def observed_starts(states: pl.LazyFrame, events: pl.LazyFrame) -> pl.DataFrame:
    """Return the starts of all lives that the states show from their beginning to be ready, fail or end.

    A life that is first seen ready has no start; one that fails at the instant of its request has one of no length.
    Dollars are those of its slices in waiting, pulling and loading; of a start that failed all that is booked as
    failed until the replica is stopped. So the dollars of failed starts sum to `core.pool_hours.failed_usd` less
    what failed after it had been ready, and those of all other starts to `starting_usd`.

    Args:
        states: `core.replica_states`: all slices of the lives that are asked about.
        events: `core.replica_events` of the same replicas.

    Returns:
        `replica_id, requested_at, ready_at, ended_at` (of the start), `stopped_at` (of the life), pool
        dimensions, `model, node, chip_count, fraction, outcome, reason, failure_reason`, seconds by phase,
        `total_seconds, start_usd`.
    """
    phase, state = pl.col("phase"), pl.col("state")
    is_start = phase.is_in(STARTING_STATES)
    has_been_ready = pl.col("ready_at").is_not_null()
    is_booked = state.is_in(STARTING_STATES) | ((state == "failed") & ~has_been_ready)
    length = (pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds()
    lives = (
        states.filter(pl.col("life_started_at").is_not_null())
        .sort(*LIFE, "started_at")
        .with_columns(
            pl.col("started_at").filter(state.is_in(["ready", "draining"])).min().over(LIFE).alias("ready_at")
        )
        .group_by(LIFE, maintain_order=True)
        .agg(
            *(pl.col(fact).drop_nulls().first() for fact in _FACTS),
            pl.col("reason").first(),
            pl.col("ready_at").first(),
            pl.col("ended_at").filter(is_start).max().fill_null(pl.col("started_at").min()).alias("start_ended_at"),
            pl.col("ended_at").max().alias("life_ended_at"),
            (state == "failed").any().alias("has_failed"),
            is_start.any().alias("has_start"),
            *(
                pl.when((phase == name).any())
                .then(length.filter(phase == name).sum() / 1e6)
                .alias(f"{name}_seconds")
                for name in STARTING_STATES
            ),
            picodollars_from_usd(pl.col("billed_usd").filter(is_booked).drop_nulls()).sum().alias("picodollars"),
            pl.col("billed_usd").filter(is_booked).is_not_null().any().alias("is_priced"),
        )
    )  # fmt: skip
    at_once = _failed_at_once(events)
    lives = pl.concat(
        [
            lives.filter("has_start"),
            lives.filter(~pl.col("has_start"), ~has_been_ready).join(at_once, on=LIFE, how="semi"),
            at_once.join(lives, on=LIFE, how="anti"),
        ],
        how="diagonal",
    )
    outcome = (
        pl.when(has_been_ready).then(pl.lit("ready"))
        .when("has_failed").then(pl.lit("failed"))
        .when("has_ended").then(pl.lit("cancelled"))
        .otherwise(pl.lit("pending"))
    )  # fmt: skip
    ends = pl.coalesce("ready_at", "start_ended_at")
    return (
        lives.join(_endings(events), on=["replica_id", "life_ended_at"], how="left")
        .join(_failures(events), on=["replica_id", "start_ended_at"], how="left")
        .with_columns(pl.col("has_ended").fill_null(value=False))
        .select(
            "replica_id",
            pl.col("life_started_at").alias("requested_at"),
            "ready_at",
            ends.alias("ended_at"),
            pl.when("has_ended").then("life_ended_at").alias("stopped_at"),
            *_FACTS,
            outcome.alias("outcome"),
            "reason",
            pl.when(~has_been_ready).then("failure_reason").alias("failure_reason"),
            *(f"{name}_seconds" for name in STARTING_STATES),
            ((ends - pl.col("life_started_at")).dt.total_microseconds() / 1e6).alias("total_seconds"),
            pl.when("is_priced").then(usd_from_picodollars(pl.col("picodollars"))).alias("start_usd"),
        )
        .sort("replica_id", "requested_at")
        .collect()
    )  # fmt: skip


def _failed_at_once(events: pl.LazyFrame) -> pl.LazyFrame:
    """Return the lives whose request and failure have one instant: the states have no slice of their start."""
    at = pl.col("event_at")
    return (
        events.filter(pl.col("event").is_in(["requested", "failed"]))
        .group_by("replica_id", at.alias("life_started_at"))
        .agg(
            (pl.col("event").n_unique() == 2).alias("has_failed"),  # noqa: PLR2004
            *(pl.coalesce(pl.col(fact).drop_nulls().first(), pl.lit(_ASSUMED.get(fact))) for fact in _FACTS),
            pl.col("reason").filter(pl.col("event") == "requested").first(),
            at.first().alias("start_ended_at"),
            at.first().alias("life_ended_at"),
        )
        .filter("has_failed")
    )


def _endings(events: pl.LazyFrame) -> pl.LazyFrame:
    """Return the instants at which a life may end: it is stopped, it fails or the next one is asked for."""
    return (
        events.filter(pl.col("event").is_in(["stopped", "failed", "requested"]))
        .select(
            "replica_id", pl.col("event_at").alias("life_ended_at"), pl.lit(value=True).alias("has_ended")
        )
        .unique()
    )


def _failures(events: pl.LazyFrame) -> pl.LazyFrame:
    return (
        events.filter(pl.col("event") == "failed")
        .group_by("replica_id", pl.col("event_at").alias("start_ended_at"))
        .agg(pl.col("reason").drop_nulls().sort().first().alias("failure_reason"))
    )
