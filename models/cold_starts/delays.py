"""Requests that waited for a cold start. Each is laid on one start, so that sums over starts count it once."""

import polars as pl

WAIT_SECONDS = 1.0
"""A shorter stay in the queue is no wait for a start while another replica is ready."""
SLACK_SECONDS = 60.0
"""A start may be asked for this long after the request that wanted it."""


def delays(asked: pl.DataFrame, states: pl.LazyFrame, starts: pl.DataFrame) -> pl.DataFrame:
    """Return the requests that waited, each with the start that relieved it.

    A request waits where its replica, or without one its deployment (the route), has nothing ready when it comes,
    until the first replica is ready, or for as long as `queue_seconds` says; and where it queues for a second or
    longer while a replica of the deployment starts. It is laid on the start that was ready next; where none
    succeeds, on the one that ended next. Gateway-cache hits never wait.

    Args:
        asked: as `attempts` returns them.
        states: `core.replica_states`; the ready slices count.
        starts: as `observed_starts` returns them.

    Returns:
        `replica_id, requested_at` of the start, `waited_seconds, is_abandoned, caller, tenant, team, ttft_seconds,
        row`.
    """
    ready = _ready_steps(states)
    waits = (
        asked.join_asof(ready, left_on="started_at", right_on="at", by="unit", check_sortedness=False)
        .with_columns(pl.col("ready_count").fill_null(0))
        .join_asof(
            ready.filter(pl.col("ready_count") > 0).select("unit", pl.col("at").alias("next_ready_at")),
            left_on="started_at",
            right_on="next_ready_at",
            by="unit",
            strategy="forward",
            check_sortedness=False,
        )
        .with_columns(_until().alias("until"))
        .filter(pl.col("until") > pl.col("started_at"))
    )
    is_cold = pl.col("ready_count") == 0
    of_deployment = pl.concat_str(pl.lit("d:"), "deployment")
    waited = (pl.col("until") - pl.col("started_at")).dt.total_microseconds() / 1e6
    waits = waits.filter(is_cold | (waited >= WAIT_SECONDS)).with_columns(
        pl.when(is_cold).then("unit").otherwise(of_deployment).alias("unit")
    )
    overlap = pl.col("until") - pl.max_horizontal("started_at", "start_requested_at")
    seconds = pl.when(is_cold).then(waited).otherwise(overlap.dt.total_microseconds() / 1e6)
    slack = pl.when(is_cold).then(pl.duration(seconds=SLACK_SECONDS)).otherwise(pl.duration(seconds=0))
    relieved = [
        waits.join_asof(
            _ends(starts, is_ready=is_ready),
            left_on="started_at",
            right_on="start_ended_at",
            by="unit",
            strategy="forward",
            check_sortedness=False,
        ).filter(pl.col("start_requested_at") < pl.col("until") + slack)
        for is_ready in (True, False)
    ]
    return (
        pl.concat(relieved)
        .unique("row", keep="first", maintain_order=True)
        .with_columns(seconds.alias("waited_seconds"))
        .filter(pl.col("waited_seconds") > 0)
        .select(
            pl.col("start_replica_id").alias("replica_id"),
            pl.col("start_requested_at").alias("requested_at"),
            "waited_seconds",
            "is_abandoned",
            "caller",
            *("tenant", "team"),
            "ttft_seconds",
            "row",
        )
    )


def delay_totals(waits: pl.DataFrame, asked: pl.DataFrame, starts: pl.DataFrame) -> pl.DataFrame:
    """Return `starts` with counts, seconds and callers of the requests that waited, and the warm first token."""
    totals = waits.group_by("replica_id", "requested_at").agg(
        pl.len().cast(pl.Int64).alias("delayed_request_count"),
        pl.col("is_abandoned").sum().cast(pl.Int64).alias("abandoned_request_count"),
        pl.col("waited_seconds").sort().sum().alias("added_seconds"),
        pl.col("caller").drop_nulls().unique().sort().alias("delayed_users"),
        pl.col("ttft_seconds").median().alias("delayed_ttft_seconds"),
    )
    warm = (
        asked.join(waits.select("row"), on="row", how="anti")
        .group_by("deployment", pl.col("started_at").dt.date().alias("day"))
        .agg(pl.col("ttft_seconds").median().alias("warm_ttft_seconds"))
    )
    return (
        starts.join(totals, on=["replica_id", "requested_at"], how="left")
        .with_columns(pl.col("requested_at").dt.date().alias("day"))
        .join(warm, on=["deployment", "day"], how="left")
        .with_columns(
            pl.col("delayed_request_count", "abandoned_request_count").fill_null(0),
            pl.col("added_seconds").fill_null(0.0),
        )
        .drop("day")
    )


def ready_counts(starts: pl.DataFrame, states: pl.LazyFrame) -> pl.DataFrame:
    """Return `starts` with `ready_replica_count`: replicas of the deployment that were ready at the request."""
    ready = _ready_steps(states)
    return (
        starts.with_columns(pl.concat_str(pl.lit("d:"), "deployment").alias("unit"))
        .sort("requested_at")
        .join_asof(ready, left_on="requested_at", right_on="at", by="unit", check_sortedness=False)
        .with_columns(pl.col("ready_count").fill_null(0).alias("ready_replica_count"))
        .drop("unit", "at", "ready_count", strict=False)
        .sort("replica_id", "requested_at")
    )


def _ready_steps(states: pl.LazyFrame) -> pl.DataFrame:
    """Return how many replicas are ready from each instant on, by replica (`r:`) and by deployment (`d:`)."""
    ready = states.filter(pl.col("state") == "ready")
    edges = pl.concat(
        ready.select(
            pl.concat_str(pl.lit(mark), name).alias("unit"),
            pl.col(side).alias("at"),
            pl.lit(step, dtype=pl.Int64).alias("step"),
        )
        for mark, name in (("r:", "replica_id"), ("d:", "deployment"))
        for side, step in (("started_at", 1), ("ended_at", -1))
    )
    return (
        edges.group_by("unit", "at")
        .agg(pl.col("step").sum())
        .filter(pl.col("step") != 0)
        .sort("unit", "at")
        .with_columns(pl.col("step").cum_sum().over("unit").alias("ready_count"))
        .select("unit", "at", "ready_count")
        .collect()
        .sort("at")
    )


def attempts(requests: pl.LazyFrame, states: pl.LazyFrame, starts: pl.DataFrame) -> pl.DataFrame:
    """Return the attempts that ran on deployments with starts, by time, with the `unit` that each waits for."""
    of_replica = (
        states.group_by("replica_id").agg(pl.col("deployment").first().alias("replica_deployment")).collect()
    )
    caller = pl.coalesce("user_id", "api_key_id", "tenant")
    first_token = (pl.col("first_token_at") - pl.col("started_at")).dt.total_microseconds() / 1e6
    return (
        requests.filter(~pl.col("is_gateway_cache_hit"))
        .select(
            "source",
            "request_id",
            "replica_id",
            "route",
            "started_at",
            "first_token_at",
            "finished_at",
            "queue_seconds",
            ((pl.col("status") != "ok") & pl.col("first_token_at").is_null()).alias("is_abandoned"),
            caller.alias("caller"),
            *("tenant", "team"),
            first_token.alias("ttft_seconds"),
        )
        .collect()
        .join(of_replica, on="replica_id", how="left")
        .with_columns(
            pl.coalesce("replica_deployment", "route").alias("deployment"),
            pl.when(pl.col("replica_deployment").is_not_null())
            .then(pl.concat_str(pl.lit("r:"), "replica_id"))
            .otherwise(pl.concat_str(pl.lit("d:"), "route"))
            .alias("unit"),
        )
        .filter(pl.col("deployment").is_in(starts["deployment"].unique().to_list()))
        .sort("started_at", "source", "request_id")
        .with_row_index("row")
    )


def _until() -> pl.Expr:
    """Return when a request stopped waiting."""
    queued = pl.col("started_at") + pl.duration(
        microseconds=(pl.col("queue_seconds") * 1e6).round().cast(pl.Int64)
    )
    cold = pl.min_horizontal("next_ready_at", "first_token_at", "finished_at")
    return (
        pl.when(pl.col("queue_seconds").is_not_null())
        .then(queued)
        .when(pl.col("ready_count") == 0)
        .then(cold)
        .otherwise("started_at")
    )


def _ends(starts: pl.DataFrame, *, is_ready: bool) -> pl.DataFrame:
    """Return the starts that became ready, or those that did not, by when they ended; per replica and deployment."""
    outcome = pl.col("outcome") == "ready"
    return pl.concat(
        starts.filter(outcome if is_ready else ~outcome).select(
            pl.concat_str(pl.lit(mark), name).alias("unit"),
            pl.col("replica_id").alias("start_replica_id"),
            pl.col("requested_at").alias("start_requested_at"),
            pl.col("ended_at").alias("start_ended_at"),
        )
        for mark, name in (("r:", "replica_id"), ("d:", "deployment"))
    ).sort("start_ended_at", "start_requested_at", "start_replica_id")
