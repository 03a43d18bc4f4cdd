"""The menu of each cell: its eligible cards with the rates that its work would have met there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.cheapest import Menu, menu
from models.routing.offers import Mask
from models.routing.quality import conversion
from models.routing.rules import Cell, Rules, Ruling
from models.routing.sessions import cache_lifetimes
from models.routing.work import Work, rates_as_observed, rates_elsewhere

LATENCY_GAIN = 0.1
"""How much faster (as a share) the place taken must be for its price to have bought something."""
MEASURED_AT_LEAST = 30
"""Attempts that make a place's latency known."""


@dataclass(frozen=True)
class Latency:
    """Seconds to the first token, and per output token, of a provider's model."""

    first_token_seconds: float
    seconds_per_token: float

    def of(self, output_tokens: float) -> float:
        """Return the seconds of an answer."""
        return self.first_token_seconds + self.seconds_per_token * output_tokens


def latencies(measured: pl.DataFrame | None) -> dict[tuple[str, str], Latency]:
    """Read `provider, model, attempt_count, first_token_seconds, seconds_per_output_token`; too few are unknown."""
    if measured is None:
        return {}
    known = measured.filter(
        pl.col("attempt_count") >= MEASURED_AT_LEAST, pl.col("seconds_per_output_token").is_not_null()
    )
    return {
        (row["provider"], row["model"]): Latency(
            row["first_token_seconds"] or 0.0, row["seconds_per_output_token"]
        )
        for row in known.iter_rows(named=True)
    }


class Menus:
    """Menus of cells for one layout of work."""

    def __init__(self, rules: Rules, work: Work, latency: Mapping[tuple[str, str], Latency]) -> None:
        self.rules, self.market, self.work, self.latency = rules, rules.market, work, latency
        self._fronts: dict[tuple[bytes, Any], npt.NDArray[np.intp]] = {}

    @cached_property
    def elsewhere(self) -> npt.NDArray[np.float64]:
        stated, other = cache_lifetimes()
        names = {offer.provider for offer in self.market.offers}
        return rates_elsewhere(self.market, self.work, {name: stated.get(name, other) for name in names})

    @cached_property
    def as_observed(self) -> npt.NDArray[np.float64]:
        return rates_as_observed(self.market, self.work)

    def of(self, cell: Cell, ruling: Ruling) -> tuple[Menu, Menu]:
        """Return the menus of the cell's family and of other families, without dominated cards."""
        left = self.open_to(cell, ruling)
        is_family = self.market.where("family", cell["model_family"])
        return self._front(cell, left & is_family), self._front(cell, left & ~is_family)

    def open_to(self, cell: Cell, ruling: Ruling) -> Mask:
        """Return the eligible offers other than the place taken, too slow ones left out."""
        eligible = self.rules.eligible(cell, ruling) & ~self.rules.own_place(cell)
        return eligible & ~self._too_slow(cell, ruling)

    def card(self, cell: Cell, offers: npt.NDArray[np.intp]) -> Menu:
        """Return the menu of some offers, dominated ones included."""
        rates = np.where(
            self._is_own_model(cell)[offers, None], self.as_observed[offers], self.elsewhere[offers]
        )
        ratios = np.ones(len(offers))
        for position, offer in enumerate(offers):
            into, out, _ = self.converted(cell, int(offer))
            if (into, out) != (1.0, 1.0):
                ratios[position] = into
                rates[position] = np.rint(rates[position] * np.where(self.work.is_input, into, out))
        limits = [(self.market.offers[offer].above, self.market.offers[offer].up_to) for offer in offers]
        return menu(offers.astype(np.int32), rates, limits, ratios)

    def converted(self, cell: Cell, offer: int) -> tuple[float, float, float]:
        """Return what converts the cell's input and output tokens to an offer's, and the relative error."""
        other = self.market.offers[offer]
        taken = (cell["model_family"], cell["model"])
        return conversion(self.rules.quality, taken, (other.family, other.model))

    def _is_own_model(self, cell: Cell) -> Mask:
        return self.market.where("provider", cell["provider"]) & self.market.where("model", cell["model"])

    def _front(self, cell: Cell, offers: Mask) -> Menu:
        is_own = bool((offers & self._is_own_model(cell)).any())
        taken = cell["model"] if is_own or self.rules.quality else None
        key = (offers.tobytes(), (cell["model_family"], taken, cell["provider"] if is_own else None))
        if key not in self._fronts:
            self._fronts[key] = (
                self.card(cell, np.flatnonzero(offers)).without_dominated().cards.astype(np.intp)
            )
        return self.card(cell, self._fronts[key])

    def _too_slow(self, cell: Cell, ruling: Ruling) -> Mask:
        """Return the offers that miss the latency target or, without one, that the place taken beats by a gain."""
        found = np.zeros(len(self.market.offers), dtype=np.bool_)
        if not self.latency or cell["mean_output"] is None:
            return found
        own = self.latency.get((cell["provider"], cell["model"]))
        target = ruling.clause["latency_target_seconds"]
        for (provider, model), measured in self.latency.items():
            seconds = measured.of(cell["mean_output"])
            is_slow = seconds > target if target is not None else False
            if target is None and own is not None:
                is_slow = own.of(cell["mean_output"]) < seconds * (1 - LATENCY_GAIN)
            if is_slow:
                found |= self.market.where("provider", provider) & self.market.where("model", model)
        if target is None:
            # A gain in latency excuses a dearer provider of the same model, not a stronger model than needed.
            found &= self.market.where("family", cell["model_family"])
        return found
