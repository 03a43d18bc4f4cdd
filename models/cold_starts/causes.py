"""Why replicas were started: by the reason in the events, else by what happened around the start."""

from datetime import timedelta

import polars as pl

LOSS_WITHIN = timedelta(minutes=10)
"""A replica that was lost this long before a start may have called for it."""
LEAST_NODE_LOSSES = 2
NODE_WITHIN = timedelta(minutes=2)
"""Replicas of one machine that are lost within this time were lost with it."""
DRAIN_WITHIN = timedelta(minutes=10)
"""A replica that is drained this soon after another became ready was replaced by it."""
ARRIVALS_WITHIN = timedelta(minutes=10)
USUAL_WITHIN = timedelta(hours=6)
SPIKE_RATIO = 2.0
SPIKE_SIGMAS = 4.0
_WORDS = {
    "preemption": r"preempt|evict|spot|reclaim",
    "node_loss": r"node|machine|host",
    "crash_loop": r"crash|oom|out.?of.?memory|backoff|error|fail|unhealthy|liveness",
    "deploy": r"deploy|rollout|roll.?out|update|revision|release|upgrade",
    "scale_from_zero": r"scale.?from.?zero|from.?zero|activat|wake|cold",
    "traffic_spike": r"scale.?up|autoscal|traffic|burst",
}
"""What a reason says, by cause; the first that fits counts."""


def cause_of_reason(reason: pl.Expr) -> pl.Expr:
    """Return the cause that a reason names, NULL where it names none."""
    lower = reason.str.to_lowercase()
    named = pl.lit(None, dtype=pl.String)
    for cause, words in reversed(_WORDS.items()):
        named = pl.when(lower.str.contains(words)).then(pl.lit(cause)).otherwise(named)
    return named


def with_causes(starts: pl.DataFrame, events: pl.LazyFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Return `starts` with `cause` and `evidence`.

    In this order: two or more replicas of one machine were lost just before; the start failed; its own reason,
    unless it is only that the autoscaler wanted more; a replica of the deployment was lost just before; nothing was
    ready; requests came at twice the usual rate or more; the autoscaler wanted more; an older replica was drained
    as this one became ready; else unknown.

    Args:
        starts: with `ready_replica_count`.
        events: `core.replica_events` of the deployments.
        asked: attempts with `deployment, started_at`, in order of time.
    """
    told = _with_drains(_with_arrivals(_with_losses(starts, events), asked), events)
    named = cause_of_reason(pl.col("reason"))
    loss = cause_of_reason(pl.col("loss_reason"))
    usual, arrived = pl.col("usual_count"), pl.col("arrival_count")
    is_spike = (arrived >= SPIKE_RATIO * usual) & (
        arrived - usual >= SPIKE_SIGMAS * pl.max_horizontal(usual, 1.0).sqrt()
    )
    minutes = int(LOSS_WITHIN.total_seconds() // 60)
    said = pl.format("reason {}", "reason")
    rules: list[tuple[pl.Expr, pl.Expr, pl.Expr]] = [
        (
            (pl.col("node_loss_count") >= LEAST_NODE_LOSSES)
            & (named.is_null() | ~named.is_in(["deploy", "scale_from_zero"])),
            pl.lit("node_loss"),
            pl.format("{} replicas of machine {} were lost together", "node_loss_count", "loss_node"),
        ),
        (
            pl.col("outcome") == "failed",
            pl.coalesce(cause_of_reason(pl.col("failure_reason")), pl.lit("crash_loop")),
            pl.format("the start failed ({})", pl.col("failure_reason").fill_null("no reason given")),
        ),
        (named.is_not_null() & (named != "traffic_spike"), named, said),
        (
            pl.col("loss_count") > 0,
            pl.coalesce(loss, pl.lit("crash_loop")),
            pl.format(
                f"{{}} replicas were lost in the {minutes} min before ({{}})",
                "loss_count",
                pl.col("loss_reason").fill_null("no reason given"),
            ),
        ),
        (pl.col("ready_replica_count") == 0, pl.lit("scale_from_zero"), pl.lit("no replica was ready")),
        (
            is_spike,
            pl.lit("traffic_spike"),
            pl.format("{} requests in 10 min against {} before", "arrival_count", usual.round(1)),
        ),
        (named == "traffic_spike", named, said),
        (
            pl.col("is_replacing"),
            pl.lit("deploy"),
            pl.lit("an older replica was drained as this one became ready"),
        ),
    ]
    cause, evidence = pl.lit("unknown"), pl.lit("nothing in the events or requests explains it")
    for is_so, name, why in reversed(rules):
        holds = is_so.fill_null(value=False)
        cause, evidence = (
            pl.when(holds).then(name).otherwise(cause),
            pl.when(holds).then(why).otherwise(evidence),
        )
    return told.with_columns(cause.alias("cause"), evidence.alias("evidence"))


def _with_losses(starts: pl.DataFrame, events: pl.LazyFrame) -> pl.DataFrame:
    """Add what was lost in the deployment in the minutes before each start."""
    lost = _losses(events)
    near = (
        lost.sort("lost_at", "lost_id")
        .rolling("lost_at", period=LOSS_WITHIN, closed="both", group_by="deployment")
        .agg(
            pl.col("lost_id").n_unique().cast(pl.Int64).alias("loss_count"),
            pl.col("loss_reason").drop_nulls().last(),
            pl.col("node_loss_count").max(),
            pl.col("loss_node").sort_by("node_loss_count").last(),
        )
        .unique(["deployment", "lost_at"], keep="last")
        .sort("lost_at")
    )
    return (
        starts.sort("requested_at")
        .join_asof(
            near,
            left_on="requested_at",
            right_on="lost_at",
            by="deployment",
            tolerance=LOSS_WITHIN,
            check_sortedness=False,
        )
        .with_columns(pl.col("loss_count", "node_loss_count").fill_null(0))
    )


def _losses(events: pl.LazyFrame) -> pl.DataFrame:
    """Return replicas that failed, or were drained or stopped for a reason that is a loss, with their machine."""
    named = cause_of_reason(pl.col("reason"))
    is_stop = pl.col("event").is_in(["draining", "stopped"])
    nodes = (
        events.sort("event_at")
        .group_by("replica_id")
        .agg(pl.col("node").drop_nulls().last().alias("loss_node"))
    )
    lost = (
        events.filter(
            (pl.col("event") == "failed") | (is_stop & named.is_in(["preemption", "node_loss", "crash_loop"]))
        )
        .select(
            "deployment",
            pl.col("replica_id").alias("lost_id"),
            pl.col("event_at").alias("lost_at"),
            pl.col("reason").alias("loss_reason"),
        )
        .join(nodes, left_on="lost_id", right_on="replica_id")
        .sort("loss_node", "lost_at", "lost_id")
        .collect()
    )
    together = (
        lost.drop_nulls("loss_node")
        .rolling("lost_at", period=NODE_WITHIN, closed="both", group_by="loss_node")
        .agg(pl.col("lost_id").n_unique().cast(pl.Int64).alias("node_loss_count"))
        .unique(["loss_node", "lost_at"], keep="last")
    )
    return lost.join(together, on=["loss_node", "lost_at"], how="left").with_columns(
        pl.col("node_loss_count").fill_null(0)
    )


def _with_arrivals(starts: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Add the requests of the ten minutes before each start, and how many there usually were before that."""
    arrivals = asked.select("deployment", pl.col("started_at").alias("at")).with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("deployment").alias("count")
    )
    keyed = starts.select("replica_id", "requested_at", "deployment")
    for name, before in (
        ("upto", timedelta(0)),
        ("since", ARRIVALS_WITHIN),
        ("early", ARRIVALS_WITHIN + USUAL_WITHIN),
    ):
        keyed = (
            keyed.with_columns((pl.col("requested_at") - before).alias("edge"))
            .sort("edge")
            .join_asof(
                arrivals.rename({"count": name}),
                left_on="edge",
                right_on="at",
                by="deployment",
                check_sortedness=False,
            )
            .drop("edge", "at", strict=False)
            .with_columns(pl.col(name).fill_null(0))
        )
    share = ARRIVALS_WITHIN / USUAL_WITHIN
    return starts.join(
        keyed.select(
            "replica_id",
            "requested_at",
            (pl.col("upto") - pl.col("since")).alias("arrival_count"),
            ((pl.col("since") - pl.col("early")) * share).alias("usual_count"),
        ),
        on=["replica_id", "requested_at"],
        how="left",
    )


def _with_drains(starts: pl.DataFrame, events: pl.LazyFrame) -> pl.DataFrame:
    """Add whether a replica that was ready before the start was drained when the new one was ready."""
    drained = (
        events.filter(pl.col("event") == "draining", cause_of_reason(pl.col("reason")).is_null())
        .select(
            "deployment", pl.col("event_at").alias("drained_at"), pl.col("replica_id").alias("drained_id")
        )
        .sort("drained_at", "drained_id")
        .collect()
    )
    is_older = (pl.col("drained_id") != pl.col("replica_id")) & (pl.col("ready_replica_count") > 0)
    return (
        starts.sort("ready_at")
        .join_asof(
            drained,
            left_on="ready_at",
            right_on="drained_at",
            by="deployment",
            strategy="forward",
            tolerance=DRAIN_WITHIN,
            check_sortedness=False,
        )
        .with_columns(
            (pl.col("drained_at").is_not_null() & is_older).fill_null(value=False).alias("is_replacing")
        )
    )
