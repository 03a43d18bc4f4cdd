"""The ten kinds of mistake, each as a function from judged attempts to findings. Not how findings become rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.cheapest import NONE, Cards, Ints, Menu, cheapest
from models.routing.menus import Menus
from models.routing.offers import Market, Place
from models.routing.owned import Owned, claim, first_of, spare_capacity, weights_of
from models.routing.quality import score_of
from models.routing.rules import RULE_KINDS, Ruling
from models.routing.sessions import Sessions, moved
from models.routing.work import READS, Work

Rows = npt.NDArray[np.intp]
FINDING = pl.Schema(
    {
        "row": pl.Int64,
        "kind": pl.String,
        "alternative": pl.Int64,
        "alternative_provider": pl.String,
        "alternative_region": pl.String,
        "alternative_model": pl.String,
        "alternative_chip": pl.String,
        "evidence": pl.String,
        "confidence": pl.Float64,
        "clause": pl.String,
        "policy_line": pl.Int64,
        "wasted": pl.Int64,
    }
)
"""A kind that holds for an attempt. `alternative` is the picodollars of another way of doing the token work; NULL where
the kind itself names none, then the cheapest card is the alternative. Clause and line are those of the cell where
NULL. `wasted` is what the attempt cost for nothing."""


@dataclass(frozen=True)
class Judged:
    """Successful attempts with everything that is known of them.

    Attributes:
        attempts: rows of `attempts_of`, successful ones.
        is_within: whether a row is to be judged, or only context.
        cells, cell_rows: the cell of every row; one mapping per cell.
        rulings: by cell.
        work: tokens of every row.
        menus: the menus of cells.
        sessions: what came before in the session; None where the log does not say.
    """

    attempts: pl.DataFrame
    is_within: npt.NDArray[np.bool_]
    cells: Ints
    cell_rows: list[dict[str, Any]]
    rulings: list[Ruling]
    work: Work
    menus: Menus
    sessions: Sessions | None

    @property
    def market(self) -> Market:
        return self.menus.market

    def rows_where(self, is_flagged: Iterable[bool], *, within: npt.NDArray[np.bool_] | None = None) -> Rows:
        """Return the rows to be judged whose cell is flagged."""
        flags = np.fromiter(is_flagged, dtype=np.bool_, count=len(self.cell_rows))
        if not flags.any():
            return np.empty(0, dtype=np.intp)
        return np.flatnonzero(flags[self.cells] & (self.is_within if within is None else within))


def findings(rows: Rows, kind: str, **columns: Any) -> pl.DataFrame:
    """Build findings of a kind; an absent column is NULL, a single value stands for all rows."""
    given = {"row": pl.Series(rows, dtype=pl.Int64), "kind": pl.lit(kind)} | columns
    frame = pl.DataFrame({"row": given.pop("row")}).with_columns(
        (value if isinstance(value, pl.Expr) else pl.lit(value)).alias(name) for name, value in given.items()
    )
    missing = [
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in FINDING.items() if name not in frame.columns
    ]
    return frame.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in FINDING.items())


def broken_rules(judged: Judged) -> list[pl.DataFrame]:
    """policy_violation, wrong_region, underpowered: what the policy forbids, whatever it cost."""
    found: list[pl.DataFrame] = []
    for kind in RULE_KINDS:
        breaches = [ruling.breaches.get(kind) for ruling in judged.rulings]
        rows = judged.rows_where(breach is not None for breach in breaches)
        if not len(rows):
            continue
        facts = pl.DataFrame(
            [
                {
                    "evidence": breach.evidence if breach else None,
                    "confidence": breach.confidence if breach else None,
                    "clause": breach.clause["clause"] if breach else None,
                    "policy_line": breach.clause["policy_line"] if breach else None,
                }
                for breach in breaches
            ],
            schema={name: FINDING[name] for name in ("evidence", "confidence", "clause", "policy_line")},
        )
        found.append(
            findings(rows, kind, **{name: facts[name][judged.cells[rows]] for name in facts.columns})
        )
    return found


def escalated(judged: Judged) -> pl.DataFrame:
    """underpowered: an answer that a later attempt of the same logical request, of a stronger model, replaced."""
    attempts = judged.attempts
    if (
        attempts.get_column("logical_request_id").null_count() == attempts.height
        or not judged.menus.rules.quality
    ):
        return findings(np.empty(0, dtype=np.intp), "underpowered")
    scores = [
        score.score
        if (score := score_of(judged.menus.rules.quality, cell["model_family"], cell["model"]))
        else None
        for cell in judged.cell_rows
    ]
    chained = (
        attempts.select(
            pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
            "logical_request_id",
            "started_at",
            "model",
            "cost",
        )
        .with_columns(pl.Series("score", scores, dtype=pl.Float64)[judged.cells].alias("score"))
        .filter(pl.col("logical_request_id").is_not_null())
        .filter(pl.col("logical_request_id").is_duplicated())
        .drop_nulls("score")
        .sort("logical_request_id", "started_at", "row", descending=[False, True, True])
        .with_columns(
            pl.col("score").cum_max().shift(1).over("logical_request_id").alias("later_score"),
            pl.col("model").shift(1).over("logical_request_id").alias("later_model"),
        )
        .filter(pl.col("later_score") > pl.col("score"))
        .sort("row")
    )
    chained = chained.filter(pl.Series(judged.is_within[chained.get_column("row").to_numpy()]))
    return findings(
        chained.get_column("row").to_numpy(),
        "underpowered",
        evidence=pl.Series(
            chained.select(
                pl.format("{} answered, then {} was asked the same", "model", "later_model")
            ).to_series()
        ),
        confidence=0.7,
        wasted=chained.get_column("cost"),
    )


def idle_capacity(
    judged: Judged, owned: Owned, is_paid: npt.NDArray[np.bool_]
) -> tuple[pl.DataFrame, dict[Any, float]]:
    """idle_capacity: a paid API while an owned, eligible pool had spare measured capacity.

    Returns:
        Findings, whose alternative is free, and what every pool-hour has left.
    """
    left: dict[Any, float] = {}
    found: list[pl.DataFrame] = [findings(np.empty(0, dtype=np.intp), "idle_capacity")]
    spares = spare_capacity(owned)
    if not spares:
        return found[0], left
    weights = weights_of(judged.attempts)
    taken = ~(is_paid & judged.is_within)
    at = judged.attempts.get_column("started_at").dt.timestamp("us").to_numpy()
    order = np.argsort(at, kind="stable")
    fits = _fitting_cells(judged, owned)
    for hour, pools in first_of(spares).items():
        start = int(hour.timestamp()) * 1_000_000
        inside = order[slice(*np.searchsorted(at[order], [start, start + 3_600_000_000]))]
        for pool in pools:
            open_to = fits.get(_pool_key(pool.pool))
            rows = inside[open_to[judged.cells[inside]]] if open_to is not None else inside[:0]
            claimed, rest = claim(rows, weights, pool.weight, taken)
            left[_pool_key(pool.pool), hour] = rest
            if len(claimed):
                found.append(
                    findings(
                        claimed,
                        "idle_capacity",
                        alternative=0,
                        alternative_provider=pool.pool["provider"],
                        alternative_region=pool.pool["region"],
                        alternative_model=pool.pool["model"],
                        alternative_chip=pool.pool["chip"],
                        confidence=0.8,
                        evidence=(
                            f"{pool.pool['deployment']} on {pool.pool['chip']} idled in that hour with room for "
                            f"{pool.weight:,.0f} weighted tokens"
                        ),
                    )
                )
    return pl.concat(found), left


def _pool_key(pool: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(pool[name] for name in ("provider", "region", "chip", "deployment"))


def _fitting_cells(judged: Judged, owned: Owned) -> dict[tuple[Any, ...], npt.NDArray[np.bool_]]:
    """Return for every owned pool which cells may use it."""
    market = judged.market
    owned_at = np.flatnonzero(market.is_owned)
    open_to = np.zeros((len(owned_at), len(judged.cell_rows)), dtype=np.bool_)
    if len(owned_at) and not owned.hours.is_empty():
        for number, (cell, ruling) in enumerate(zip(judged.cell_rows, judged.rulings, strict=True)):
            open_to[:, number] = judged.menus.rules.eligible(cell, ruling)[owned_at]
    return {
        (offer.provider, offer.region, offer.chip, offer.deployment): open_to[position]
        for position, offer in enumerate(market.offers[at] for at in owned_at)
    }


def wrong_chip(
    judged: Judged, owned: Owned, left: dict[Any, float], is_pooled: npt.NDArray[np.bool_]
) -> pl.DataFrame:
    """wrong_chip: an owned pool of the same model on a cheaper eligible chip had room left in that hour.

    Both chips are priced by what a weighted token of serving cost on them over the trailing days.
    """
    found: list[pl.DataFrame] = [findings(np.empty(0, dtype=np.intp), "wrong_chip")]
    rates = {
        _pool_key(row): float(row["serving_usd"]) * 1e12 / float(row["allocation_weight"])
        for row in owned.measured.drop_nulls(["serving_usd", "allocation_weight"]).iter_rows(named=True)
        if row["allocation_weight"] > 0
    }
    if not left or not is_pooled.any():
        return found[0]
    attempts = judged.attempts
    own = attempts.select(pl.struct("provider", "region", "chip", "deployment").alias("pool")).to_series()
    own_rates = np.full(attempts.height, np.nan)
    pooled = np.flatnonzero(is_pooled & judged.is_within)
    own_rates[pooled] = [rates.get(_pool_key(pool), np.nan) for pool in own[pooled]]
    weights = attempts.get_column("allocation_weight").cast(pl.Float64).fill_null(0.0).to_numpy()
    costs = attempts.get_column("cost").fill_null(0).to_numpy()
    at = attempts.get_column("started_at").dt.timestamp("us").to_numpy()
    pooled = pooled[np.argsort(at[pooled], kind="stable")]
    taken = np.ones(attempts.height, dtype=np.bool_)
    taken[pooled] = False
    fits = _fitting_cells(judged, owned)
    chips = attempts.get_column("chip")
    for (pool, hour), spare in sorted(
        left.items(), key=lambda item: (item[0][1], rates.get(item[0][0], np.inf))
    ):
        rate, open_to = rates.get(pool), fits.get(pool)
        if rate is None or open_to is None or spare <= 0:
            continue
        start = int(hour.timestamp()) * 1_000_000
        inside = pooled[slice(*np.searchsorted(at[pooled], [start, start + 3_600_000_000]))]
        is_other = (chips[inside] != pool[2]).fill_null(value=False).to_numpy()
        rows = inside[is_other & (own_rates[inside] > rate) & open_to[judged.cells[inside]]]
        claimed, _ = claim(rows, weights, spare, taken)
        if len(claimed):
            saved = np.minimum(
                (weights[claimed] * (own_rates[claimed] - rate)).astype(np.int64), costs[claimed]
            )
            found.append(
                findings(
                    claimed,
                    "wrong_chip",
                    alternative=pl.Series(costs[claimed] - saved),
                    alternative_provider=pool[0],
                    alternative_region=pool[1],
                    alternative_model=attempts.get_column("model")[claimed],
                    alternative_chip=pool[2],
                    confidence=0.7,
                    evidence=f"{pool[3]} on {pool[2]} had room left at ${rate / 1e6:.4f} a million weighted tokens",
                )
            )
    return pl.concat(found)


def cache_affinity_lost(judged: Judged, token_cost: Ints, is_priced: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """cache_affinity_lost: the prefix was warm at an eligible place, which would have been cheaper."""
    empty = findings(np.empty(0, dtype=np.intp), "cache_affinity_lost")
    if judged.sessions is None:
        return empty
    lost = moved(judged.attempts, judged.sessions)
    at = lost.get_column("row").to_numpy()
    lost = lost.filter(pl.Series(is_priced[at] & judged.is_within[at]))
    lost = lost.with_columns(pl.Series("cell", judged.cells[lost.get_column("row").to_numpy()]))
    found: list[pl.DataFrame] = [empty]
    places = ("cell", "warm_provider", "warm_region", "warm_model")
    for key, group in lost.group_by(places, maintain_order=True):
        cell, ruling = judged.cell_rows[key[0]], judged.rulings[key[0]]
        if ruling.clause["has_cache_affinity"] is False:
            continue
        menu = _warm_menu(judged, cell, ruling, (key[1], key[3]), key[2])
        rows = group.get_column("row").to_numpy()
        work = judged.work.of(rows)
        cold, card = cheapest(work.tokens, work.total_input, np.zeros(len(rows), dtype=np.int64), {0: menu})
        offers = judged.market.offers
        saved = {
            each: (offers[each].rates["input_uncached"] or 0) - (offers[each].rates["cache_read"] or 0)
            for each in np.unique(card).tolist()
            if each != NONE
        }
        less = np.array([saved.get(each, 0) for each in card.tolist()], dtype=np.int64)
        warm = cold - group.get_column("warm_tokens").to_numpy() * less
        is_cheaper = (card != NONE) & (warm < token_cost[rows])
        kept, tokens = group.filter(pl.Series(is_cheaper)), rows[is_cheaper]
        note = pl.format("{} tokens of the prefix were warm at {}", "warm_tokens", "warm_provider")
        found.append(
            findings(
                tokens,
                "cache_affinity_lost",
                alternative=pl.Series(warm[is_cheaper]),
                alternative_provider=key[1],
                alternative_region=key[2],
                alternative_model=key[3],
                evidence=kept.select(note).to_series(),
                confidence=kept.select(pl.when("is_reported").then(0.9).otherwise(0.6)).to_series(),
            )
        )
    return pl.concat(found)


def _warm_menu(
    judged: Judged, cell: dict[str, Any], ruling: Ruling, place: Place, region: str | None
) -> Menu:
    """Return the cards of the warm place that the cell may use and that read a cache."""
    market = judged.market
    mask = judged.menus.rules.eligible(cell, ruling)
    mask = mask & market.where("provider", place[0]) & market.where("model", place[1])
    regional = mask & market.where("region", region)
    chosen = np.flatnonzero(regional if regional.any() else mask & market.where("region", None))
    reads = [offer for offer in chosen if market.offers[offer].rates.get(READS[0]) is not None]
    return judged.menus.card(cell, np.array(reads, dtype=np.intp))


def price_kinds(
    judged: Judged, token_cost: Ints, same: tuple[Ints, Cards], other: tuple[Ints, Cards]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Overpowered and dearer_provider: which rows an eligible card would have served cheaper.

    Args:
        judged: attempts.
        token_cost: what the token work cost; NONE where it is not priced.
        same: least cost and card in the family taken, NONE where there is none.
        other: the same in other families.
    """
    is_priced = (token_cost >= 0) & judged.is_within
    has_floor = np.array(
        [ruling.clause["quality_floor"] is not None for ruling in judged.rulings], dtype=np.bool_
    )
    is_weak = np.array(["underpowered" in ruling.breaches for ruling in judged.rulings], dtype=np.bool_)
    is_other_less = (other[0] >= 0) & (other[0] < token_cost) & ((same[0] < 0) | (other[0] < same[0]))
    judges = (has_floor & ~is_weak)[judged.cells] if len(has_floor) else np.zeros(0, dtype=np.bool_)
    return {
        "overpowered": is_priced & judges & is_other_less,
        "dearer_provider": is_priced & (same[0] >= 0) & (same[0] < token_cost),
    }
