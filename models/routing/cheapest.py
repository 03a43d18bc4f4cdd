"""The cheapest card of every attempt's menu: tokens times rates, in blocks, no attempts x cards table in memory."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.errors import DataError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Cards = npt.NDArray[np.int32]

NONE = -1
"""No card of the menu prices what the attempt used."""
_FAR = 2**62
_EXACT_FLOAT = 2**53
_EXACT_INT = 2**62
_BLOCK = 1 << 20
_PAIRWISE_AT_MOST = 512


@dataclass(frozen=True)
class Menu:
    """Cards that the attempts of a cell could have used.

    Attributes:
        cards: what each is called outside, in order of preference among equals.
        rates: picodollars a token, cards x columns of the work; NaN = not offered.
        above: input tokens must exceed this.
        up_to: input tokens must not exceed this.
        input_ratio: input tokens of the card's model per token counted.
    """

    cards: Cards
    rates: Floats
    above: Ints
    up_to: Ints
    input_ratio: Floats

    def without_dominated(self) -> "Menu":
        """Return the menu without cards that another one beats (or equals, earlier in order) whatever the tokens."""
        count = len(self.cards)
        if count < 2 or count > _PAIRWISE_AT_MOST:  # noqa: PLR2004
            return self
        rates = np.nan_to_num(self.rates, nan=np.inf)
        is_unlimited = (self.above == NONE) & (self.up_to == _FAR)
        beats = (
            (rates[:, None, :] <= rates[None, :, :]).all(axis=2)
            & (self.above[:, None] <= self.above[None, :])
            & (self.up_to[:, None] >= self.up_to[None, :])
            & (is_unlimited[:, None] | (self.input_ratio[:, None] == self.input_ratio[None, :]))
        )
        order = np.arange(count)
        is_beaten = (beats & (~beats.T | (order[:, None] < order[None, :]))).any(axis=0)
        return self.of(np.flatnonzero(~is_beaten))

    def of(self, positions: npt.NDArray[np.intp]) -> "Menu":
        """Return the menu with some of its cards."""
        return Menu(
            self.cards[positions],
            self.rates[positions],
            self.above[positions],
            self.up_to[positions],
            self.input_ratio[positions],
        )


def menu(cards: Cards, rates: Floats, limits: list[tuple[int | None, int | None]], ratios: Floats) -> Menu:
    """Build a menu; a limit of None is none."""
    above = np.array([NONE if low is None else low for low, _ in limits], dtype=np.int64)
    up_to = np.array([_FAR if high is None else high for _, high in limits], dtype=np.int64)
    return Menu(cards, rates, above, up_to, ratios)


def cheapest(tokens: Ints, total_input: Ints, cells: Ints, menus: Mapping[int, Menu]) -> tuple[Ints, Cards]:
    """Return for every row its least cost in picodollars and the card that has it; NONE where there is none.

    Args:
        tokens: columns x rows.
        total_input: input tokens of every row.
        cells: the cell of every row.
        menus: by cell; a cell without one has no card.

    Raises:
        DataError: tokens and rates whose product no integer holds.
    """
    costs = np.full(cells.shape, NONE, dtype=np.int64)
    cards = np.full(cells.shape, NONE, dtype=np.int32)
    highest = max(menus, default=-1)
    if highest < 0 or not len(cells):
        return costs, cards
    dtype = np.uint16 if cells.max() < 2**16 else np.uint32
    order = np.argsort(cells.astype(dtype), kind="stable")
    ends = np.cumsum(np.bincount(cells, minlength=highest + 1))
    jobs: list[tuple[Menu, npt.NDArray[np.intp]]] = []
    for cell, offered in menus.items():
        if not len(offered.cards):
            continue
        rows = order[ends[cell - 1] if cell else 0 : ends[cell]]
        step = max(_BLOCK // len(offered.cards) // 4, 1024)
        jobs += [(offered, rows[start : start + step]) for start in range(0, len(rows), step)]

    def settle(job: tuple[Menu, npt.NDArray[np.intp]]) -> None:
        offered, rows = job
        costs[rows], cards[rows] = _least(offered, tokens[:, rows], total_input[rows])

    with ThreadPoolExecutor(max_workers=pl.thread_pool_size()) as pool:
        for _ in pool.map(settle, jobs):
            pass
    return costs, cards


def _least(offered: Menu, tokens: Ints, total_input: Ints) -> tuple[Ints, Cards]:
    is_missing = np.isnan(offered.rates)
    rates = np.where(is_missing, 0.0, offered.rates)
    bound = float(tokens.max(axis=1, initial=0).astype(np.float64) @ rates.max(axis=0, initial=0.0))
    if bound >= _EXACT_INT:
        raise DataError(
            f"An attempt would cost more than ${_EXACT_INT / 1e12:,.0f} at some eligible route; "
            "look for a wrong token count in core.requests or a wrong rate in the price sheets."
        )
    is_float = bound < _EXACT_FLOAT
    table = rates @ tokens.astype(np.float64) if is_float else rates.astype(np.int64) @ tokens
    best = np.full(tokens.shape[1], _FAR, dtype=table.dtype)
    card = np.full(tokens.shape[1], NONE, dtype=np.int32)
    for position in range(len(offered.cards)):
        cost = table[position]
        if is_missing[position].any():
            cost[(tokens[is_missing[position]] > 0).any(axis=0)] = _FAR
        if offered.above[position] != NONE or offered.up_to[position] != _FAR:
            size = total_input * offered.input_ratio[position]
            cost[(size <= offered.above[position]) | (size > offered.up_to[position])] = _FAR
        is_less = cost < best
        best[is_less] = cost[is_less]
        card[is_less] = offered.cards[position]
    found = np.where(best < _FAR, best, NONE).astype(np.int64)
    return found, card
