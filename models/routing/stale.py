"""stale_price: choices that were right under the prices before the last change, and are wrong since."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.cheapest import NONE, Cards, Ints, Menu, cheapest
from models.routing.judged import JudgedAttempts, Rows
from models.routing.kinds import findings
from models.routing.offers import Mask, Offer
from models.routing.rules import Cell

_MOMENT = timedelta(microseconds=1)


def stale_prices(judged: JudgedAttempts, rows: Rows, cards: Cards) -> pl.DataFrame:
    """Find which dearer choices were the cheapest eligible ones before a price changed, as far as was known.

    Args:
        judged: attempts.
        rows: attempts that an eligible card would have served cheaper.
        cards: that card, by row of the attempts.
    """
    found: list[pl.DataFrame] = [findings(rows[:0], "stale_price")]
    pairs = pl.DataFrame({"row": rows, "cell": judged.cells[rows], "card": cards[rows]})
    for (cell_at, card), group in pairs.group_by("cell", "card", maintain_order=True):
        cell, ruling = judged.cell_rows[int(str(cell_at))], judged.rulings[int(str(cell_at))]
        changed_at = _last_change(judged, cell, judged.market.offers[int(str(card))])
        if changed_at is None:
            continue
        before = {**cell, "epoch_at": changed_at - _MOMENT}
        members = group.get_column("row").to_numpy()
        own = _least(judged, members, _own_menu(judged, before))
        same, other = (_least(judged, members, menu) for menu in judged.menus.of(before, ruling))
        best = np.where(same < 0, other, np.where(other < 0, same, np.minimum(same, other)))
        was_right = members[(own != NONE) & ((best == NONE) | (own <= best))]
        if len(was_right):
            evidence = f"the choice was right under the prices before {changed_at:%Y-%m-%d}"
            found.append(findings(was_right, "stale_price", evidence=evidence, confidence=0.9))
    return pl.concat(found)


def _least(judged: JudgedAttempts, rows: Rows, menu: Menu) -> Ints:
    work = judged.work.of(rows)
    return cheapest(work.tokens, work.total_input, np.zeros(len(rows), dtype=np.int64), {0: menu})[0]


def _own_offers(judged: JudgedAttempts, cell: Cell) -> Mask:
    """Return the offers at which the place taken sold its model at the cell's instant."""
    market = judged.market
    mask = judged.menus.rules.own_place(cell) & market.where("model", cell["model"])
    return mask & market.where("tier", cell["tier"]) & market.live(cell["epoch_at"])


def _own_menu(judged: JudgedAttempts, cell: Cell) -> Menu:
    return judged.menus.card(cell, np.flatnonzero(_own_offers(judged, cell)))


def _last_change(judged: JudgedAttempts, cell: dict[str, Any], card: Offer) -> datetime | None:
    """Return when a change of the place's price or of the card's was last known and in force; None if neither had."""
    own = [judged.market.offers[each] for each in np.flatnonzero(_own_offers(judged, cell))]
    changes = [offer.since for offer in (*own, card) if _has_predecessor(judged, offer)]
    return max(changes, default=None)


def _has_predecessor(judged: JudgedAttempts, offer: Offer) -> bool:
    market = judged.market
    earlier: npt.NDArray[np.bool_] = market.live(offer.since - _MOMENT)
    for name in ("provider", "model", "region", "tier", "deployment"):
        earlier = earlier & market.where(name, getattr(offer, name))
    return bool(earlier.any())
