"""core.pool_hours: the bill of every pool and the parts that it is made of, to the picodollar."""

from datetime import datetime

import polars as pl

from models.costs.commitments import NO_PURCHASE, SCOPE, covered, unused
from models.costs.intervals import microseconds, slots
from models.costs.lives import replica_intervals
from models.costs.nodes import held_of_nodes, is_on, nodes_of, unheld
from models.costs.occupancy import POOL, in_flight, occupy
from models.costs.rates import COST_UNITS, FRACTION_UNITS, units_held
from models.costs.states import is_billed_phase, priced_slices
from models.costs.timeline import line_of, with_serving
from models.money import half_even, picodollars_from_usd, usd_from_picodollars
from models.schemas import table
from models.schemas.vocabulary import NONE_DEPLOYMENT, POOL_PARTS, STARTING_STATES

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

    coverage = covered(
        pl.concat([replicas, unheld(nodes, held_of_nodes(nodes, replicas))]),
        bought,
        cuts,
        as_known_at=as_known_at,
    )
    is_unused = pl.col("deployment") == NONE_DEPLOYMENT
    whole_slices = priced(coverage.intervals)
    slices = whole_slices.filter(~is_unused)
    occupancy = occupy(in_flight(requests), states, cuts)
    occupancy = with_serving(occupancy, line_of(occupancy))
    parts = _parts(states, cuts)
    serving = _serving(occupancy.ready, slices)
    lifetimes = _lifetimes(slices)
    padding = _padding(slices.filter(~is_on(nodes)), replicas)
    rows = parts.join(lifetimes, on=_KEY, how="left").join(serving, on=_KEY, how="left").join(
        padding, on=_KEY, how="left"
    )  # fmt: skip
    missing = ["padding_gpu_unpriced", "unpriced"]
    rows = rows.with_columns(pl.col(name).fill_null(0) for name in missing)
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
        shares = {part: found.get(part, zero) for part in POOL_PARTS}
        if unit == "usd":
            amounts += [
                usd_from_picodollars(pl.when("is_priced").then(amount).otherwise(none)).alias(f"{name}_usd")
                for name, amount in {"billed": billed, **shares}.items()
            ]
        else:
            amounts += _gpu_seconds(shares, billed=billed)
    is_provisional = (
        pl.lit(value=False) if provisional_from is None else pl.col("pool_hour") >= provisional_from
    )
    rows = rows.with_columns(
        *amounts,
        _seconds(pl.col("wall")).alias("wall_gpu_seconds"),
        _seconds(pl.col("unpriced") + pl.col("padding_gpu_unpriced")).alias("unpriced_gpu_seconds"),
    )
    # The rule of a purchase has neither minimum nor rounding.
    listed = nodes.join(coverage.bought.select(SCOPE).unique(), on=SCOPE, how="anti").with_columns(
        NO_PURCHASE
    )
    unheld_rows = _unused_pools(
        whole_slices.filter(is_unused), _padding(priced(listed), nodes), unused(coverage)
    )
    whole = pl.concat(
        [table("core.pool_hours").conform(each.lazy(), fill=True) for each in (rows, unheld_rows)]
    )
    return whole.with_columns(is_provisional.alias("is_provisional")).sort(_KEY).collect()


def _unused_pools(left: pl.DataFrame, padding: pl.DataFrame, unused_rows: pl.DataFrame) -> pl.DataFrame:
    """Return the pools of the deployment `(none)`: what of nodes and commitments nobody used."""
    cost = half_even(pl.col("cost_to"), COST_UNITS) - half_even(pl.col("cost_from"), COST_UNITS)
    gpu = pl.col("gpu_to") - pl.col("gpu_from")
    zero = pl.lit(0, dtype=pl.Int128)
    # What the vendor takes back early it bills nobody for, held or not.
    parts = {
        "unheld": left.select(
            *_KEY,
            pl.when("is_billed")
            .then(pl.when(pl.col("rate").is_not_null()).then(cost))
            .otherwise(zero)
            .alias("usd"),
            pl.when("is_billed").then(gpu).otherwise(zero).alias("gpu"),
            gpu.alias("wall"),
        ),
        "padding": padding.select(
            *_KEY,
            pl.when(pl.col("padding_gpu_unpriced") == 0).then("padding_usd").alias("usd"),
            pl.col("padding_gpu_seconds").alias("gpu"),
        ),
        "unused_commitment": unused_rows.select(
            *_KEY, pl.col("unused_usd").alias("usd"), pl.col("unused_gpu").alias("gpu")
        ),
    }
    wall = {
        name: pl.col("wall") if name == "unheld" else zero if name == "padding" else pl.col("gpu")
        for name in parts
    }
    rows = pl.concat(
        part.select(
            *_KEY,
            pl.lit(name).alias("part"),
            *(pl.col(unit).cast(pl.Int128) for unit in ("usd", "gpu")),
            wall[name].cast(pl.Int128).alias("wall"),
        )
        for name, part in parts.items()
    )
    summed = {
        f"{name}_{unit}": pl.col(unit).filter(pl.lit(name == "billed") | (pl.col("part") == name)).sum()
        for name in ("billed", *POOL_PARTS)
        for unit in ("usd", "gpu")
    }
    is_known = pl.col("usd").is_not_null().any()
    dollars = {
        f"{name}_usd": usd_from_picodollars(pl.when(is_known).then(summed[f"{name}_usd"]))
        for name in ("billed", *POOL_PARTS)
    }
    seconds = _gpu_seconds({name: summed[f"{name}_gpu"] for name in POOL_PARTS}, billed=summed["billed_gpu"])
    unpriced = pl.col("gpu").filter(pl.col("usd").is_null()).sum()
    return rows.group_by(_KEY).agg(
        *seconds,
        **dollars,
        wall_gpu_seconds=_seconds(pl.col("wall").sum()),
        unpriced_gpu_seconds=_seconds(unpriced),
    )


def _seconds(held: pl.Expr) -> pl.Expr:
    """Return GPU-seconds of parts x microseconds, rounded once."""
    microseconds_held = half_even(held, FRACTION_UNITS)
    return usd_from_picodollars(microseconds_held * 1_000_000, pl.Decimal(38, 12)).cast(pl.Decimal(38, 6))


def _gpu_seconds(parts: dict[str, pl.Expr], *, billed: pl.Expr) -> list[pl.Expr]:
    """Return the GPU-seconds of a bill and of its parts: order, cumulate, round, difference."""
    found = [_seconds(billed).alias("billed_gpu_seconds")]
    before = upto = pl.lit(0, dtype=pl.Int128)
    for name, part in parts.items():
        upto = before + part
        found.append((_seconds(upto) - _seconds(before)).cast(pl.Decimal(38, 6)).alias(f"{name}_gpu_seconds"))
        before = upto
    return found


def _parts(states: pl.LazyFrame, cuts: pl.DataFrame) -> pl.DataFrame:
    """Sum the states per pool-hour: picodollars and billed GPU-microseconds by part."""
    held = _held()
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
        .with_columns(
            billed.alias("gpu_seconds"),
            pl.when(pl.coalesce("phase", "state") != "waiting").then("held").otherwise(billed).alias("wall"),
        )
        .group_by(_KEY)
        .agg(
            pl.when(pl.col("model").n_unique() == 1).then(pl.col("model").first()).alias("model"),
            pl.col("wall").sum(),
            pl.col("gpu_seconds").filter(pl.col("usd").is_null()).sum().alias("unpriced"),
            pl.col("usd").is_not_null().any().alias("is_priced"),
            *(
                pl.col(unit).filter(pl.col("part") == name).sum().alias(f"{name}_{unit}")
                for name in names
                for unit in ("usd", "gpu_seconds")
            ),
        )
        .collect()
    )


def _held() -> pl.Expr:
    """Return the parts x microseconds of a slice."""
    return units_held().cast(pl.Int128) * (
        microseconds(pl.col("ended_at")) - microseconds(pl.col("started_at"))
    )


def _serving(ready: pl.DataFrame, slices: pl.DataFrame) -> pl.DataFrame:
    """Sum serving per pool-hour, and idle where the vendor does not bill it."""
    which = ["replica_id", *POOL, "started_at"]
    rules = (
        slices.filter(pl.col("phase") == "ready").select(*which, "is_billed", "billed_phases").unique(which)
    )
    is_idle_unbilled = ~pl.col("billed_phases").list.contains("idle")
    return (
        ready.join(rules, on=which, how="left")
        .with_columns(pl.when("is_billed").then(_held()).otherwise(0).alias("held"))
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
    """Bill unbroken billed time of each life at one sheet or purchase, whatever states it passed through."""
    life = ["replica", "life", "hour", "accrued_on"]
    breaks = (
        (pl.col("started_at") != pl.col("ended_at").shift(1).over(life))
        | pl.col("purchase").ne_missing(pl.col("purchase").shift(1).over(life))
        # What a purchase sells is used by others too, between two slots of an hour in which another begins or ends.
        | (pl.col("purchase").is_not_null() & (pl.col("cost_from") != pl.col("cost_to").shift(1).over(life)))
        | (pl.col("units") != pl.col("units").shift(1).over(life))
    ).fill_null(value=True)
    cost = half_even(pl.col("cost_to").last(), COST_UNITS) - half_even(
        pl.col("cost_from").first(), COST_UNITS
    )
    gpu = pl.col("gpu_to").last() - pl.col("gpu_from").first()
    return (
        slices.filter("is_billed")
        .sort("replica", "life", "started_at")
        .with_columns(breaks.cum_sum().over(life).alias("run"))
        .group_by(*_KEY, "replica", "life", "run", maintain_order=True)
        .agg(cost.alias("lifetime_usd"), gpu.alias("lifetime_gpu_seconds"))
        .group_by(_KEY)
        .agg(pl.col("lifetime_usd").sum(), pl.col("lifetime_gpu_seconds").sum())
    )


def _padding(slices: pl.DataFrame, intervals: pl.DataFrame) -> pl.DataFrame:
    """Bill the minimum and the rounding of the lives that end in the window, by the rule in force at their end."""
    last = slices.filter("ends_life").select(
        *_KEY, "replica", "life", "units", "rate", "granularity_seconds", "minimum_seconds",
        pl.col("billed_phases").alias("rule"),
    )  # fmt: skip
    length = microseconds(pl.col("ended_at")) - microseconds(pl.col("started_at"))
    used = (
        intervals.select("replica", "life", "phase", "state", "started_at", "ended_at")
        .join(last.select("replica", "life", "rule"), on=["replica", "life"])
        .filter(is_billed_phase(pl.col("rule")))
        .group_by("replica", "life")
        .agg(length.sum().alias("used"))
    )
    step = pl.col("granularity_seconds").fill_null(1) * 1_000_000
    least = pl.max_horizontal(pl.col("used"), pl.col("minimum_seconds").fill_null(0) * 1_000_000)
    size = pl.col("units").cast(pl.Int128)
    units = size * (-(-least // step) * step - pl.col("used"))
    return (
        last.join(used, on=["replica", "life"])
        .with_columns(
            half_even(units * pl.col("rate").fill_null(0).cast(pl.Int128), COST_UNITS).alias("padding_usd"),
            units.alias("padding_gpu_seconds"),
        )
        .with_columns(
            pl.when(pl.col("rate").is_null())
            .then("padding_gpu_seconds")
            .otherwise(0)
            .alias("padding_gpu_unpriced")
        )
        .group_by(_KEY)
        .agg(pl.col(f"padding_{name}").sum() for name in ("usd", "gpu_seconds", "gpu_unpriced"))
    )
