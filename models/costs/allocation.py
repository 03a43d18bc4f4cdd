"""core.request_costs of GPU pools: each ready replica's serving dollars, split over the attempts in flight."""

from datetime import datetime
from typing import Literal

import polars as pl

from models.costs.intervals import half_even, slots
from models.costs.occupancy import POOL, Occupancy, in_flight, occupy
from models.costs.timeline import shares, with_serving
from models.money import ROW_USD, usd_from_picodollars
from models.schemas import table
from models.schemas.vocabulary import OUTPUT_TOKEN_COLUMNS, TOKEN_COLUMNS

Rule = Literal["token_share", "equal_share"]
INPUT_WEIGHT_PERCENT = 46
"""A prefilled input token weighs 0.46 of an output token: a node of the public DeepSeek day did 32.2k uncached
prefill or 14.8k decode tokens a second. Cache reads weigh nothing."""
_WEIGHED_INPUT = tuple(
    f"{name}_tokens"
    for name in (
        "input_uncached", "cache_write_5m", "cache_write_1h", "audio_input", "image_input", "video_input",
        "other_input",
    )
)  # fmt: skip
_SHORTEST = 1_000
_FIXED = 2**20


def allocate_requests(
    requests: pl.LazyFrame,
    states: pl.LazyFrame,
    *,
    rule: Rule = "token_share",
    time_zone: str,
    from_hour: datetime,
    to_hour: datetime,
    provisional_from: datetime,
) -> pl.LazyFrame:
    """Return rows of `core.request_costs` (cost_basis gpu) that accrue in [from_hour, to_hour).

    One row per attempt x hour x business day in which it worked on ready replicas; the hour in which its work
    began always has one, which carries its tokens: without a ready replica there it is `no_replica_ready`, NULL.
    Dollars per pool-hour x accrued_on sum to `core.pool_hours.serving_usd` exactly. A row of an attempt without
    an end has `usage_source` estimated.

    Args:
        requests: attempts that ran on GPU pools, in the shape of `core.requests`; each gets its rows, even where
            the states of the window know neither its replica nor its deployment (scaled to zero).
        states: `core.replica_states` of the window; others do no harm.
        rule: `token_share` (weighted tokens a second) or `equal_share`.
        time_zone: IANA reporting zone.
        from_hour: start of the window, a UTC hour.
        to_hour: end of the window, exclusive.
        provisional_from: rows of hours from here on are marked provisional.
    """
    attempts = requests.collect()
    work = in_flight(attempts.lazy())
    cuts = slots(from_hour=from_hour, to_hour=to_hour, time_zone=time_zone)
    occupancy = with_serving(occupy(work, states, cuts))
    weighed = _weighed(attempts, work, rule=rule)
    slices = _split(occupancy, weighed)
    return table("core.request_costs").conform(
        _rows(occupancy, slices, attempts, weighed, cuts)
        .with_columns((pl.col("accrued_hour") >= provisional_from).alias("is_provisional"))
        .lazy(),
        fill=True,
    )


def _weighed(attempts: pl.DataFrame, work: pl.DataFrame, *, rule: Rule) -> pl.DataFrame:
    """Return one row per attempt at work: `input_weight, output_weight, hundredths` (integers), `weight`, `lasts`."""
    total = {
        name: pl.sum_horizontal(pl.col(column).fill_null(0) for column in columns)
        for name, columns in (("in", _WEIGHED_INPUT), ("out", OUTPUT_TOKEN_COLUMNS))
    }
    lasts = pl.col("work_to") - pl.col("work_from")
    counted = attempts.select(
        (total["in"] * INPUT_WEIGHT_PERCENT).alias("input_weight"),
        (total["out"] * 100).alias("output_weight"),
    ).with_row_index("request")
    weighed = work.select("request", lasts.alias("lasts")).join(counted, on="request", maintain_order="left")
    hundredths = pl.max_horizontal(pl.col("input_weight") + pl.col("output_weight"), 100)
    rate = hundredths * 10_000.0 / pl.max_horizontal("lasts", _SHORTEST)
    return weighed.with_columns(
        hundredths.alias("hundredths"), (rate if rule == "token_share" else pl.lit(1.0)).alias("weight")
    )


def _split(occupancy: Occupancy, weighed: pl.DataFrame) -> pl.DataFrame:
    """Return `unit, picodollars, is_priced, worked, price_id`: what each unit costs, exact per stage."""
    request = occupancy.units["request"].gather(occupancy.placed["unit"])
    spot = weighed["request"].search_sorted(request)
    names = occupancy.placed.with_columns(weighed["weight"].gather(spot), request)
    price = occupancy.ready.sort("starts").group_by("stage").agg(
        pl.col("serving_picodollars").sum().alias("whole"),
        pl.col("picodollars").is_not_null().any().alias("is_priced"),
        pl.col("price_id").drop_nulls().first(),
    )  # fmt: skip
    exact = shares(names, occupancy).alias("exact")
    ordered = _ordered(names.with_columns((exact * _FIXED).cast(pl.Int128).alias("exact")), occupancy)
    begins = (pl.col("stage") != pl.col("stage").shift(1)).fill_null(value=True)
    ends = (pl.col("stage") != pl.col("stage").shift(-1)).fill_null(value=True)
    running = pl.col("exact").cum_sum()
    # Order, cumulate, round, difference; the last unit of a stage closes it on the whole.
    return (
        ordered.join(price, on="stage", how="left", maintain_order="left")
        .with_columns(begins.alias("begins"), ends.alias("ends_stage"), running.alias("running"))
        .with_columns(
            (
                pl.col("running")
                - pl.when("begins").then(pl.col("running") - pl.col("exact")).forward_fill()
            ).alias("upto")
        )
        .with_columns(
            pl.when("ends_stage")
            .then("whole")
            .otherwise(pl.min_horizontal((pl.col("upto") + _FIXED // 2) // _FIXED, "whole"))
            .alias("upto")
        )
        .with_columns(
            (pl.col("upto") - pl.when("begins").then(0).otherwise(pl.col("upto").shift(1))).alias("picodollars"),
            (pl.col("ends") - pl.col("starts")).alias("worked"),
        )
        .group_by("unit")
        .agg(
            pl.col("picodollars").sum(),
            pl.col("is_priced").any(),
            pl.col("worked").sum(),
            pl.col("price_id").drop_nulls().first(),
        )
    )  # fmt: skip


def _ordered(names: pl.DataFrame, occupancy: Occupancy) -> pl.DataFrame:
    """Sort by stage and start; ties by identity, so that the order of the input does not matter."""
    key = (pl.col("stage") * 2**32 + pl.col("starts")).alias("key")
    names = names.with_columns(key).sort("key")
    is_tied = (pl.col("key") == pl.col("key").shift(1)) | (pl.col("key") == pl.col("key").shift(-1))
    is_tied = is_tied.fill_null(value=False)
    identity = occupancy.identity
    at = identity["request"].search_sorted(names["request"])
    tied = names.with_columns(at.alias("at")).filter(is_tied)
    tied = tied.with_columns(
        identity["source"].gather(tied["at"]), identity["request_id"].gather(tied["at"])
    ).sort("key", "source", "request_id", "ends", "weight")  # fmt: skip
    return names.filter(~is_tied).merge_sorted(tied.select(names.columns), "key")


def _rows(
    occupancy: Occupancy,
    slices: pl.DataFrame,
    attempts: pl.DataFrame,
    weighed: pl.DataFrame,
    cuts: pl.DataFrame,
) -> pl.DataFrame:
    pools = occupancy.pools.rename({name: f"pool_{name}" for name in POOL})
    carried = [name for name in table("core.request_costs").column_names if name in attempts.columns]
    facts = attempts.select(*dict.fromkeys([*carried, "finished_at", "provider_reported_cost_usd"]))
    facts = facts.drop("commitment", "deployment", strict=False)
    is_met = pl.col("picodollars").is_not_null()
    is_first = pl.col("is_first")
    is_whole = pl.col("worked") == pl.col("lasts")
    accrued = pl.when(is_whole).then(pl.col("hundredths").cast(pl.Float64)).otherwise(
        pl.col("hundredths") * pl.col("worked").cast(pl.Float64) / pl.max_horizontal("lasts", 1)
    ) / 100  # fmt: skip
    grain = pl.when("is_pool_grain").then(pl.lit("pool")).otherwise(pl.lit("replica"))
    both = pl.col("input_weight") + pl.col("output_weight")
    effective = pl.when("is_priced").then("picodollars")
    from_input = half_even(pl.col("picodollars") * pl.col("input_weight"), pl.max_horizontal(both, 1))
    usd = usd_from_picodollars(effective, ROW_USD)
    input_usd = usd_from_picodollars(pl.when("is_priced").then(from_input), ROW_USD)
    units = (
        occupancy.units.join(slices, on="unit", how="left", maintain_order="left")
        .filter(is_met | is_first)
        .with_columns(pl.col("is_priced").fill_null(value=False))
    )
    rows = weighed["request"].search_sorted(units["request"])
    units = units.hstack(weighed[rows].drop("request")).hstack(facts[units["request"]])
    return (
        units.lazy()
        .join(pools.lazy(), on="pool", how="left")
        .join(cuts.lazy().select("slot", pl.col("hour").alias("accrued_hour"), "accrued_on"), on="slot")
        .with_columns(
            *(pl.coalesce(f"pool_{name}", name).alias(name) for name in ("provider", "region")),
            pl.col("pool_chip").alias("chip"),
            pl.col("pool_commitment").alias("commitment"),
            pl.coalesce("pool_deployment", "route").alias("deployment"),
            pl.coalesce("served_model", "routed_model", "requested_model").alias("model"),
            is_first.alias("is_first_accrual"),
            *(pl.when(is_first).then(pl.col(name)).otherwise(0).alias(name) for name in TOKEN_COLUMNS),
            *(usd.alias(f"{layer}_usd") for layer in ("list", "contracted", "effective")),
            input_usd.alias("input_usd"),
            (usd - input_usd).cast(ROW_USD).alias("output_usd"),
            pl.when("is_priced").then(pl.lit(0)).cast(ROW_USD).alias("meters_usd"),
            pl.when(is_first).then("provider_reported_cost_usd").alias("gateway_reported_usd"),
            pl.when(is_met).then(accrued).round(6).alias("allocation_weight"),
            pl.when(pl.col("pool") >= 0).then(grain).alias("allocation_grain"),
            pl.when("is_priced").then(pl.lit("priced")).otherwise(pl.lit("unpriced")).alias("price_state"),
            pl.when(~is_met).then(pl.lit("no_replica_ready")).when(~pl.col("is_priced")).then(pl.lit("unknown_chip")).alias("unpriced_reason"),
            pl.lit("gpu").alias("cost_basis"),
            pl.when(pl.col("finished_at").is_null() & (pl.col("usage_source") == "provider"))
            .then(pl.lit("estimated"))
            .otherwise("usage_source")
            .alias("usage_source"),
        )
        .collect()
    )  # fmt: skip
