"""Pods that serve as one replica over several nodes become one: it holds what they hold, and does what its head does.

A group is told by its workload (LeaderWorkerSet, Ray, JobSet, Grove); its head is the pod that answers requests.
Workers of a Ray cluster that turn ready answer requests themselves and are replicas of their own; those of a
multi-node engine never do (ray-project/kuberay#2552).
"""

import polars as pl

from models.costs.rates import FRACTION_UNITS, UNKNOWN, units_held
from models.schemas.vocabulary import STARTING_STATES

GROUP = ("replica_group", "is_group_head")
_KEY = ("region", "cluster", "replica_group")
_RAY = "ray/"
_RANKS = {"waiting": 0, "pulling": 1, "loading": 2}
_STARTED = 2
"""The rank of a pod that is up while its head is not."""


def grouped(intervals: pl.DataFrame) -> pl.DataFrame:
    """Return the intervals with those of each group as one replica, named by its head; without the columns of GROUP.

    In each stretch of time the replica's state is its head's. While the head starts, it is the furthest that any pod of
    the group has come, short of ready; pods that are left when the head is gone are draining. It holds the accelerators
    of all pods that are past the wait for a machine. Groups without a known head stay apart.

    Args:
        intervals: of all replicas, with the columns of GROUP; in order of time.
    """
    key = [*_KEY]
    # A watch does not tell the region of a pod that no list holds; its group is in one.
    known = pl.when(pl.col("region") != UNKNOWN).then("region")
    of_group = pl.when(pl.col("replica_group").is_not_null()).then(
        known.drop_nulls().first().over("replica_group")
    )
    intervals = intervals.with_columns(pl.coalesce(known, of_group, "region").alias("region"))
    is_ready = (pl.col("state") == "ready").any().over("replica")
    is_own = pl.col("replica_group").str.starts_with(_RAY) & ~pl.col("is_group_head") & is_ready
    has_head = pl.col("is_group_head").any().over(key)
    is_member = (pl.col("replica_group").is_not_null() & ~is_own & has_head).fill_null(value=False)
    marked = intervals.with_columns(is_member.alias("is_member"))
    alone = marked.filter(~pl.col("is_member")).drop(*GROUP, "is_member")
    members = marked.filter("is_member").drop("is_member")
    if members.is_empty():
        return alone
    members = _with_heads(members)
    whole = _lives(_stretches(members), members)
    return pl.concat([alone, whole.select(alone.columns)]).sort("replica", "life", "started_at")


def _with_heads(members: pl.DataFrame) -> pl.DataFrame:
    """Keep one head at a time: of several that are there together, the one that began first."""
    far = pl.col("ended_at").fill_null(pl.col("started_at").max() + pl.duration(days=36_500))
    heads = (
        members.filter("is_group_head")
        .group_by(*_KEY, "replica")
        .agg(pl.col("started_at").min().alias("from_at"), far.max().alias("to_at"))
        .sort(*_KEY, "from_at", "replica")
        .with_columns(pl.col("to_at").cum_max().shift(1).over(_KEY).alias("before"))
        .filter(pl.col("before").is_null() | (pl.col("from_at") >= pl.col("before")))
    )
    return members.with_columns(
        pl.col("replica").is_in(heads.get_column("replica").to_list()).alias("is_group_head")
    )


def _stretches(members: pl.DataFrame) -> pl.DataFrame:
    """Cut the time of each group where any of its pods changes: what they hold together, and what its head does."""
    edges = (
        pl.concat(members.select(*_KEY, pl.col(side).alias("from_at")) for side in ("started_at", "ended_at"))
        .drop_nulls("from_at")
        .unique()
        .sort(*_KEY, "from_at")
        .with_columns(pl.col("from_at").shift(-1).over(_KEY).alias("to_at"))
    )
    is_head, is_waiting = pl.col("is_group_head"), pl.col("phase") == "waiting"
    rank = pl.col("phase").replace_strict(_RANKS, default=_STARTED, return_dtype=pl.Int64)
    is_holding = ~is_waiting & (pl.col("chip_count") > 0)
    return (
        edges.join(members, on=_KEY, nulls_equal=True)
        .filter(
            pl.col("started_at") <= pl.col("from_at"),
            pl.col("ended_at").is_null() | (pl.col("ended_at") > pl.col("from_at")),
        )
        .sort(*_KEY, "from_at", ~is_head, "life_started_at", "replica")
        .group_by(*_KEY, "from_at", "to_at", maintain_order=True)
        .agg(
            pl.col("state").filter(is_head).first().alias("head_state"),
            pl.col("phase").filter(is_head).first().alias("head_phase"),
            pl.col("reason").filter(is_head).first().alias("head_reason"),
            pl.col("reason").first(),
            rank.max().alias("rank"),
            *(
                value.filter(test).sum().alias(f"{name}_{whose}")
                for name, value in (("chip_count", pl.col("chip_count")), ("units", pl.col("units")))
                for whose, test in (("held", is_holding), ("all", pl.lit(value=True)))
            ),
            pl.col("fraction").filter(pl.col("chip_count") > 0).n_unique().alias("fractions"),
            pl.col("fraction").filter(pl.col("chip_count") > 0).first(),
            pl.col("node").filter(is_holding).drop_nulls().str.join(",").alias("node"),
            pl.col("life_started_at").max().alias("latest_at"),
        )
    )


def _lives(stretches: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Give stretches their state and the life of the head that they are of."""
    heads = (
        members.filter("is_group_head")
        .sort(*_KEY, "life_started_at", "started_at")
        .group_by(*_KEY, "replica", "life", maintain_order=True)
        .agg(
            pl.col("life_started_at").first().alias("begun_at"),
            pl.col("ended_at").last().alias("gone_at"),
            pl.col("replica_id", "source", "deployment", "model", "repair", "interrupted_after").first(),
        )
        .with_columns((pl.int_range(pl.len()).over(_KEY)).alias("head"))
    )
    facts = (
        members.filter(pl.col("chip_count") > 0)
        .sort(*_KEY, ~pl.col("is_group_head"), "life_started_at", "replica")
        .group_by(_KEY, maintain_order=True)
        .agg(pl.col("provider", "chip", "commitment").first())
    )
    begun = heads.select(*_KEY, "begun_at", "gone_at", "head")
    # The head that began last, and where none is there any more, the next one for pods that began after it had gone.
    last = (
        stretches.with_row_index("row")
        .join(begun, on=_KEY, nulls_equal=True)
        .group_by("row", maintain_order=True)
        .agg(
            pl.col("head").filter(pl.col("begun_at") <= pl.col("from_at")).max().alias("last"),
            pl.col("gone_at").filter(pl.col("begun_at") <= pl.col("from_at")).last().alias("last_gone_at"),
            pl.col("head").max().alias("most"),
        )
    )
    has_head = pl.col("head_state").is_not_null()
    is_next = ~has_head & (
        pl.col("last").is_null()
        | ((pl.col("latest_at") >= pl.col("last_gone_at")) & (pl.col("last") < pl.col("most")))
    )
    is_starting = is_next | pl.col("head_state").is_in(STARTING_STATES)
    reached = pl.col("rank").replace_strict(
        list(_RANKS.values()), list(_RANKS), default=None, return_dtype=pl.String
    )
    is_failed_start = (pl.col("head_state") == "failed") & pl.col("head_phase").is_in(STARTING_STATES)
    state = pl.when(is_starting).then(reached).otherwise(pl.col("head_state").fill_null("draining"))
    phase = pl.when(is_starting | is_failed_start).then(reached).otherwise(
        pl.col("head_phase").fill_null("draining")
    )  # fmt: skip
    is_waiting = pl.col("phase") == "waiting"
    whose = {
        name: pl.when(is_waiting).then(f"{name}_all").otherwise(f"{name}_held")
        for name in ("chip_count", "units")
    }
    is_even = pl.col("fractions") <= 1
    size = pl.col("units") / FRACTION_UNITS
    stretched = (
        stretches.with_row_index("row")
        .join(last, on="row")
        .with_columns(
            state.alias("state"),
            phase.alias("phase"),
            (pl.col("last").fill_null(-1) + is_next.cast(pl.Int64)).fill_null(0).alias("head"),
        )
        .with_columns(whose["chip_count"].alias("chip_count"), whose["units"].alias("units"))
        .filter(pl.col("units") > 0)
        .with_columns(
            pl.when(is_even).then("chip_count").otherwise(1).cast(pl.Int32).alias("chip_count"),
            pl.when(is_even).then("fraction").otherwise(size.cast(pl.Decimal(9, 6))).alias("fraction"),
            pl.coalesce("head_reason", "reason").alias("reason"),
            pl.when(pl.col("node") != "").then("node").alias("node"),
        )
        .drop("units")
    )
    same = ["state", "phase", "head", "chip_count", "fraction", "node"]
    is_new = pl.any_horizontal(
        (pl.col("from_at") != pl.col("to_at").shift(1).over(_KEY)).fill_null(value=True),
        *(pl.col(name).ne_missing(pl.col(name).shift(1).over(_KEY)) for name in same),
    )
    life = (*_KEY, "head")
    return (
        stretched.with_columns(is_new.cum_sum().alias("run"))
        .group_by(*_KEY, "run", *same, maintain_order=True)
        .agg(
            pl.col("from_at").first().alias("started_at"),
            pl.col("to_at").last().alias("ended_at"),
            pl.col("reason").first(),
        )
        .join(heads.drop("life", "begun_at", "gone_at"), on=[*_KEY, "head"], nulls_equal=True)
        .join(facts, on=_KEY, nulls_equal=True)
        .with_columns(
            units_held().alias("units"),
            pl.col("head").cast(members.schema["life"]).alias("life"),
            pl.col("started_at").min().over(life).alias("life_started_at"),
            (
                pl.col("ended_at").is_not_null()
                & (pl.int_range(pl.len()).over(life) == pl.len().over(life) - 1)
            ).alias("is_last"),
        )
    )
