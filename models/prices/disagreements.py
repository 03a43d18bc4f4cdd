"""Where two price lists disagree, by how much, and whether a unit explains it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import polars as pl

from models.prices.offers import OutsideList

Rates = dict[str, Decimal]
Listed = dict[tuple[str, str], Rates]
_TRAP_SLACK = Decimal("0.02")
_POWERS = (1, 2, 3, 4, 6)
_PRINTED = Decimal("1e-9")
"""Lists print a third of a cent with more or fewer digits; that is no disagreement."""


@dataclass(frozen=True)
class Disagreement:
    """A rate per million tokens that two lists give differently; `unit_power` is k where they differ by 10**k."""

    provider: str
    model: str
    meter: str
    first: Decimal
    second: Decimal

    @property
    def ratio(self) -> Decimal:
        return self.second / self.first

    @property
    def unit_power(self) -> int | None:
        for power in _POWERS:
            for signed in (power, -power):
                if abs(self.ratio / Decimal(10) ** signed - 1) < _TRAP_SLACK:
                    return signed
        return None


@dataclass(frozen=True)
class Comparison:
    """Two lists side by side.

    Attributes:
        both_count: models that both price.
        only_first, only_second: models that one prices, of providers that both know.
        disagreements: every rate that differs, the largest ratio first.
    """

    both_count: int
    only_first: list[tuple[str, str]]
    only_second: list[tuple[str, str]]
    disagreements: list[Disagreement]

    @property
    def differing_count(self) -> int:
        """How many models have a rate that differs."""
        return len({(found.provider, found.model) for found in self.disagreements})


def listed_in_book(book: pl.DataFrame, models: pl.DataFrame, *, at: datetime) -> Listed:
    """Return the plain list rates of every name in the book, valid at an instant as known now, in dollars."""
    in_force = (pl.col("valid_from") <= at) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > at))
    is_current = pl.col("known_to").is_null()
    rows = book.filter(
        in_force, is_current,
        pl.col("layer") == "list", pl.col("service_tier") == "default", pl.col("region").is_null(),
        pl.col("schedule").is_null(), pl.col("above_input_tokens").is_null(), pl.col("unit") == "token",
        pl.col("usd_per_mtok") > 0, ~pl.col("is_assumed"),
    )  # fmt: skip
    rates: Listed = {}
    for provider, model, meter, rate in rows.select("provider", "model", "meter", "usd_per_mtok").iter_rows():
        rates.setdefault((provider, model), {})[meter] = rate
    names = models.filter(in_force, is_current).select("provider", "alias", "model").iter_rows()
    return {
        (provider, alias): rates[provider, model]
        for provider, alias, model in names
        if (provider, model) in rates
    }


def listed_in(outside: OutsideList, *, at: date) -> Listed:
    """Return the plain rates of every name of an outside list on a day."""
    found: Listed = {}
    dated = sorted(outside.token_offers, key=lambda offer: offer.valid_from or date.min)
    for offer in dated:
        if offer.region is None and (offer.valid_from is None or offer.valid_from <= at):
            rates = _plain(offer.entry.get("usd_per_mtok", {}))
            for name in (offer.model, *offer.aliases):
                found[offer.provider, name] = rates
    return found


def _plain(rates: Mapping[str, Decimal | None]) -> Rates:
    plain = {meter: rate for meter, rate in rates.items() if rate}
    if both := plain.pop("output", None):
        plain = {"output_text": both, "reasoning": both} | plain
    return plain


def compare(first: Listed, second: Listed) -> Comparison:
    """Compare two lists name by name; a class that only one prices is no disagreement."""
    both = [name for name in first if name in second]
    found = [
        Disagreement(provider, model, meter, rate, second[provider, model][meter])
        for provider, model in both
        for meter, rate in first[provider, model].items()
        if abs(second[provider, model].get(meter, rate) / rate - 1) > _PRINTED
    ]
    return Comparison(
        both_count=len(both),
        only_first=_only(first, second),
        only_second=_only(second, first),
        disagreements=sorted(found, key=_order),
    )


def _only(mine: Listed, theirs: Listed) -> list[tuple[str, str]]:
    providers = {provider for provider, _ in theirs}
    return sorted(name for name in mine if name[0] in providers and name not in theirs)


def _order(found: Disagreement) -> tuple[Decimal, str, str, str]:
    size = max(found.ratio, 1 / found.ratio)
    return (-size, found.provider, found.model, found.meter)


def rounded_rates(book: pl.DataFrame) -> Iterable[tuple[str, str, str, Decimal, int]]:
    """Yield what booking moves: provider, model, meter, the rate per million units and the booked 1e-12 per unit."""
    moved = book.filter(pl.col("is_rounded"), pl.col("known_to").is_null(), pl.col("layer") == "list")
    columns = ("provider", "model", "meter", "rate_per_mtok", "picodollars_per_unit")
    yield from moved.select(columns).unique().sort(columns).iter_rows()
