"""core.request_costs of GPU pools: each ready replica's serving dollars, split over the attempts in flight."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from models.costs.intervals import MICROSECONDS_PER_HOUR, microseconds, slots
from models.costs.occupancy import POOL, Occupancy, in_flight, occupy
from models.costs.request_rows import request_rows
from models.costs.splits import split
from models.costs.timeline import line_of, with_serving
from models.costs.token_rows import asked_columns
from models.costs.weights import PoolRule, Rule, UnitWeights, Weights, weigh
from models.schemas import table

Ints = npt.NDArray[np.int64]
_HOUR = timedelta(hours=1)
_CHUNK_ROWS = 2**18
"""Attempts that are worked off together, if an hour has no more: few enough to stay near the processor."""
_DENSE = 1.25
_AT_ONCE = 2
"""Chunks side by side; most of their time is in NumPy, which works on one core and without Python's lock."""


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
    known_states = states.collect()

    def allocated(hours: tuple[datetime, datetime, Ints]) -> pl.DataFrame:
        begins, ends, live = hours
        cuts = slots(from_hour=begins, to_hour=ends, time_zone=time_zone)
        return _allocated(
            _taken(attempts, live), known_states.lazy(), cuts, rule=rule, weights=weights or Weights()
        )

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        chunks = threads.map(allocated, _by_hours(attempts, from_hour=from_hour, to_hour=to_hour))
        rows = pl.concat(chunks, how="diagonal")
    provisional = (pl.col("accrued_hour") >= provisional_from).alias("is_provisional")
    return table("core.request_costs").conform(rows.lazy().with_columns(provisional), fill=True)


def _by_hours(
    attempts: pl.DataFrame, *, from_hour: datetime, to_hour: datetime
) -> Iterator[tuple[datetime, datetime, Ints]]:
    """Cut the window into runs of hours in which some _CHUNK_ROWS attempts begin, each with the rows that work then."""
    work = in_flight(attempts.lazy())
    request = work.get_column("request").to_numpy().astype(np.int64)
    begun = work.get_column("work_from").to_numpy()
    ended = np.maximum(work.get_column("work_to").to_numpy(), begun + 1)
    hours = (to_hour - from_hour) // _HOUR
    edges = microseconds(pl.lit(from_hour)) + MICROSECONDS_PER_HOUR * pl.int_range(hours + 1)
    edge = pl.select(edges).to_series().to_numpy()
    hour = np.clip((begun - edge[0]) // MICROSECONDS_PER_HOUR, 0, hours - 1)
    upto = np.append(0, np.cumsum(np.bincount(hour, minlength=hours)))
    first = 0
    while first < hours:
        last = max(int(np.searchsorted(upto, upto[first] + _CHUNK_ROWS, side="right")) - 1, first + 1)
        live = request[(begun < edge[last]) & (ended > edge[first])]
        yield from_hour + first * _HOUR, from_hour + last * _HOUR, live
        first = last


def _taken(attempts: pl.DataFrame, live: Ints) -> pl.DataFrame:
    """Return the attempts of the rows given, which ascend, maybe among others, which do no harm."""
    if not len(live):
        return attempts.head(0)
    # They mostly come by time: then a slice, which copies nothing, holds few others.
    first, beyond = int(live[0]), int(live[-1]) + 1
    return attempts[first:beyond] if beyond - first <= _DENSE * len(live) else attempts[live]


def _allocated(
    attempts: pl.DataFrame, states: pl.LazyFrame, cuts: pl.DataFrame, *, rule: Rule, weights: Weights
) -> pl.DataFrame:
    """Return the rows that accrue in the slots given."""
    work = in_flight(attempts.lazy())
    occupancy = occupy(work, states, cuts)
    line = line_of(occupancy)
    occupancy = with_serving(occupancy, line)
    rules = [
        weights.rule_of(pool) or PoolRule(rule=rule)
        for pool in occupancy.pools.select(POOL).iter_rows(named=True)
    ]
    weighed = _weighed(attempts, work, occupancy, rules=rules, weights=weights)
    slices = split(occupancy, line, weighed, attempts, rules)
    return request_rows(occupancy, slices, attempts, weighed, cuts, rules)


def _attempts(requests: pl.LazyFrame) -> pl.DataFrame:
    """Read the columns that work and rows need; columns that hold nothing are left out, but for those of work."""
    needed = (
        "source", "request_id", "replica_id", "route", "provider", "region", "started_at", "finished_at",
        "queue_seconds", "is_gateway_cache_hit", "served_model", "routed_model", "requested_model", "usage_source",
        "provider_reported_cost_usd",
    )  # fmt: skip
    own = table("core.request_costs").column_names
    passed = [name for name in table("core.requests").column_names if name in own and name not in needed]
    passed += asked_columns(requests)
    held = requests.select(pl.col(passed).count()).collect(engine="streaming").row(0)
    filled = (name for name, count in zip(passed, held, strict=True) if count)
    # In one piece, so that chunks are slices of it that nothing copies again.
    return requests.select(*needed, *filled).collect().rechunk()


def _weighed(
    attempts: pl.DataFrame,
    work: pl.DataFrame,
    occupancy: Occupancy,
    *,
    rules: list[PoolRule],
    weights: Weights,
) -> UnitWeights:
    rows = occupancy.units.get_column("request").to_numpy()
    lasts = (work.get_column("work_to") - work.get_column("work_from")).to_numpy()[
        occupancy.units.get_column("row").to_numpy()
    ]
    model = attempts.select(pl.coalesce("served_model", "routed_model", "requested_model")).to_series()
    return weigh(
        attempts,
        rows,
        lasts,
        models=model,
        chips=_of_pool(occupancy, "chip") if weights.tokens else model.head(0),
        weights=weights,
        # What is tied to no pool weighs nothing that is split.
        **{
            name: np.array([each.rule == rule for each in rules] + [False])[
                occupancy.units.get_column("pool").to_numpy()
            ]
            for name, rule in (("is_equal", "equal_share"), ("is_blocks", "kv_block_share"))
        },
    )


def _of_pool(occupancy: Occupancy, name: str) -> pl.Series:
    """Return a dimension of the pool that each unit is tied to; NULL where there is none."""
    pool = occupancy.units.get_column("pool")
    return occupancy.pools.get_column(name).gather(pl.select(pl.when(pool >= 0).then(pool)).to_series())
