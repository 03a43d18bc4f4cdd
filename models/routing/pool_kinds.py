"""idle_capacity and wrong_chip: what an owned pool had room for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.judged import Judged, Rows
from models.routing.kinds import findings
from models.routing.owned import Owned, claim, first_of, spare_capacity, weights_of

Pool = tuple[Any, ...]
Left = dict[tuple[Pool, datetime], float]
"""Weighted tokens that a pool-hour could still have served."""
_HOUR = 3_600_000_000


class _Clock:
    """Attempts in time order, to be had by hour."""

    def __init__(self, attempts: pl.DataFrame, rows: Rows) -> None:
        at = attempts.get_column("started_at").dt.timestamp("us").to_numpy()[rows]
        order = np.argsort(at, kind="stable")
        self._rows, self._at = rows[order], at[order]

    def hour(self, hour: datetime) -> Rows:
        start = int(hour.timestamp()) * 1_000_000
        first, last = np.searchsorted(self._at, [start, start + _HOUR])
        return self._rows[first:last]


def idle_capacity(judged: Judged, owned: Owned, is_paid: npt.NDArray[np.bool_]) -> tuple[pl.DataFrame, Left]:
    """idle_capacity: a paid API while an owned, eligible pool had spare measured capacity.

    Args:
        judged: attempts.
        owned: the pools.
        is_paid: attempts that paid for tokens.

    Returns:
        Findings, whose alternative is free, and what every pool-hour has left.
    """
    left: Left = {}
    found: list[pl.DataFrame] = [findings(np.empty(0, dtype=np.intp), "idle_capacity")]
    spares = spare_capacity(owned)
    if not spares:
        return found[0], left
    weights = {each: weights_of(judged.attempts, each) for each in {spare.of_token for spare in spares}}
    fits = _fitting_cells(judged)
    taken = ~(is_paid & judged.is_within)
    clock = _Clock(judged.attempts, np.flatnonzero(~taken))
    for hour, pools in first_of(spares).items():
        inside = clock.hour(hour)
        for spare in pools:
            key = _key(spare.pool)
            open_to = fits.get(key)
            rows = inside[:0] if open_to is None else inside[open_to[judged.cells[inside]]]
            claimed, left[key, hour] = claim(rows, weights[spare.of_token], spare.weight, taken)
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
                    evidence=(
                        f"{spare.pool['deployment']} on {spare.pool['chip']} idled in that hour with room for "
                        f"{spare.weight:,.0f} weighted tokens"
                    ),
                )
            )
    return pl.concat(found), left


def wrong_chip(judged: Judged, owned: Owned, left: Left) -> pl.DataFrame:
    """wrong_chip: an owned pool of the same model on a cheaper eligible chip had room left in that hour.

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
    own_rates = np.array([rates.get(_key(row), np.nan) for row in facts.iter_rows(named=True)])
    weights, costs = facts.get_column("allocation_weight").to_numpy(), facts.get_column("cost").to_numpy()
    chips, cells = facts.get_column("chip").to_numpy(), judged.cells[pooled]
    taken = np.zeros(len(pooled), dtype=np.bool_)
    clock = _Clock(attempts[pooled], np.arange(len(pooled)))
    fits = _fitting_cells(judged)
    for (pool, hour), spare in sorted(
        left.items(), key=lambda item: (item[0][1], rates.get(item[0][0], np.inf))
    ):
        rate, open_to = rates.get(pool), fits.get(pool)
        if rate is None or open_to is None or spare <= 0:
            continue
        inside = clock.hour(hour)
        rows = inside[(chips[inside] != pool[2]) & (own_rates[inside] > rate) & open_to[cells[inside]]]
        claimed, _ = claim(rows, weights, spare, taken)
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


def _key(pool: Mapping[str, Any]) -> Pool:
    return tuple(pool[name] for name in ("provider", "region", "chip", "deployment"))


def _fitting_cells(judged: Judged) -> dict[Pool, npt.NDArray[np.bool_]]:
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
