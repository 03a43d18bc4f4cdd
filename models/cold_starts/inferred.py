"""Starts that requests betray where no lifecycle events are logged: someone waited far longer than usual."""

import polars as pl

from models.money import picodollars_from_usd, usd_from_picodollars

QUEUED_SECONDS, TOKEN_SECONDS = 5.0, 10.0
"""Least stay in the queue, and least wait for the first token, that may be a start."""
TIMES_USUAL = 5.0
"""Least multiple of the deployment's median wait."""
IDLE_SECONDS = 300.0
"""A deployment without requests for this long may have been scaled to zero."""
_CONFIDENCE = {
    ("idle", True): 0.9,
    ("new", True): 0.85,
    ("idle", False): 0.7,
    ("new", False): 0.7,
    ("busy", True): 0.4,
}
"""By what came before (a pause, a replica never seen before, other requests) and whether the queue was measured."""
_LEAST = 0.3
_NO_ONE = "unknown"


def inferred_starts(
    requests: pl.LazyFrame, observed: pl.DataFrame, known: pl.LazyFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return starts of deployments without lifecycle events, with confidence and estimate, and who waited for them.

    A request that queued, or else waited for its first token, five times longer than usual for its deployment (and 5
    or 10 seconds at least) waited for a start; requests that wait at the same time wait for the same one. Seconds
    are those of the first that waited; dollars are what observed starts of the model cost a second (else of all
    models), and are never part of a sum.

    Args:
        requests: `core.requests`; those of deployments and replicas with events do no harm.
        observed: as `observed_starts` returns them.
        known: `core.replica_states`: what is observed.

    Returns:
        Columns of `mart.cold_starts` but `started_on`; and a row per request that waited, with `replica_id,
        requested_at` of the start, `waited_seconds, is_abandoned, tenant, team`.
    """
    waits = _long_waits(_unobserved(requests, known))
    reach = pl.col("served_at").cum_max().shift(1).over("unit")
    chains = (
        waits.sort("unit", "started_at", "request_id")
        .with_columns((reach.is_null() | (pl.col("started_at") > reach)).cum_sum().alias("start"))
        .with_columns(
            pl.coalesce("replica_id", pl.format("(inferred) {}", "route"))
            .first()
            .over("start")
            .alias("named"),
            pl.col("started_at").first().over("start").alias("requested_at"),
        )
    )
    waiting = chains.select(
        pl.col("named").alias("replica_id"), "requested_at", "waited_seconds",
        pl.lit(value=False).alias("is_abandoned"), "tenant", "team",
    )  # fmt: skip
    rows = chains.group_by("start", maintain_order=True).agg(
        pl.col("named", "route", "provider", "region", "served_model", "before", "is_queue").first(),
        pl.col("idle_seconds", "usual_seconds", "requested_at").first(),
        pl.col("served_at").min().alias("ready_at"),
        pl.len().cast(pl.Int64).alias("delayed_request_count"),
        pl.col("waited_seconds").sort().sum().alias("added_seconds"),
        pl.coalesce("user_id", "api_key_id", "tenant").drop_nulls().unique().sort().alias("delayed_users"),
        pl.col("ttft_seconds").median().alias("delayed_ttft_seconds"),
    )  # fmt: skip
    total = (pl.col("ready_at") - pl.col("requested_at")).dt.total_microseconds()
    confidence = pl.lit(_LEAST)
    for (before, is_queue), ratio in _CONFIDENCE.items():
        fits = (pl.col("before") == before) & (pl.col("is_queue") == is_queue)
        confidence = pl.when(fits).then(ratio).otherwise(confidence)
    waited = pl.format("waited {} s against {} s", (total / 1e6).round(1), pl.col("usual_seconds").round(1))
    minutes = (pl.col("idle_seconds") / 60).round(0).cast(pl.Int64)
    evidence = (
        pl.when(pl.col("before") == "idle")
        .then(pl.format("first request after {} min without any, ", minutes))
        .when(pl.col("before") == "new").then(pl.lit("first request on a replica, "))
        .otherwise(pl.lit("among other requests, "))
    )  # fmt: skip
    starts = _with_estimates(
        rows.select(
            pl.col("named").alias("replica_id"),
            pl.col("provider", "region").fill_null(_NO_ONE),
            pl.lit(_NO_ONE).alias("chip"),
            pl.col("route").alias("deployment"),
            pl.lit("on_demand").alias("commitment"),
            pl.col("served_model").alias("model"),
            "requested_at",
            "ready_at",
            pl.lit("ready").alias("outcome"),
            pl.when(pl.col("before") == "idle")
            .then(pl.lit("scale_from_zero"))
            .otherwise(pl.lit("unknown"))
            .alias("cause"),
            (evidence + waited).alias("evidence"),
            (total / 1e6).alias("total_seconds"),
            "delayed_request_count",
            pl.lit(0, dtype=pl.Int64).alias("abandoned_request_count"),
            "added_seconds",
            "delayed_users",
            "delayed_ttft_seconds",
            pl.lit(value=True).alias("is_inferred"),
            confidence.alias("confidence_ratio"),
        ),
        observed,
    )
    return starts, waiting


def _unobserved(requests: pl.LazyFrame, known: pl.LazyFrame) -> pl.DataFrame:
    """Return the attempts that ran where nothing is observed, by unit (replica, else route) and time."""
    replicas = known.select("replica_id").unique()
    deployments = known.select(pl.col("deployment").alias("route")).unique()
    first_token = (pl.col("first_token_at") - pl.col("started_at")).dt.total_microseconds() / 1e6
    return (
        requests.filter(~pl.col("is_gateway_cache_hit"), pl.col("route").is_not_null())
        .join(deployments, on="route", how="anti")
        .join(replicas, on="replica_id", how="anti")
        .select(
            "request_id", "replica_id", "route", "provider", "region", "served_model", "started_at", "finished_at",
            "first_token_at", "queue_seconds", "user_id", "api_key_id", "tenant", "team",
            first_token.alias("ttft_seconds"),
            pl.coalesce(pl.format("r:{}", "replica_id"), pl.format("d:{}", "route")).alias("unit"),
        )
        .sort("unit", "started_at", "request_id")
        .collect()
    )  # fmt: skip


def _long_waits(attempts: pl.DataFrame) -> pl.DataFrame:
    """Keep the attempts that waited for long, with what came before them on their unit."""
    until = pl.coalesce("finished_at", "first_token_at", "started_at").cum_max().shift(1).over("unit")
    idle = (pl.col("started_at") - until).dt.total_microseconds() / 1e6
    is_queue = pl.col("queue_seconds").is_not_null()
    waited = pl.coalesce("queue_seconds", "ttft_seconds")
    is_new = idle.is_null() & pl.col("replica_id").is_not_null()
    before = (
        pl.when(idle >= IDLE_SECONDS).then(pl.lit("idle"))
        .when(is_new & (pl.col("started_at") > pl.col("started_at").min().over("route"))).then(pl.lit("new"))
        .otherwise(pl.lit("busy"))
    )  # fmt: skip
    return (
        attempts.with_columns(
            idle.alias("idle_seconds"),
            is_queue.alias("is_queue"),
            waited.alias("waited_seconds"),
            before.alias("before"),
        )
        .with_columns(pl.col("waited_seconds").median().over("route", "is_queue").alias("usual_seconds"))
        .filter(
            pl.col("waited_seconds")
            >= pl.max_horizontal(
                pl.when("is_queue").then(QUEUED_SECONDS).otherwise(TOKEN_SECONDS),
                TIMES_USUAL * pl.col("usual_seconds"),
            )
        )
        .with_columns(
            (
                pl.col("started_at")
                + pl.duration(microseconds=(pl.col("waited_seconds") * 1e6).round().cast(pl.Int64))
            ).alias("served_at")
        )
    )


def _with_estimates(rows: pl.DataFrame, observed: pl.DataFrame) -> pl.DataFrame:
    priced = observed.filter(pl.col("start_usd").is_not_null(), pl.col("total_seconds") > 0).with_columns(
        picodollars_from_usd(pl.col("start_usd")).alias("picodollars"),
        (pl.col("total_seconds") * 1e6).round().cast(pl.Int128).alias("us"),
    )
    sums = (pl.col("picodollars").sum(), pl.col("us").sum())
    own = priced.drop_nulls("model").group_by("model").agg(*sums)
    all_sums = priced.select(*sums)
    total = (pl.col("total_seconds") * 1e6).round().cast(pl.Int128)
    picodollars = pl.coalesce("picodollars", pl.lit(all_sums["picodollars"][0], dtype=pl.Int128))
    us = pl.coalesce("us", pl.lit(all_sums["us"][0], dtype=pl.Int128))
    return (
        rows.join(own, on="model", how="left")
        .with_columns(
            pl.when(us > 0).then(usd_from_picodollars(picodollars * total // us)).alias("estimated_usd")
        )
        .drop("picodollars", "us")
    )
