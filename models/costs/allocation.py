"""core.request_costs of GPU pools: each ready replica's serving dollars, split over the attempts in flight."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from models.costs.intervals import half_even, slots
from models.costs.occupancy import POOL, Occupancy, in_flight, occupy
from models.costs.quotas import by_quota
from models.costs.timeline import Line, line_of, shares, with_serving
from models.costs.weights import SCALE, PoolRule, Rule, Weighed, Weights, weigh
from models.money import ROW_USD
from models.schemas import table
from models.schemas.vocabulary import TOKEN_COLUMNS

Ints = npt.NDArray[np.int64]
_WEIGHT = pl.Decimal(18, 6)
_FIXED = 2**20
"""Shares are cumulated in this fraction of a picodollar."""


def allocate_requests(
    requests: pl.LazyFrame,
    states: pl.LazyFrame,
    *,
    rule: Rule = "token_share",
    weights: Weights | None = None,
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
        rule: `token_share` (weighted tokens a second) or `equal_share`, where `weights` has no rule for the pool.
        weights: measured weights of tokens by model and chip, the default where there is none; rules of pools.
        time_zone: IANA reporting zone.
        from_hour: start of the window, a UTC hour.
        to_hour: end of the window, exclusive.
        provisional_from: rows of hours from here on are marked provisional.
    """
    attempts = _attempts(requests)
    work = in_flight(attempts.lazy())
    cuts = slots(from_hour=from_hour, to_hour=to_hour, time_zone=time_zone)
    occupancy = occupy(work, states, cuts)
    line = line_of(occupancy)
    occupancy = with_serving(occupancy, line)
    known = weights or Weights()
    rules = [
        known.rule_of(pool) or PoolRule(rule=rule)
        for pool in occupancy.pools.select(POOL).iter_rows(named=True)
    ]
    weighed = _weighed(attempts, work, occupancy, rules=rules, weights=known)
    slices = _split(occupancy, line, weighed, attempts, rules)
    rows = _rows(occupancy, slices, attempts, weighed, cuts)
    provisional = (pl.col("accrued_hour") >= provisional_from).alias("is_provisional")
    return table("core.request_costs").conform(rows.lazy().with_columns(provisional), fill=True)


def _attempts(requests: pl.LazyFrame) -> pl.DataFrame:
    """Read the columns that work and rows need; columns that hold nothing are left out, but for those of work."""
    needed = (
        "source", "request_id", "replica_id", "route", "provider", "region", "started_at", "finished_at",
        "queue_seconds", "is_gateway_cache_hit", "served_model", "routed_model", "requested_model", "usage_source",
        "provider_reported_cost_usd",
    )  # fmt: skip
    own = table("core.request_costs").column_names
    passed = [name for name in table("core.requests").column_names if name in own and name not in needed]
    attempts = requests.select(*needed, *passed).collect()
    empty = [name for name in passed if attempts.get_column(name).null_count() == attempts.height]
    return attempts.drop(empty if attempts.height else [])


def _weighed(
    attempts: pl.DataFrame,
    work: pl.DataFrame,
    occupancy: Occupancy,
    *,
    rules: list[PoolRule],
    weights: Weights,
) -> Weighed:
    rows = occupancy.units.get_column("request").to_numpy()
    # An attempt that is no work (a cache hit) is in no unit.
    at = work.get_column("request").search_sorted(occupancy.units.get_column("request"))
    lasts = (work.get_column("work_to") - work.get_column("work_from")).gather(at).to_numpy()
    model = attempts.select(pl.coalesce("served_model", "routed_model", "requested_model")).to_series()
    return weigh(
        attempts,
        rows,
        lasts,
        models=model.gather(rows) if weights.tokens else model.head(0),
        chips=_of_pool(occupancy, "chip") if weights.tokens else model.head(0),
        table=weights.tokens,
        # What is tied to no pool weighs nothing that is split.
        is_equal=np.array([each.rule == "equal_share" for each in rules] + [False])[
            occupancy.units.get_column("pool").to_numpy()
        ],
    )


def _of_pool(occupancy: Occupancy, name: str) -> pl.Series:
    """Return a dimension of the pool that each unit is tied to; NULL where there is none."""
    pool = occupancy.units.get_column("pool")
    return occupancy.pools.get_column(name).gather(pl.select(pl.when(pool >= 0).then(pool)).to_series())


@dataclass(frozen=True)
class _Slices:
    """What each unit costs, exact per stage: `stage` is one that it worked in, NONE where there is none."""

    picodollars: Ints
    worked: Ints
    price_stage: Ints
    is_met: npt.NDArray[np.bool_]
    is_priced: npt.NDArray[np.bool_]
    price_ids: pl.Series


_NONE = -1


def _split(
    occupancy: Occupancy, line: Line, weighed: Weighed, attempts: pl.DataFrame, rules: list[PoolRule]
) -> _Slices:
    """Split each stage's serving dollars over the units placed in it: order, cumulate, round, difference."""
    stages = (
        occupancy.ready.sort("starts")
        .group_by("stage")
        .agg(
            pl.col("serving_picodollars").sum().cast(pl.Int64).alias("whole"),
            pl.col("picodollars").is_not_null().any().alias("is_priced"),
            pl.col("price_id").drop_nulls().first(),
        )
        .sort("stage")
    )
    count = occupancy.units.height
    placed_unit = occupancy.placed.get_column("unit").to_numpy().astype(np.int64)
    order = _rounding_order(occupancy, line, weighed.rate[placed_unit])
    unit = placed_unit[order]
    stage = occupancy.placed.get_column("stage").to_numpy()[order]
    share = shares(line, occupancy, weighed.rate[placed_unit])[order]
    known = stages.get_column("stage").to_numpy()
    spot = np.searchsorted(known, stage)
    begins = np.append(True, stage[1:] != stage[:-1])[: len(stage)]
    whole = stages.get_column("whole").to_numpy()[spot]
    lasts = (occupancy.placed.get_column("ends") - occupancy.placed.get_column("starts")).to_numpy()[order]
    if any(each.quotas for each in rules) and "tenant" in attempts.columns:
        share = by_quota(
            share,
            stage=stage,
            pool=occupancy.units.get_column("pool").to_numpy()[unit],
            tenant=attempts.get_column("tenant").gather(occupancy.units.get_column("request").gather(unit)),
            work=weighed.rate[unit] * lasts,
            whole=whole,
            quotas=[each.quotas or None for each in rules],
        )
    fixed = (pl.Series(share) * _FIXED).cast(pl.Int128)
    before = fixed.cum_sum() - fixed
    upto = before - before.gather(np.flatnonzero(begins)).gather(np.cumsum(begins) - 1) + fixed
    rounded = pl.select(((pl.lit(upto) + _FIXED // 2) // _FIXED).cast(pl.Int64)).to_series().to_numpy()
    # The last unit of a stage closes it on the whole.
    ends = np.append(begins[1:], True)[: len(stage)]
    rounded = np.where(ends, whole, np.minimum(rounded, whole))
    amount = rounded - np.where(begins, 0, np.append(0, rounded[:-1])[: len(stage)])
    picodollars, worked = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    np.add.at(picodollars, unit, amount)
    np.add.at(worked, unit, lasts)
    is_met, is_priced = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    priced_here = stages.get_column("is_priced").to_numpy()[spot]
    is_met[unit] = True
    is_priced[unit[priced_here]] = True
    price_stage = np.full(count, _NONE, dtype=np.int64)
    has_price = stages.get_column("price_id").is_not_null().to_numpy()[spot]
    # Written backwards, so that the price of a unit's first stage stays.
    price_stage[unit[has_price][::-1]] = spot[has_price][::-1]
    return _Slices(picodollars, worked, price_stage, is_met, is_priced, stages.get_column("price_id"))


def _rounding_order(occupancy: Occupancy, line: Line, rate: npt.NDArray[np.float64]) -> Ints:
    """Order placed rows by stage and start; ties by identity, so that the order of the input does not matter."""
    order = line.order[line.order < line.count]
    key = (
        occupancy.placed.get_column("stage").to_numpy() * 2**32
        + occupancy.placed.get_column("starts").to_numpy()
    )[order]
    same = np.append(False, key[1:] == key[:-1])[: len(key)]
    tied = np.flatnonzero(same | np.append(same[1:], False)[: len(key)])
    if not len(tied):
        return order
    rows = order[tied]
    request = occupancy.units.get_column("request").gather(occupancy.placed.get_column("unit").gather(rows))
    at = occupancy.identity.get_column("request").search_sorted(request)
    sorted_rows = (
        pl.DataFrame(
            {
                "row": rows,
                "key": key[tied],
                "source": occupancy.identity.get_column("source").gather(at),
                "request_id": occupancy.identity.get_column("request_id").gather(at),
                "ends": occupancy.placed.get_column("ends").gather(rows),
                "rate": rate[rows],
            }
        )
        .sort("key", "source", "request_id", "ends", "rate")
        .get_column("row")
    )
    order = order.copy()
    order[tied] = sorted_rows.to_numpy()
    return order


def _rows(
    occupancy: Occupancy, slices: _Slices, attempts: pl.DataFrame, weighed: Weighed, cuts: pl.DataFrame
) -> pl.DataFrame:
    """Write the rows of units that met a replica, and of those in which work began."""
    is_first = occupancy.units.get_column("is_first").to_numpy()
    kept = np.flatnonzero(slices.is_met | is_first)
    units = occupancy.units[kept]
    rows = units.get_column("request").to_numpy()
    is_same = len(rows) == attempts.height and bool((rows == np.arange(len(rows))).all())
    facts = attempts if is_same else attempts[rows]
    first = pl.Series("is_first_accrual", is_first[kept])
    slot = units.get_column("slot")
    pooled = occupancy.pools.select(
        pl.all().gather(
            pl.select(pl.when(units.get_column("pool") >= 0).then(units.get_column("pool"))).to_series()
        )
    )
    met, priced = slices.is_met[kept], pl.Series(slices.is_priced[kept])
    picodollars, worked, lasts = slices.picodollars[kept], slices.worked[kept], weighed.lasts[kept]
    from_input = pl.select(
        half_even(
            pl.lit(pl.Series(picodollars)).cast(pl.Int128) * pl.lit(pl.Series(weighed.from_input[kept])),
            pl.lit(pl.Series(np.maximum(weighed.both[kept], 1))),
        )
    ).to_series()
    whole = weighed.whole[kept]
    millionths = whole * (1_000_000 // SCALE)
    part = np.rint(millionths * (worked / np.maximum(lasts, 1))).astype(np.int64)
    accrued = (
        pl.Series(np.where(worked == lasts, millionths, part)).cast(pl.Int128).reinterpret(dtype=_WEIGHT)
    )
    usd = _dollars(pl.Series(picodollars), priced)
    input_usd = _dollars(from_input, priced)
    has_pool = units.get_column("pool") >= 0
    columns = {
        "accrued_hour": cuts.get_column("hour").gather(slot),
        "accrued_on": cuts.get_column("accrued_on").gather(slot),
        "is_first_accrual": first,
        "list_usd": usd,
        "contracted_usd": usd,
        "effective_usd": usd,
        "input_usd": input_usd,
        "output_usd": usd - input_usd,
        "meters_usd": _dollars(pl.Series(np.zeros(len(rows), dtype=np.int64)), priced),
        "price_id": slices.price_ids.gather(_or_null(pl.Series(slices.price_stage[kept]))),
        "chip": pooled.get_column("chip"),
        "commitment": pooled.get_column("commitment"),
    }
    grain = pl.when("is_pool_grain").then(pl.lit("pool")).otherwise(pl.lit("replica"))
    is_met, is_priced = pl.lit(pl.Series(met)), pl.lit(priced)
    named = facts.drop("commitment", "deployment", "chip", strict=False).with_columns(
        *(pl.coalesce(pl.lit(pooled.get_column(name)), name).alias(name) for name in ("provider", "region")),
        pl.coalesce(pl.lit(pooled.get_column("deployment")), "route").alias("deployment"),
        pl.coalesce("served_model", "routed_model", "requested_model").alias("model"),
        pl.when(pl.lit(first)).then("provider_reported_cost_usd").alias("gateway_reported_usd"),
        pl.when(is_met).then(pl.lit(accrued)).alias("allocation_weight"),
        pl.when(pl.lit(has_pool)).then(pl.lit(units.select(grain).to_series())).alias("allocation_grain"),
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
    return named.with_columns(**columns)


def _dollars(picodollars: pl.Series, is_known: pl.Series) -> pl.Series:
    """Turn picodollars into dollars; an integer of 1e-12 is what the decimal holds."""
    usd = picodollars.cast(pl.Int128).reinterpret(dtype=ROW_USD)
    return pl.select(pl.when(is_known).then(usd)).to_series()


def _or_null(places: pl.Series) -> pl.Series:
    return pl.select(pl.when(places >= 0).then(places)).to_series()
