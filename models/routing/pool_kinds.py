"""idle_capacity and wrong_chip: what an owned pool had room for, in the minute of the call."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.judged import JudgedAttempts, Rows
from models.routing.kinds import findings
from models.routing.owned import Ints, OwnedPools, SpareCapacity, claim, spare_capacity, weights_of

Pool = tuple[Any, ...]


def idle_capacity(
    judged: JudgedAttempts, owned: OwnedPools, is_paid: npt.NDArray[np.bool_]
) -> tuple[pl.DataFrame, list[SpareCapacity]]:
    """idle_capacity: a paid API while an owned, eligible pool was ready with nothing to do in that minute.

    Args:
        judged: attempts.
        owned: the pools.
        is_paid: attempts that paid for tokens.

    Returns:
        Findings, whose alternative is free, and the room that every pool has left.
    """
    left: list[SpareCapacity] = []
    found: list[pl.DataFrame] = [findings(np.empty(0, dtype=np.intp), "idle_capacity")]
    spares = spare_capacity(owned)
    if not spares:
        return found[0], left
    weights = {each: weights_of(judged.attempts, each) for each in {spare.of_token for spare in spares}}
    fits = _fitting_cells(judged)
    taken = ~(is_paid & judged.is_within)
    at = _began(judged.attempts)
    in_time = _by_time(at, np.flatnonzero(~taken))
    for spare in spares:
        open_to = fits.get(_key(spare.pool))
        rows = in_time[:0] if open_to is None else in_time[open_to[judged.cells[in_time]]]
        claimed, rest = claim(rows, at, weights[spare.of_token], spare, taken)
        left.append(rest)
        found.append(
            findings(
                claimed,
                "idle_capacity",
                alternative=0,
                alternative_provider=spare.pool["provider"],
                alternative_region=spare.pool["region"],
                alternative_model=spare.pool["model"],
                alternative_chip=spare.pool["chip"],
                confidence=0.8,
                evidence=f"{spare.pool['deployment']} on {spare.pool['chip']} was ready with room in that minute",
            )
        )
    return pl.concat(found), left


def wrong_chip(judged: JudgedAttempts, owned: OwnedPools, left: list[SpareCapacity]) -> pl.DataFrame:
    """wrong_chip: an owned pool of the same model on a cheaper eligible chip had room left in that minute.

    Both chips are priced by what a weighted token of serving cost on them over the trailing days; the cheapest chip
    is filled first.
    """
    found: list[pl.DataFrame] = [findings(np.empty(0, dtype=np.intp), "wrong_chip")]
    attempts = judged.attempts
    is_pooled = (pl.col("cost_basis") == "gpu") & (pl.col("cost") > 0) & (pl.col("allocation_weight") > 0)
    pooled = np.flatnonzero(
        attempts.select(is_pooled.fill_null(value=False)).to_series().to_numpy() & judged.is_within
    )
    if not left or not len(pooled):
        return found[0]
    rates = {
        _key(row): float(row["serving_usd"]) * 1e12 / float(row["allocation_weight"])
        for row in owned.measured.drop_nulls(["serving_usd", "allocation_weight"]).iter_rows(named=True)
        if row["allocation_weight"] > 0
    }
    facts = attempts[pooled].select(
        *(pl.col(name).cast(pl.String) for name in ("provider", "region", "chip", "deployment", "model")),
        pl.col("allocation_weight").cast(pl.Float64),
        "cost",
    )
    # Positions below are those among the pooled attempts.
    pools, pool_of = _distinct_pools(facts)
    own_rates = np.array([rates.get(pool, np.nan) for pool in pools])[pool_of]
    weights, costs = facts.get_column("allocation_weight").to_numpy(), facts.get_column("cost").to_numpy()
    chips, cells = facts.get_column("chip").to_numpy(), judged.cells[pooled]
    taken = np.zeros(len(pooled), dtype=np.bool_)
    at = _began(attempts)[pooled]
    in_time = _by_time(at, np.arange(len(pooled)))
    fits = _fitting_cells(judged)
    for spare in sorted(left, key=lambda each: rates.get(_key(each.pool), np.inf)):
        pool = _key(spare.pool)
        rate, open_to = rates.get(pool), fits.get(pool)
        if rate is None or open_to is None:
            continue
        is_dearer = (chips[in_time] != pool[2]) & (own_rates[in_time] > rate) & open_to[cells[in_time]]
        claimed, _ = claim(in_time[is_dearer], at, weights, spare, taken)
        saved = np.minimum((weights[claimed] * (own_rates[claimed] - rate)).astype(np.int64), costs[claimed])
        found.append(
            findings(
                pooled[claimed],
                "wrong_chip",
                alternative=pl.Series(costs[claimed] - saved),
                alternative_provider=pool[0],
                alternative_region=pool[1],
                alternative_model=facts.get_column("model")[claimed],
                alternative_chip=pool[2],
                confidence=0.7,
                evidence=f"{pool[3]} on {pool[2]} had room left at ${rate / 1e6:.4f} a million weighted tokens",
            )
        )
    return pl.concat(found)


def _began(attempts: pl.DataFrame) -> Ints:
    return attempts.get_column("started_at").dt.timestamp("us").to_numpy()


def _by_time(at: Ints, rows: Rows) -> Rows:
    """Return rows in the order in which they began."""
    return rows[np.argsort(at[rows], kind="stable")]


def _distinct_pools(facts: pl.DataFrame) -> tuple[list[Pool], Rows]:
    """Return the pools that attempts ran on, and which of them each attempt's is."""
    names = ["provider", "region", "chip", "deployment"]
    distinct = facts.select(names).unique(maintain_order=True).with_row_index("pool")
    numbers = facts.join(distinct, on=names, how="left", nulls_equal=True, maintain_order="left")
    return distinct.select(names).rows(), numbers.get_column("pool").to_numpy().astype(np.intp)


def _key(pool: Mapping[str, Any]) -> Pool:
    return tuple(pool[name] for name in ("provider", "region", "chip", "deployment"))


def _fitting_cells(judged: JudgedAttempts) -> dict[Pool, npt.NDArray[np.bool_]]:
    """Return for every owned pool which cells may use it."""
    market = judged.market
    owned_at = np.flatnonzero(market.is_owned)
    open_to = np.zeros((len(owned_at), len(judged.cell_rows)), dtype=np.bool_)
    for number, (cell, ruling) in enumerate(zip(judged.cell_rows, judged.rulings, strict=True)):
        open_to[:, number] = judged.menus.rules.eligible(cell, ruling)[owned_at]
    return {
        (offer.provider, offer.region, offer.chip, offer.deployment): open_to[position]
        for position, offer in enumerate(market.offers[at] for at in owned_at)
    }
