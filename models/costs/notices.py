"""What notices add to the lives that other records name: finer instants of a start, and why a life ended.

A notice is a lifecycle event whose record does not say what the replica is: its `deployment` is NULL (a Kubernetes
Event). It begins, ends and makes no life, so that the time that is billed is what the other records say; one that
contradicts their order is passed over.
"""

from datetime import timedelta

import polars as pl

_LIFE = ("replica_id", "life")
LONGEST_CREATION = timedelta(seconds=60)
"""How long a container takes at most from its image to its start; an earlier image is another container's."""
LONGEST_WARNING = timedelta(minutes=10)
"""How long before its end the loss of a replica is told: twice what Kubernetes bears a node that is not ready."""


def parted(events: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Part events into those that say what their replica is, and notices."""
    is_notice = pl.col("deployment").is_null()
    return events.filter(~is_notice), events.filter(is_notice)


def with_deployments(events: pl.LazyFrame) -> pl.LazyFrame:
    """Give notices the deployment of their replica, and leave out those of replicas that nothing else names."""
    known = pl.col("deployment").min().over("replica_id")
    return events.with_columns(pl.coalesce("deployment", known)).filter(pl.col("deployment").is_not_null())


def with_notices(lives: pl.DataFrame, notices: pl.LazyFrame, *, largest_skew: timedelta) -> pl.DataFrame:
    """Return lives with the instants, reasons and nodes that notices know better.

    `scheduled` and `draining` count where no other record tells them; `image_pulled` also where it comes shortly
    before the one that the container's start tells. `draining` with a reason (an eviction, a lost node) counts where
    the life ends soon after it, since a node may come back, and then gives its reason to the end.

    Args:
        lives: a row per life of a replica: `replica_id, life, first_at, ended_at`, `{event}_at` and `{event}_reason`
            of each event, and `node`; in order of time for each replica.
        notices: notices of the same replicas; those of others are left out.
        largest_skew: how far the clocks of two machines differ at most.
    """
    noticed = notices.select("replica_id", "event", "event_at", "reason", "node").collect()
    if noticed.is_empty():
        return lives
    is_first = pl.col("life") == pl.col("life").min().over("replica_id")
    from_at = pl.col("first_at") - pl.when(is_first).then(largest_skew).otherwise(timedelta())
    spans = lives.select("replica_id", "life", from_at.alias("from_at")).sort("from_at")
    placed = (
        noticed.sort("event_at")
        .join_asof(spans, left_on="event_at", right_on="from_at", by="replica_id", check_sortedness=False)
        .drop_nulls("life")
        .join(lives.drop("node"), on=_LIFE)
    )
    at, reason = pl.col("event_at"), pl.col("reason")
    end = pl.min_horizontal("draining_at", "failed_at", "ended_at")
    loaded = pl.min_horizontal("weights_loaded_at", "ready_at", end)
    started = pl.col("image_pulled_at")
    is_scheduled = (
        (pl.col("event") == "scheduled")
        & pl.col("scheduled_at").is_null()
        & _lies(pl.col("requested_at"), pl.min_horizontal(started, loaded))
    )
    is_pulled = (
        (pl.col("event") == "image_pulled")
        & _lies(pl.max_horizontal("requested_at", "scheduled_at"), loaded)
        & _lies(started - LONGEST_CREATION, started)
    )
    is_after = (pl.col("event") == "draining") & (at >= pl.col("ready_at")).fill_null(value=False)
    is_lost = at.is_between(end - LONGEST_WARNING, end + largest_skew).fill_null(value=False)
    is_draining = is_after & pl.col("draining_at").is_null() & (reason.is_null() | is_lost) & _lies(None, end)
    known = placed.group_by(_LIFE).agg(
        at.filter(is_scheduled).min().alias("noticed_scheduled_at"),
        at.filter(is_pulled).max().alias("noticed_image_pulled_at"),
        at.filter(is_draining).min().alias("noticed_draining_at"),
        reason.filter(is_after & is_lost).drop_nulls().first().alias("noticed_reason"),
        pl.col("node").drop_nulls().first().alias("noticed_node"),
    )
    scheduled = pl.coalesce("scheduled_at", "noticed_scheduled_at")
    is_later = (pl.col("noticed_image_pulled_at") >= scheduled) | scheduled.is_null()
    draining = pl.coalesce("draining_at", "noticed_draining_at")
    return (
        lives.join(known, on=_LIFE, how="left", maintain_order="left")
        .with_columns(
            scheduled.alias("scheduled_at"),
            pl.coalesce(pl.when(is_later).then("noticed_image_pulled_at"), "image_pulled_at").alias(
                "image_pulled_at"
            ),
            draining.alias("draining_at"),
            pl.when(draining.is_not_null())
            .then(pl.coalesce("draining_reason", "noticed_reason"))
            .alias("draining_reason"),
            pl.coalesce("node", "noticed_node").alias("node"),
        )
        .drop(known.columns[2:])
    )


def _lies(first: pl.Expr | None, last: pl.Expr) -> pl.Expr:
    """Return whether an event lies between two instants; one that is NULL bounds nothing."""
    at = pl.col("event_at")
    is_early = pl.lit(value=True) if first is None else (at >= first).fill_null(value=True)
    return is_early & (at <= last).fill_null(value=True)
