"""Foreign rates: a cost in its sheet's currency becomes dollars once a row, at the dated rate of its day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from models.costs.token_amounts import Amounts
from models.costs.token_cards import Integers
from models.costs.token_slots import Booleans
from models.money import half_even
from models.schemas.base import INSTANT

HOME = "USD"
_SCALE = 10**12


@dataclass(frozen=True)
class Dollars:
    """Picodollars by part, and the rate that made them: a day number, -1 for dollars, and 1e-12 of a dollar."""

    into: Integers
    out: Integers
    by_meters: Integers
    rate_on: Integers
    rate: Integers
    is_convertible: Booleans

    @property
    def total(self) -> Integers:
        """Return the whole, in picodollars."""
        return self.into + self.out + self.by_meters


@dataclass(frozen=True)
class ExchangeRates:
    """`ref.fx_rates` as known at an instant: by currency, the days of its rates and the rates."""

    days: dict[str, Integers]
    rates: dict[str, Integers]

    def dollars(self, amounts: Amounts, currencies: Sequence[str], accrued_on: Integers) -> Dollars:
        """Convert a layer's amounts.

        The whole is rounded once, half to even; its parts are differences of rounded running sums, so they
        add up to it. Without a rate on or before the day a foreign cost is not convertible.

        Args:
            amounts: cost in the cards' currencies.
            currencies: the currency of each card.
            accrued_on: business days since 1970.
        """
        size = len(amounts.card)
        rate_on, rate = np.full(size, -1), np.full(size, _SCALE)
        is_convertible = np.ones(size, dtype=np.bool_)
        if set(currencies) <= {HOME}:
            return Dollars(amounts.into, amounts.out, amounts.by_meters, rate_on, rate, is_convertible)
        into, out, by_meters = (part.copy() for part in (amounts.into, amounts.out, amounts.by_meters))
        names = np.array([*currencies, HOME])
        for currency in sorted(set(currencies) - {HOME}):
            rows = np.flatnonzero(names[amounts.card] == currency)
            days = self.days.get(currency, np.array([], dtype=np.int64))
            place = np.searchsorted(days, accrued_on[rows], side="right") - 1
            is_convertible[rows[place < 0]] = False
            rows, place = rows[place >= 0], place[place >= 0]
            if len(rows):
                rate_on[rows], rate[rows] = days[place], self.rates[currency][place]
                running = np.cumsum([into[rows], out[rows], by_meters[rows]], axis=0)
                done = [_converted(part, rate[rows]) for part in running]
                into[rows], out[rows], by_meters[rows] = done[0], done[1] - done[0], done[2] - done[1]
        return Dollars(into, out, by_meters, rate_on, rate, is_convertible)


def exchange(rates: pl.DataFrame, *, as_known_at: datetime) -> ExchangeRates:
    """Arrange `ref.fx_rates`; of the rates of one day the latest known counts, one learned later does not."""
    known = (
        rates.filter(pl.col("known_from") <= pl.lit(as_known_at, dtype=INSTANT))
        .sort("currency", "rate_on", "known_from")
        .unique(["currency", "rate_on"], keep="last", maintain_order=True)
    )
    by_currency = {str(key[0]): part for key, part in known.group_by("currency", maintain_order=True)}
    return ExchangeRates(
        days={
            name: part["rate_on"].to_physical().cast(pl.Int64).to_numpy()
            for name, part in by_currency.items()
        },
        rates={
            name: part["usd_per_unit"].reinterpret(dtype=pl.Int128).cast(pl.Int64).to_numpy()
            for name, part in by_currency.items()
        },
    )


def _converted(amount: Integers, rate: Integers) -> Integers:
    frame = pl.DataFrame({"amount": amount, "rate": rate})
    product = pl.col("amount").cast(pl.Int128) * pl.col("rate")
    return frame.select(half_even(product, _SCALE).cast(pl.Int64)).to_series().to_numpy()
