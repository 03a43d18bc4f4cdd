"""cache_affinity_lost: calls that left the place where their prefix was warm."""

import numpy as np
import polars as pl

from models.routing.cheapest import NONE, Cards, Ints, Menu, cheapest
from models.routing.judged import JudgedAttempts
from models.routing.kinds import findings
from models.routing.offers import Market, Place
from models.routing.rules import Cell, Ruling
from models.routing.sessions import moved
from models.routing.work import READS, Work


def cache_affinity_lost(judged: JudgedAttempts, token_cost: Ints) -> pl.DataFrame:
    """Find attempts whose prefix was warm at an eligible place, which would have been cheaper.

    Args:
        judged: attempts.
        token_cost: what their tokens cost; NONE where they are not priced by token.
    """
    found: list[pl.DataFrame] = [findings(np.empty(0, dtype=np.intp), "cache_affinity_lost")]
    if judged.sessions is None:
        return found[0]
    lost = moved(judged.attempts, judged.sessions)
    at = lost.get_column("row").to_numpy()
    lost = lost.with_columns(pl.Series("cell", judged.cells[at])).filter(
        pl.Series((token_cost[at] > 0) & judged.is_within[at])
    )
    for key, group in lost.group_by(
        "cell", "warm_provider", "warm_region", "warm_model", maintain_order=True
    ):
        cell_at, provider, region, model = key
        cell, ruling = judged.cell_rows[int(str(cell_at))], judged.rulings[int(str(cell_at))]
        if ruling.clause["has_cache_affinity"] is False:
            continue
        menu = _warm_menu(
            judged, cell, ruling, (str(provider), str(model)), None if region is None else str(region)
        )
        rows = group.get_column("row").to_numpy()
        work = judged.work.of(rows)
        cold, card = cheapest(work.tokens, work.total_input, np.zeros(len(rows), dtype=np.int64), {0: menu})
        warm = cold - _saved(judged.market, work, card, group.get_column("warm_tokens").to_numpy())
        is_cheaper = (card != NONE) & (warm < token_cost[rows])
        kept = group.filter(pl.Series(is_cheaper))
        found.append(
            findings(
                rows[is_cheaper],
                "cache_affinity_lost",
                alternative=pl.Series(warm[is_cheaper]),
                alternative_provider=provider,
                alternative_region=region,
                alternative_model=model,
                evidence=kept.select(
                    pl.format("{} tokens of the prefix were warm at {}", "warm_tokens", "warm_provider")
                ).to_series(),
                confidence=kept.select(pl.when("is_reported").then(0.9).otherwise(0.6)).to_series(),
            )
        )
    return pl.concat(found)


def _saved(market: Market, work: Work, card: Cards, warm_tokens: Ints) -> Ints:
    """Return the picodollars that reading a warm prefix saves over what it cost cold at each card.

    What the attempt wrote to a cache is the prefix, so warm tokens are taken from the written ones first; of those
    the card's write rate is saved, of the others its plain rate.
    """
    saved, left = np.zeros(len(card), dtype=np.int64), warm_tokens.copy()
    for name in ("cache_write_1h", "cache_write_5m", "input_uncached"):
        rate = {NONE: 0}
        for each in np.unique(card).tolist():
            if each != NONE:
                offer = market.offers[each]
                cold = offer.rate(name, is_cached=True) or 0
                rate[each] = cold - (offer.rates["cache_read"] or 0)
        held = np.minimum(left, work.of_class(name))
        saved += held * np.array([rate[each] for each in card.tolist()], dtype=np.int64)
        left -= held
    return saved


def _warm_menu(judged: JudgedAttempts, cell: Cell, ruling: Ruling, place: Place, region: str | None) -> Menu:
    """Return the cards of the warm place that the cell may use and that read a cache."""
    market = judged.market
    mask = judged.menus.rules.eligible(cell, ruling)
    mask = mask & market.where("provider", place[0]) & market.where("model", place[1])
    regional = mask & market.where("region", region)
    chosen = np.flatnonzero(regional if regional.any() else mask & market.where("region", None))
    reads = [
        offer
        for offer in chosen
        if market.offers[offer].rates.get(READS[0]) is not None
        and market.offers[offer].rates.get("input_uncached") is not None
    ]
    return judged.menus.card(cell, np.array(reads, dtype=np.intp))
