"""Tokens times rates, exactly: integer 1e-12 of the card's currency, one pass for each class that occurs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.costs.token_cards import NO_CARD, Integers, RateCards
from models.costs.token_slots import Booleans, SlottedAttempts
from models.schemas.vocabulary import INPUT_CLASSES, PROMPT_ORDER, TOKEN_CLASSES, TOOL_FEES

REQUEST_FEE = "request"
"""Meter of a fee for the call itself, whatever it used."""
ROW_LIMIT = 9 * 10**17
"""What a row's column can hold, in picodollars and with margin."""
_MICRO = 10**6


@dataclass(frozen=True)
class AttemptUsage:
    """What attempts used: the token classes and meters that occur at all (micro-units), and their input."""

    tokens: dict[str, Integers]
    meters: dict[str, Integers]
    total_input: Integers
    has_tokens: Booleans
    stated_fees: Integers

    @property
    def is_any(self) -> Booleans:
        """Whether an attempt reports tokens (0 is a report) or used a meter."""
        found = self.has_tokens | (self.stated_fees > 0)
        for quantity in self.meters.values():
            found = found | (quantity > 0)
        return found

    def where(self, rows: Integers) -> "AttemptUsage":
        """Return the same for some of the attempts."""
        return AttemptUsage(
            {name: tokens[rows] for name, tokens in self.tokens.items()},
            {name: quantity[rows] for name, quantity in self.meters.items()},
            self.total_input[rows],
            self.has_tokens[rows],
            self.stated_fees[rows],
        )


@dataclass(frozen=True)
class Amounts:
    """Cost of each attempt at one layer, in 1e-12 of its card's currency.

    `missing` and `assumed` have a bit for each class used that the card does not offer, or offers at a rate that no
    sheet states; `is_covered`: none is missing; `is_estimable`: each has a rate somewhere; `is_too_dear`:
    the cost is beyond what a row can hold, and the amounts mean nothing.
    """

    card: Integers
    into: Integers
    out: Integers
    by_meters: Integers
    missing: Integers
    assumed: Integers
    is_estimable: Booleans
    is_too_dear: Booleans

    @property
    def is_covered(self) -> Booleans:
        """Whether the card offers every class used."""
        return np.equal(self.missing, 0)


def usage_of(attempts: pl.DataFrame, meters: Sequence[str]) -> AttemptUsage:
    """Take the token columns, and the meters that the book knows, out of attempts."""
    has_tokens = np.zeros(attempts.height, dtype=np.bool_)
    total_input = np.zeros(attempts.height, dtype=np.int64)
    tokens: dict[str, Integers] = {}
    for name in TOKEN_CLASSES:
        column = attempts[f"{name}_tokens"]
        if not has_tokens.all():
            has_tokens |= column.is_not_null().to_numpy()
        if column.max():
            tokens[name] = column.fill_null(0).to_numpy()
            if name in INPUT_CLASSES:
                total_input = total_input + tokens[name]
    found: dict[str, Integers] = {}
    if attempts["other_meters"].null_count() < attempts.height:
        for meter in meters:
            quantity = attempts.select((pl.col("other_meters").map.get(meter) * _MICRO).cast(pl.Int64))
            if quantity.to_series().max():
                found[meter] = quantity.to_series().fill_null(0).to_numpy()
    return AttemptUsage(tokens, found, total_input, has_tokens, _stated_fees(attempts))


def _stated_fees(attempts: pl.DataFrame) -> Integers:
    """Return the picodollars of tools that the source states, without saying how often they were called."""
    if attempts["other_meters"].null_count() == attempts.height:
        return np.zeros(attempts.height, dtype=np.int64)
    stated = attempts.select((pl.col("other_meters").map.get(TOOL_FEES) * _MICRO).cast(pl.Int64) * _MICRO)
    return stated.to_series().fill_null(0).to_numpy()


def amounts(usage: AttemptUsage, located: SlottedAttempts, cards: RateCards) -> tuple[Amounts, Amounts]:
    """Return the cost at list prices and at negotiated ones: one object where no contract holds."""
    threshold = located.values("threshold")
    exceeds = (threshold >= 0) & (usage.total_input > threshold)
    is_graduated = exceeds & (located.values("is_graduated") > 0)
    is_long = exceeds & ~is_graduated
    beyond = np.where(is_graduated, usage.total_input - threshold, 0)
    listed = np.where(is_long, located.values("long_card"), located.values("card"))
    at_list = _at_cards(usage, listed, cards, beyond)
    negotiated = np.where(is_long, located.values("contract_long_card"), located.values("contract_card"))
    if not (negotiated >= 0).any():
        return at_list, at_list
    return at_list, _at_cards(usage, np.where(negotiated >= 0, negotiated, listed), cards, beyond)


def _at_cards(usage: AttemptUsage, card: Integers, cards: RateCards, beyond: Integers) -> Amounts:
    """Price usage at a card per attempt (-1: none, cost 0), `beyond` of its input at the card's own further one."""
    rates = np.append(cards.rates, np.zeros((len(cards.rates), 1), dtype=np.int64), axis=1)
    size = len(card)
    into, out, by_meters = (np.zeros(size, dtype=np.int64) for _ in range(3))
    used = np.zeros(size, dtype=np.int64)
    spent = np.zeros(size, dtype=np.float64)
    order = {meter: row for row, meter in enumerate((*TOKEN_CLASSES, *cards.meters))}
    for name, tokens in usage.tokens.items():
        row = order[name]
        target = into if name in INPUT_CLASSES else out
        target += tokens * rates[row][card]
        spent += tokens
        used |= (tokens > 0) * (np.int64(1) << np.int64(row))
    for meter, quantity in usage.meters.items():
        row = order[meter]
        by_meters += _half_even(quantity, rates[row][card])
        spent += quantity / _MICRO
        used |= (quantity > 0) * (np.int64(1) << np.int64(row))
    by_meters += np.where(card >= 0, usage.stated_fees, 0)
    if REQUEST_FEE in order:
        # Charged once an attempt by the cards that have it; no log counts it.
        row = order[REQUEST_FEE]
        offers = np.append(cards.offered >> row & 1, 0)
        by_meters += (rates[row] * offers)[card]
    rows = np.flatnonzero(beyond)
    if len(rows):
        into[rows] += _surcharge(usage, rows, beyond[rows], card[rows], cards)
    return Amounts(
        card=card,
        into=into,
        out=out,
        by_meters=by_meters,
        missing=used & ~np.append(cards.offered, 0)[card],
        assumed=used & np.append(cards.assumed, 0)[card],
        is_estimable=(used & ~np.append(cards.estimable, 0)[card]) == 0,
        is_too_dear=_too_dear(usage, card, rates, spent * np.append(cards.dearest, 0)[card]),
    )


def _too_dear(
    usage: AttemptUsage, card: Integers, rates: Integers, at_most: npt.NDArray[np.float64]
) -> Booleans:
    """Whether the cost passes what a row can hold; worked out in floats where the dearest rate would pass it."""
    result = at_most > ROW_LIMIT
    rows = np.flatnonzero(result)
    if len(rows):
        order = {meter: row for row, meter in enumerate(TOKEN_CLASSES)}
        parts = [
            tokens[rows] * rates[order[name]][card[rows]].astype(np.float64)
            for name, tokens in usage.tokens.items()
        ]
        result[rows] = np.sum(parts, axis=0) > ROW_LIMIT
    return result


def _half_even(quantity: Integers, rate: Integers) -> Integers:
    """Multiply micro-units by a rate per unit and round half to even; the product stays far below 2**63."""
    whole, rest = quantity // _MICRO, quantity % _MICRO
    low = rest * (rate % _MICRO)
    product: Integers = whole * rate + rest * (rate // _MICRO) + low // _MICRO
    twice = 2 * (low % _MICRO)
    product += (twice > _MICRO) | ((twice == _MICRO) & (product % 2 == 1))
    return product


def _surcharge(
    usage: AttemptUsage, rows: Integers, beyond: Integers, card: Integers, cards: RateCards
) -> Integers:
    """Return what the input tokens beyond a graduated threshold cost more, the last in prompt order first."""
    further = cards.beyond[card]
    order = {meter: row for row, meter in enumerate(TOKEN_CLASSES)}
    left = beyond.copy()
    extra = np.zeros(len(rows), dtype=np.int64)
    for name in reversed(PROMPT_ORDER):
        if name in usage.tokens:
            taken = np.minimum(usage.tokens[name][rows], left)
            extra += taken * (cards.rates[order[name]][further] - cards.rates[order[name]][card])
            left -= taken
    return np.where(further == NO_CARD, 0, extra)
