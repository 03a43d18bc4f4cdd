"""The rows of core.request_costs of GPU pools, from what each unit costs."""

import numpy as np
import numpy.typing as npt
import polars as pl

from models.costs.asked import TIMES
from models.costs.intervals import half_even_parts
from models.costs.occupancy import Occupancy
from models.costs.splits import Slices
from models.costs.weights import DEFAULT_WEIGHTS, SCALE, PoolRule, UnitWeights
from models.money import ROW_USD
from models.schemas.vocabulary import TOKEN_COLUMNS

Ints = npt.NDArray[np.int64]
_WEIGHT = pl.Decimal(18, 6)


def request_rows(
    occupancy: Occupancy,
    slices: Slices,
    attempts: pl.DataFrame,
    weighed: UnitWeights,
    cuts: pl.DataFrame,
    rules: list[PoolRule],
) -> pl.DataFrame:
    """Write the rows of units that met a replica, and of those in which work began; `rules` are those of the pools."""
    is_first = occupancy.units.get_column("is_first").to_numpy()
    kept = np.flatnonzero(slices.is_met | is_first)
    units = occupancy.units[kept]
    rows = units.get_column("request").to_numpy()
    is_same = len(rows) == attempts.height and bool((rows == np.arange(len(rows))).all())
    facts = attempts if is_same else attempts[rows]
    first = pl.Series("is_first_accrual", is_first[kept])
    slot, pool = units.get_column("slot"), units.get_column("pool")
    rule = pl.Series("allocation_rule", [each.rule for each in rules], dtype=pl.String)
    pooled = occupancy.pools.with_columns(rule).select(pl.all().gather(_or_null(pool)))
    met, priced = pl.Series(slices.is_met[kept]), pl.Series(slices.is_priced[kept])
    picodollars, worked, lasts = slices.picodollars[kept], slices.worked[kept], weighed.lasts[kept]
    of_input = half_even_parts(picodollars, weighed.from_input[kept], np.maximum(weighed.both[kept], 1))
    usd = _dollars(picodollars, priced)
    columns = {
        "accrued_hour": cuts.get_column("hour").gather(slot),
        "accrued_on": cuts.get_column("accrued_on").gather(slot),
        "is_first_accrual": first,
        "list_usd": usd,
        "contracted_usd": usd,
        "effective_usd": usd,
        "input_usd": _dollars(of_input, priced),
        "output_usd": _dollars(picodollars - of_input, priced),
        "meters_usd": _dollars(np.zeros(len(rows), dtype=np.int64), priced),
        "price_id": slices.price_ids.gather(_or_null(pl.Series(slices.price_stage[kept]))),
        "chip": pooled.get_column("chip"),
        "commitment": pooled.get_column("commitment"),
        "allocation_rule": pooled.get_column("allocation_rule"),
    }
    origin = DEFAULT_WEIGHTS.origin if weighed.origin is None else weighed.origin.gather(kept)
    grain = pl.when("is_pool_grain").then(pl.lit("pool")).otherwise(pl.lit("replica"))
    is_met, is_priced = pl.lit(met), pl.lit(priced)
    named = facts.drop("commitment", "deployment", "chip", strict=False).with_columns(
        *(pl.coalesce(pl.lit(pooled.get_column(name)), name).alias(name) for name in ("provider", "region")),
        pl.coalesce(pl.lit(pooled.get_column("deployment")), "route").alias("deployment"),
        pl.coalesce("served_model", "routed_model", "requested_model").alias("model"),
        pl.when(pl.lit(first)).then("provider_reported_cost_usd").alias("gateway_reported_usd"),
        pl.when(is_met).then(pl.lit(_millionths(weighed.whole[kept], worked, lasts))).alias("allocation_weight"),
        pl.when(pl.lit(pool) >= 0).then(pl.lit(units.select(grain).to_series())).alias("allocation_grain"),
        pl.when(pl.lit(pool) >= 0).then(pl.lit(origin)).alias("weights_from"),
        pl.when(is_priced).then(pl.lit("priced")).otherwise(pl.lit("unpriced")).alias("price_state"),
        pl.when(~is_met).then(pl.lit("no_replica_ready")).when(~is_priced).then(pl.lit("unknown_chip")).alias("unpriced_reason"),
        pl.lit("gpu").alias("cost_basis"),
        pl.when(pl.col("finished_at").is_null() & (pl.col("usage_source") == "provider"))
        .then(pl.lit("estimated"))
        .otherwise("usage_source")
        .alias("usage_source"),
    )  # fmt: skip
    if not first.all():
        tokens = [name for name in TOKEN_COLUMNS if name in named.columns]
        named = named.with_columns(pl.when(pl.lit(first)).then(pl.col(name)).otherwise(0) for name in tokens)
        missing = [name for name in TOKEN_COLUMNS if name not in named.columns]
        named = named.with_columns(pl.when(~pl.lit(first)).then(0).alias(name) for name in missing)
        times = [name for name in TIMES if name in named.columns]
        named = named.with_columns(pl.when(pl.lit(first)).then(pl.col(name)) for name in times)
    return named.with_columns(**columns)


def _millionths(whole: Ints, worked: Ints, lasts: Ints) -> pl.Series:
    """Return the weighted tokens of what each attempt worked here; an integer of 1e-6 is what the decimal holds."""
    millionths = whole * (1_000_000 // SCALE)
    parts = np.flatnonzero(worked != lasts)
    share = worked[parts] / np.maximum(lasts[parts], 1)
    millionths[parts] = np.rint(millionths[parts] * share).astype(np.int64)
    return pl.Series(millionths).cast(pl.Int128).reinterpret(dtype=_WEIGHT)


def _dollars(picodollars: Ints, is_known: pl.Series) -> pl.Series:
    """Turn picodollars into dollars; an integer of 1e-12 is what the decimal holds."""
    usd = pl.Series(picodollars).cast(pl.Int128).reinterpret(dtype=ROW_USD)
    return pl.select(pl.when(is_known).then(usd)).to_series()


def _or_null(places: pl.Series) -> pl.Series:
    return pl.select(pl.when(places >= 0).then(places)).to_series()
