"""Which replicas worked when: attempts in flight laid over ready replicas. Shared by pool hours and allocation.

Words: a *unit* is an attempt within one slot. Its *owner* is the replica that it names or, where a pool's log
names only the deployment, the pool. A *stage* is an unbroken run of an owner's ready time within a slot that has a
price, or has none; an
*epoch* is a part of it with the same ready replicas, of which the earliest-started are taken as busy first. All
instants are integer microseconds, so that nothing depends on the order of rows.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from models.costs.intervals import microseconds
from models.costs.owners import tied_to_owners
from models.money import picodollars_from_usd

ESTIMATED_SECONDS = 60
"""How long an attempt without an end is taken to have worked."""
_PLACE = ("provider", "region", "chip", "deployment")
POOL = (*_PLACE, "commitment")
_IDENTITY = ("replica_id", "source", "cluster")
_OFFSET = 2**32


@dataclass(frozen=True)
class Occupancy:
    """Ready slices with their busy time, and attempts laid over stages.

    Attributes:
        ready: ready slices of the states with `slice, stage, picodollars` (NULL when
            unpriced), `serving_picodollars`.
        units: `request` (row of the attempts), `row` (of the work), `slot, pool` (-1 unknown), `is_pool_grain`,
            `starts, ends` (offsets in the slot), `is_first` (the slot in which work began).
        placed: units x stages: `unit, stage, starts, ends`, clipped to the stage.
        epochs: `epoch, stage, starts, flat` (first place in `levels`), `ready_count`, in time order.
        levels: picodollars per microsecond when the first n ready replicas of an epoch work; n from 0.
        pools: pool dimensions by `pool`.
        identity: `source, request_id` of the work, by which simultaneous attempts are put in order.
    """

    ready: pl.DataFrame
    units: pl.DataFrame
    placed: pl.DataFrame
    epochs: pl.DataFrame
    levels: pl.Series
    pools: pl.DataFrame
    identity: pl.DataFrame


def in_flight(requests: pl.LazyFrame) -> pl.DataFrame:
    """Return the instants between which each attempt worked, in row order.

    Work is [started_at + queue_seconds, finished_at]; without an end it is taken to last ESTIMATED_SECONDS.
    A gateway-cache hit called nobody and is left out.

    Returns:
        `request` (row number), `replica_id, route, provider, region, source, request_id`, `work_from, work_to`.
    """
    queue = (pl.col("queue_seconds").fill_null(0) * 1_000_000).round().cast(pl.Int64)
    begun = microseconds(pl.col("started_at")) + queue
    finished = microseconds(pl.col("finished_at"))
    ended = finished.fill_null(begun + ESTIMATED_SECONDS * 1_000_000)
    return (
        requests.select(
            "replica_id",
            "route",
            "provider",
            "region",
            "source",
            "request_id",
            "is_gateway_cache_hit",
            pl.min_horizontal(begun, finished).alias("work_from"),
pl.max_horizontal(ended, microseconds(pl.col("started_at"))).alias("work_to"),
        )
        .with_row_index("request")
        .filter(~pl.col("is_gateway_cache_hit"))
        .drop("is_gateway_cache_hit")
        .collect()
    )  # fmt: skip


def occupy(work: pl.DataFrame, states: pl.LazyFrame, slots: pl.DataFrame) -> Occupancy:
    """Lay attempts over ready replicas.

    An attempt is tied to its replica where that replica existed in the slot, else to the pool of its `route`; one
    that names a replica which is gone in a later slot works nowhere there.
    A pool-slot in which work began that is tied only by route is judged as a whole (`is_pool_grain`): busy
    replicas = min(ready, in flight). Of several pools of one deployment, those of the attempt's provider and
    region are preferred; among equals attempts are dealt out in proportion to ready GPU time.

    Args:
        work: attempts, as `in_flight` returns them.
        states: `core.replica_states`; slices outside the slots are ignored.
        slots: the window's slots.
    """
    spans = slots.select(
        "slot",
        microseconds(pl.col("slot_started_at")).alias("slot_from"),
        microseconds(pl.col("slot_ended_at")).alias("slot_to"),
    )
    held, pools = _held(states, slots)
    units = _cut_at_slots(work, spans)
    units = tied_to_owners(units, work, held, pools, len(slots))
    ready, epochs, levels, stages = _stages(held, units)
    placed = _place(units, stages, len(slots))
    identity = work.select("source", "request_id")
    return Occupancy(ready, units, placed, epochs, levels, pools, identity)


def _held(states: pl.LazyFrame, slots: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the slices within the slots with codes and offsets, and the pools by code."""
    rows = (
        states.join(
            slots.lazy().select("slot", pl.col("hour").alias("state_hour"), "accrued_on", "slot_started_at"),
            on=["state_hour", "accrued_on"],
        )
        .sort(*_IDENTITY, "started_at", "state", nulls_last=True)
        .collect()
    )
    # A replica that a purchase covers for a part of the slot is worked as one, on the commitment that it begins with.
    home = pl.col("commitment").first().over(*_IDENTITY, *_PLACE, "life_started_at", "slot")
    rows = rows.with_columns(home.alias("home"))
    own = [*_PLACE, "home"]
    pools = rows.select(own).unique().sort(own).with_row_index("pool").cast({"pool": pl.Int64})
    rows = rows.join(pools, on=own)
    pools = pools.rename({"home": "commitment"})
    names = rows.select(pl.col("replica_id").unique().sort()).with_row_index("name").cast({"name": pl.Int64})
    # A name that lives in two pools, one after the other, is two replicas.
    replicas = (
        rows.select(*_IDENTITY, "pool")
        .unique()
        .sort(*_IDENTITY, "pool", nulls_last=True)
        .with_row_index("replica")
        .cast({"replica": pl.Int64})
    )
    base = microseconds(pl.col("slot_started_at"))
    held = rows.join(names, on="replica_id").join(replicas, on=[*_IDENTITY, "pool"], nulls_equal=True)
    return (
        held.with_columns(
            (microseconds(pl.col("started_at")) - base).alias("starts"),
            (microseconds(pl.col("ended_at")) - base).alias("ends"),
        ),
        pools,
    )


def _cut_at_slots(work: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Return one row per attempt and slot that it worked in; an instant counts as a microsecond long."""
    begins, ends = spans["slot_from"], spans["slot_to"]
    window_from, window_to = begins[0], ends[-1]
    last = pl.max_horizontal(pl.col("work_to"), pl.col("work_from") + 1)
    live = (
        work.lazy()
        .select("request", "work_from", "work_to", pl.int_range(pl.len(), dtype=pl.Int64).alias("row"))
        .filter((pl.col("work_from") < window_to) & (last > window_from))
        .collect()
    )
    first_slot = ends.search_sorted(live["work_from"], side="right")
    last_slot = begins.search_sorted(live.select(last).to_series(), side="left").cast(pl.Int64) - 1
    live = live.with_columns(first_slot.cast(pl.Int64).alias("slot"), last_slot.alias("last_slot"))
    single = live.filter(pl.col("slot") == pl.col("last_slot")).drop("last_slot")
    several = (
        live.filter(pl.col("slot") < pl.col("last_slot"))
        .with_columns(pl.int_ranges("slot", pl.col("last_slot") + 1, dtype=pl.Int64).alias("slot"))
        .drop("last_slot")
        .explode("slot")
    )
    low, high = pl.lit(begins).gather(pl.col("slot")), pl.lit(ends).gather(pl.col("slot"))
    return pl.concat([single, several]).with_columns(low.alias("low"), high.alias("high")).select(
        "request",
        "row",
        "slot",
        (pl.max_horizontal("work_from", "low") - pl.col("low")).alias("starts"),
        (pl.min_horizontal("work_to", "high") - pl.col("low")).alias("ends"),
        (pl.col("work_from") >= pl.col("low")).alias("is_first"),
    )  # fmt: skip


def _stages(
    held: pl.DataFrame, units: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.Series, pl.DataFrame]:
    """Build stages and epochs from the ready slices: (ready, epochs, levels, stages)."""
    coarse = units.filter("is_pool_grain").select("pool", "slot", "is_pool_grain").unique()
    ready = (
        held.filter(pl.col("state") == "ready", pl.col("ends") > pl.col("starts"))
        .join(coarse, on=["pool", "slot"], how="left")
        .with_columns(
            owner_of(pl.col("is_pool_grain").fill_null(value=False), pl.col("pool"), pl.col("replica")),
            pl.coalesce(pl.col("life_started_at"), pl.col("started_at").min().over("replica", "slot")).alias(
                "age"
            ),
            picodollars_from_usd(pl.col("billed_usd")).alias("picodollars"),
        )
        .sort("owner", "slot", "age", "replica", "starts")
        .with_row_index("slice")
    )
    key = ["owner", "slot"]
    edges = (
        pl.concat(ready.select(*key, pl.col(side).alias("starts")) for side in ("starts", "ends"))
        .unique()
        .sort(*key, "starts")
        .with_columns(pl.col("starts").shift(-1).over(key).alias("ends"))
        .drop_nulls("ends")
    )
    members = (
        edges.join(ready.select(*key, "slice", "picodollars", from_="starts", to="ends"), on=key)
        .filter(pl.col("from_") <= pl.col("starts"), pl.col("to") >= pl.col("ends"))
        .sort(*key, "starts", "slice")
        .with_columns(
            (pl.col("picodollars").fill_null(0).cast(pl.Float64) / (pl.col("to") - pl.col("from_"))).alias("speed")
        )
    )  # fmt: skip
    epochs = (
        members.group_by(*key, "starts", "ends", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("ready_count"),
            "slice",
            pl.col("speed").cum_sum().alias("speeds"),
            pl.col("picodollars").is_not_null().any().alias("has_price"),
        )
        .with_columns(
            (
                (
                    (pl.col("starts") != pl.col("ends").shift(1).over(key))
                    | (pl.col("has_price") != pl.col("has_price").shift(1).over(key))
                ).fill_null(value=True).cum_sum() - 1
            ).cast(pl.Int64).alias("stage"),
            ((pl.col("ready_count") + 1).cum_sum() - pl.col("ready_count") - 1).alias("flat"),
        )
        .with_row_index("epoch")
    )  # fmt: skip
    levels = epochs.select(pl.concat_list(pl.lit([0.0]), "speeds")).to_series().explode()
    stages = epochs.group_by("stage", *key, maintain_order=True).agg(
        pl.col("starts").min(), pl.col("ends").max()
    )
    of_slice = epochs.select("stage", "slice").explode("slice").unique()
    return ready.join(of_slice, on="slice"), epochs, levels, stages


def owner_of(is_pool_grain: pl.Expr, pool: pl.Expr, replica: pl.Expr) -> pl.Expr:
    """Return the owner's code: even for a replica, odd for a pool; -2 where there is none."""
    return (
        pl.when(is_pool_grain & (pool >= 0)).then(pool * 2 + 1)
        .when(~is_pool_grain & (replica >= 0)).then(replica * 2)
        .otherwise(-2)
        .alias("owner")
    )  # fmt: skip


def _place(units: pl.DataFrame, stages: pl.DataFrame, slot_count: int) -> pl.DataFrame:
    """Clip units to the stages of their owner."""
    tied = units.select(
        "unit", "slot", "starts", "ends",
        owner_of(pl.col("is_pool_grain"), pl.col("pool"), pl.col("replica")),
    ).filter(pl.col("owner") >= 0)  # fmt: skip
    line = pl.col("owner") * slot_count + pl.col("slot")
    lines = (
        stages.group_by(line.alias("line")).agg(pl.col("stage").min(), pl.len().alias("stages")).sort("line")
    )
    # Most owners have one stage a slot, and need no search for the right one.
    at = tied.select(line).to_series().to_numpy()
    known = lines.get_column("line").to_numpy()
    size = max(known.max(initial=-1), at.max(initial=-1)) + 1
    first, count = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    first[known] = lines.get_column("stage").to_numpy()
    count[known] = lines.get_column("stages").to_numpy()
    tied = tied.with_columns(pl.Series("stage", first[at]), pl.Series("stages", count[at]))
    one = tied.filter(pl.col("stages") == 1).drop("stages")
    many = _searched(tied.filter(pl.col("stages") > 1).drop("stage", "stages"), stages, slot_count)
    low = pl.lit(stages["starts"]).gather(pl.col("stage"))
    high = pl.lit(stages["ends"]).gather(pl.col("stage"))
    last = pl.max_horizontal(pl.col("ends"), pl.col("starts") + 1)
    return (
        pl.concat([one.select(many.columns), many])
        .filter(pl.col("starts") < high, last > low)
        .select(
            "unit",
            "stage",
            pl.max_horizontal("starts", low).alias("starts"),
            pl.min_horizontal("ends", high).alias("ends"),
        )
    )


def _searched(tied: pl.DataFrame, stages: pl.DataFrame, slot_count: int) -> pl.DataFrame:
    """Lay units over the several stages that their owner has in the slot."""
    where = (pl.col("owner") * slot_count + pl.col("slot")) * _OFFSET
    begins = stages.select(where + pl.col("starts")).to_series()
    ends = stages.select(where + pl.col("ends")).to_series()
    last = pl.max_horizontal(pl.col("ends"), pl.col("starts") + 1)
    first_stage = ends.search_sorted(tied.select(where + pl.col("starts")).to_series(), side="right")
    last_stage = begins.search_sorted(tied.select(where + last).to_series(), side="left")
    return (
        tied.with_columns(
            first_stage.cast(pl.Int64).alias("stage"), last_stage.cast(pl.Int64).alias("beyond")
        )
        .filter(pl.col("stage") < pl.col("beyond"))
        .with_columns(pl.int_ranges("stage", "beyond", dtype=pl.Int64).alias("stage"))
        .drop("beyond")
        .explode("stage")
    )
