"""core.pool_hours: the bill of every pool and the parts that it is made of, to the picodollar."""

from datetime import datetime

import polars as pl

from models.costs.commitments import covered, unused
from models.costs.intervals import half_even, microseconds, slots
from models.costs.lives import replica_intervals
from models.costs.nodes import is_on, nodes_of, unheld
from models.costs.occupancy import POOL, in_flight, occupy
from models.costs.rates import COST_UNITS, FRACTION_UNITS
from models.costs.states import priced_slices
from models.costs.timeline import line_of, with_serving
from models.money import picodollars_from_usd, usd_from_picodollars
from models.schemas import table
from models.schemas.vocabulary import POOL_PARTS, STARTING_STATES

_KEY = [*POOL, "pool_hour", "accrued_on"]


def pool_hours(
    events: pl.LazyFrame,
    states: pl.LazyFrame,
    requests: pl.LazyFrame,
    *,
    prices: pl.LazyFrame,
    time_zone: str,
    as_known_at: datetime,
    from_hour: datetime,
    to_hour: datetime,
    provisional_from: datetime | None = None,
    commitments: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the rows of `core.pool_hours` in [from_hour, to_hour).

    `billed` comes from instance lifetimes: unbroken billed time of a life, then the minimum and the rounding of
    its whole life under the sheet in force at its end (padding, booked in the hour of its last instant). The
    parts come from the states: starting, draining and failed as they stand, ready split into serving and idle by
    the attempts in flight. Where a vendor bills serving but not idle, idle time is in neither. What no replica
    holds of a node, and what nobody used of a commitment, are pools of the deployment `(none)`; the minimum and the
    rounding of a node are its own, not its replicas'.

    Args:
        events: `core.replica_events`, as for `replica_states`.
        states: `core.replica_states` of at least the window.
        requests: `core.requests` that worked in the window; others do no harm.
        prices: `ref.gpu_prices`.
        time_zone: IANA reporting zone.
        as_known_at: only prices known at this instant count.
        from_hour: start of the window, a UTC hour.
        to_hour: end of the window, exclusive.
        provisional_from: hours from here on are marked provisional; None marks none.
        commitments: `ref.commitments`, as for `replica_states`.
    """
    cuts = slots(from_hour=from_hour, to_hour=to_hour, time_zone=time_zone)
    nodes, replicas = nodes_of(replica_intervals(events))
    bought = table("ref.commitments").empty() if commitments is None else commitments

    def priced(intervals: pl.DataFrame) -> pl.DataFrame:
        return priced_slices(
            intervals,
            prices=prices,
            time_zone=time_zone,
            as_known_at=as_known_at,
            from_hour=from_hour,
            to_hour=to_hour,
        ).with_columns(pl.col("hour").alias("pool_hour"))

    slices = priced(covered(replicas, bought, cuts, as_known_at=as_known_at))
    occupancy = occupy(in_flight(requests), states, cuts)
    occupancy = with_serving(occupancy, line_of(occupancy))
    parts = _parts(states, cuts)
    serving = _serving(occupancy.ready, slices)
    lifetimes = _lifetimes(slices)
    padding = _padding(slices.filter(~is_on(nodes)), replicas)
    rows = parts.join(lifetimes, on=_KEY, how="left").join(serving, on=_KEY, how="left").join(
        padding, on=_KEY, how="left"
    )  # fmt: skip
    zero, none = pl.lit(0, dtype=pl.Int128), pl.lit(None, dtype=pl.Int128)
    amounts: list[pl.Expr] = []
    for unit in ("usd", "gpu_seconds"):
        idle_unbilled = pl.col(f"idle_unbilled_{unit}").fill_null(0)
        served = pl.col(f"serving_{unit}").fill_null(0)
        found = {
            "serving": served,
            "starting": pl.col(f"starting_{unit}"),
            "idle": pl.col(f"ready_{unit}") - served - idle_unbilled,
            "draining": pl.col(f"draining_{unit}"),
            "failed": pl.col(f"failed_{unit}"),
            "padding": pl.col(f"padding_{unit}").fill_null(0),
        }
        billed = pl.col(f"lifetime_{unit}").fill_null(0) - idle_unbilled + found["padding"]
        is_known = pl.col("is_priced") if unit == "usd" else pl.lit(value=True)
        for name, amount in {
            "billed": billed,
            **{part: found.get(part, zero) for part in POOL_PARTS},
        }.items():
            value = pl.when(is_known).then(amount).otherwise(none)
            scaled = usd_from_picodollars(value) if unit == "usd" else _seconds(value)
            amounts.append(scaled.alias(f"{name}_{unit}"))
    is_provisional = (
        pl.lit(value=False) if provisional_from is None else pl.col("pool_hour") >= provisional_from
    )
    rows = rows.with_columns(*amounts, _seconds(pl.col("wall")).alias("wall_gpu_seconds"))
    nobody = _nobodys(
        priced(unheld(nodes, replicas)),
        _padding(priced(nodes), nodes),
        unused(slices, bought, cuts, as_known_at=as_known_at),
    )
    whole = pl.concat([table("core.pool_hours").conform(each.lazy(), fill=True) for each in (rows, nobody)])
    return whole.with_columns(is_provisional.alias("is_provisional")).sort(_KEY).collect()


def _nobodys(left: pl.DataFrame, padding: pl.DataFrame, unused_rows: pl.DataFrame) -> pl.DataFrame:
    """Return the pools of the deployment `(none)`: what of nodes and commitments nobody used."""
    cost = half_even(pl.col("cost_to"), COST_UNITS) - half_even(pl.col("cost_from"), COST_UNITS)
    gpu = half_even(pl.col("gpu_to"), FRACTION_UNITS) - half_even(pl.col("gpu_from"), FRACTION_UNITS)
    parts = {
        "unheld": (
            left.select(
                *_KEY, pl.when(pl.col("rate").is_not_null()).then(cost).alias("usd"), gpu.alias("gpu")
            )
        ),
        "padding": padding.select(
            *_KEY, pl.col("padding_usd").alias("usd"), pl.col("padding_gpu_seconds").alias("gpu")
        ),
        "unused_commitment": unused_rows.select(
            *_KEY, pl.col("unused_usd").alias("usd"), pl.col("unused_gpu").alias("gpu")
        ),
    }
    rows = pl.concat(
        part.select(
            *_KEY,
            pl.lit(name).alias("part"),
            *(pl.col(unit).cast(pl.Int128) for unit in ("usd", "gpu")),
        )
        for name, part in parts.items()
    )
    summed = {
        f"{name}_{unit}": pl.col(unit).filter(pl.lit(name == "billed") | (pl.col("part") == name)).sum()
        for name in ("billed", *POOL_PARTS)
        for unit in ("usd", "gpu")
    }
    is_known = pl.col("usd").is_not_null().all()
    dollars = {
        f"{name}_usd": usd_from_picodollars(pl.when(is_known).then(summed[f"{name}_usd"]))
        for name in ("billed", *POOL_PARTS)
    }
    seconds = {f"{name}_gpu_seconds": _seconds(summed[f"{name}_gpu"]) for name in ("billed", *POOL_PARTS)}
    held = pl.col("gpu").filter(pl.col("part") != "padding").sum()
    return rows.group_by(_KEY).agg(**dollars, **seconds, wall_gpu_seconds=_seconds(held))


def _seconds(gpu_microseconds: pl.Expr) -> pl.Expr:
    return usd_from_picodollars(gpu_microseconds * 1_000_000, pl.Decimal(38, 12)).cast(pl.Decimal(38, 6))


def _parts(states: pl.LazyFrame, cuts: pl.DataFrame) -> pl.DataFrame:
    """Sum the states per pool-hour: picodollars and billed GPU-microseconds by part."""
    hour = microseconds(pl.col("state_hour"))
    size = pl.col("chip_count").cast(pl.Int128) * (pl.col("fraction") * FRACTION_UNITS).cast(pl.Int128)
    since = {side: size * (microseconds(pl.col(side)) - hour) for side in ("started_at", "ended_at")}
    held = half_even(since["ended_at"], FRACTION_UNITS) - half_even(since["started_at"], FRACTION_UNITS)
    part = pl.col("state").replace(dict.fromkeys(STARTING_STATES, "starting"))
    billed = pl.when(pl.col("billed_seconds") > 0).then("held").otherwise(0)
    names = ("starting", "ready", "draining", "failed")
    return (
        states.filter(pl.col("state_hour").is_in(cuts["hour"].unique().to_list()))
        .with_columns(
            pl.col("state_hour").alias("pool_hour"),
            part.alias("part"),
            held.alias("held"),
            picodollars_from_usd(pl.col("billed_usd")).alias("usd"),
        )
        .with_columns(billed.alias("gpu_seconds"))
        .group_by(_KEY)
        .agg(
            pl.when(pl.col("model").n_unique() == 1).then(pl.col("model").first()).alias("model"),
            pl.col("held").sum().alias("wall"),
            pl.col("usd").is_not_null().any().alias("is_priced"),
            *(
                pl.col(unit).filter(pl.col("part") == name).sum().alias(f"{name}_{unit}")
                for name in names
                for unit in ("usd", "gpu_seconds")
            ),
        )
        .collect()
    )


def _serving(ready: pl.DataFrame, slices: pl.DataFrame) -> pl.DataFrame:
    """Sum serving per pool-hour, and idle where the vendor does not bill it."""
    rules = slices.filter(pl.col("phase") == "ready").select(
        "replica_id", "started_at", "is_billed", "billed_phases"
    )
    hour = microseconds(pl.col("state_hour"))
    size = pl.col("chip_count").cast(pl.Int128) * (pl.col("fraction") * FRACTION_UNITS).cast(pl.Int128)
    edges = [size * (microseconds(pl.col(side)) - hour) for side in ("ended_at", "started_at")]
    held = half_even(edges[0], FRACTION_UNITS) - half_even(edges[1], FRACTION_UNITS)
    is_idle_unbilled = ~pl.col("billed_phases").list.contains("idle")
    return (
        ready.join(rules, on=["replica_id", "started_at"], how="left")
        .with_columns(pl.when("is_billed").then(held).otherwise(0).alias("held"))
        .with_columns(
            pl.col("state_hour").alias("pool_hour"),
            pl.col("serving_picodollars").alias("serving_usd"),
            half_even(pl.col("held") * pl.col("busy").cast(pl.Int128), pl.col("ends") - pl.col("starts")).alias(
                "serving_gpu_seconds"
            ),
        )
        .with_columns(
            pl.when(is_idle_unbilled)
            .then(pl.col(whole) - pl.col(f"serving_{unit}"))
            .otherwise(0)
            .alias(f"idle_unbilled_{unit}")
            for unit, whole in (("usd", "picodollars"), ("gpu_seconds", "held"))
        )
        .group_by(_KEY)
        .agg(pl.col(f"{part}_{unit}").sum() for part in ("serving", "idle_unbilled") for unit in ("usd", "gpu_seconds"))
    )  # fmt: skip


def _lifetimes(slices: pl.DataFrame) -> pl.DataFrame:
    """Bill unbroken billed time of each life, whatever states it passed through."""
    life = ["replica_id", "life", "hour", "accrued_on"]
    breaks = (pl.col("started_at") != pl.col("ended_at").shift(1).over(life)).fill_null(value=True)
    cost = [
        half_even(pl.col("cost_to").last(), COST_UNITS),
        half_even(pl.col("cost_from").first(), COST_UNITS),
    ]
    gpu = [
        half_even(pl.col("gpu_to").last(), FRACTION_UNITS),
        half_even(pl.col("gpu_from").first(), FRACTION_UNITS),
    ]
    return (
        slices.filter("is_billed")
        .sort("replica_id", "life", "started_at")
        .with_columns(breaks.cum_sum().over(life).alias("run"))
        .group_by(*_KEY, "replica_id", "life", "run", maintain_order=True)
        .agg((cost[0] - cost[1]).alias("lifetime_usd"), (gpu[0] - gpu[1]).alias("lifetime_gpu_seconds"))
        .group_by(_KEY)
        .agg(pl.col("lifetime_usd").sum(), pl.col("lifetime_gpu_seconds").sum())
    )


def _padding(slices: pl.DataFrame, intervals: pl.DataFrame) -> pl.DataFrame:
    """Bill the minimum and the rounding of the lives that end in the window, by the rule in force at their end."""
    last = slices.filter("ends_life").select(
        *_KEY, "replica_id", "life", "chip_count", "fraction", "rate", "granularity_seconds", "minimum_seconds",
        pl.col("billed_phases").alias("rule"),
    )  # fmt: skip
    phase, state, rule = pl.col("phase"), pl.col("state"), pl.col("rule")
    counts = rule.list.contains(state.replace("ready", "serving")) & (
        (phase == "failed") | (state != "failed") | rule.list.contains(phase)
    )
    length = microseconds(pl.col("ended_at")) - microseconds(pl.col("started_at"))
    used = (
        intervals.select("replica_id", "life", "phase", "state", "started_at", "ended_at")
        .join(last.select("replica_id", "life", "rule"), on=["replica_id", "life"])
        .filter(counts)
        .group_by("replica_id", "life")
        .agg(length.sum().alias("used"))
    )
    step = pl.col("granularity_seconds").fill_null(1) * 1_000_000
    least = pl.max_horizontal(pl.col("used"), pl.col("minimum_seconds").fill_null(0) * 1_000_000)
    size = pl.col("chip_count").cast(pl.Int128) * (pl.col("fraction") * FRACTION_UNITS).cast(pl.Int128)
    units = size * (-(-least // step) * step - pl.col("used"))
    return (
        last.join(used, on=["replica_id", "life"])
        .with_columns(
            half_even(units * pl.col("rate").fill_null(0).cast(pl.Int128), COST_UNITS).alias("padding_usd"),
            half_even(units, FRACTION_UNITS).alias("padding_gpu_seconds"),
        )
        .group_by(_KEY)
        .agg(pl.col("padding_usd").sum(), pl.col("padding_gpu_seconds").sum())
    )
