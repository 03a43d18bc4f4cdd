"""What could be bought: every dated rate card of the price book, as columns that eligibility filters at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.policy import EPOCH
from models.schemas.base import INSTANT
from models.tiers import DEFAULT_TIER, is_default_tier

UNCACHED = {
    "cache_read": "input_uncached",
    "cache_write_5m": "input_uncached",
    "cache_write_1h": "input_uncached",
    "cache_read_audio": "audio_input",
    "cache_read_image": "image_input",
}
"""What a cache class costs where the prefix is not cached: the plain rate of its kind."""
VARIANTS = (
    "batch",
    "beta",
    "exacto",
    "extended",
    "flex",
    "floor",
    "free",
    "nitro",
    "online",
    "priority",
    "thinking",
)
"""Ends of OpenRouter's names that mean another service than the plain model's, https://openrouter.ai/docs."""

Mask = npt.NDArray[np.bool_]
Place = tuple[str | None, str | None]
"""A provider and a model."""


@dataclass(frozen=True)
class Offer:
    """The rates of one model at one provider and region on one tier, for a range of input sizes.

    Attributes:
        known_from, known_to: between which instants these rates were what was known of the place.
        deployment: the owned pool that offers it; None for a price sheet's offer.
    """

    provider: str
    region: str | None
    model: str
    family: str
    chip: str | None
    tier: str
    valid_from: datetime
    valid_to: datetime | None
    above: int | None
    up_to: int | None
    rates: Mapping[str, int | None]
    known_from: datetime = EPOCH
    known_to: datetime | None = None
    deployment: str | None = None

    @property
    def since(self) -> datetime:
        """The first instant at which a decision could go by these rates."""
        return max(self.valid_from, self.known_from)

    def holds_at(self, instant: datetime) -> bool:
        """Whether the rates apply at an instant and were known then."""
        return self.since <= instant and all(
            end is None or instant < end for end in (self.valid_to, self.known_to)
        )

    def rate(self, name: str, *, is_cached: bool) -> int | None:
        """Return the rate of a token class; where the prefix is not cached, a cache class costs the plain rate."""
        if name in UNCACHED:
            stated = self.rates.get(name) if is_cached else None
            return self.rates.get(UNCACHED[name]) if stated is None else stated
        return self.rates.get(name)


class Market:
    """All offers, in one fixed order, with their columns as arrays."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self.offers = tuple(offers)
        self._same: dict[tuple[str, Any], Mask] = {}
        self._rates: dict[tuple[tuple[str, bool], ...], npt.NDArray[np.float64]] = {}

    def rates(self, columns: Iterable[tuple[str, bool]]) -> npt.NDArray[np.float64]:
        """Return picodollars a token, offers x columns (`rate_matrix`); not to be written to."""
        key = tuple(columns)
        if key not in self._rates:
            self._rates[key] = rate_matrix(self.offers, key)
        return self._rates[key]

    def where(self, name: str, value: Any) -> Mask:
        """Return which offers have a value in a column, such as `provider`."""
        key = (name, value)
        if key not in self._same:
            self._same[key] = np.array([getattr(o, name) == value for o in self.offers], dtype=np.bool_)
        return self._same[key]

    def among(self, name: str, values: Iterable[Any]) -> Mask:
        """Return which offers have one of the values in a column."""
        found = np.zeros(len(self.offers), dtype=np.bool_)
        for value in values:
            found |= self.where(name, value)
        return found

    def live(self, instant: datetime) -> Mask:
        """Return which offers hold at an instant."""
        key = ("live", instant)
        if key not in self._same:
            self._same[key] = np.array([o.holds_at(instant) for o in self.offers], dtype=np.bool_)
        return self._same[key]

    @cached_property
    def is_owned(self) -> Mask:
        return np.array([o.deployment is not None for o in self.offers], dtype=np.bool_)

    @cached_property
    def instants(self) -> list[datetime]:
        """Every instant at which some rate begins, ends, is learned or corrected, in order."""
        found = {o.since for o in self.offers}
        return sorted(found | {end for o in self.offers for end in (o.valid_to, o.known_to) if end})

    @cached_property
    def regional(self) -> set[tuple[str, str, str]]:
        """Provider, model and region wherever a region has a price of its own."""
        return {(o.provider, o.model, o.region) for o in self.offers if o.region is not None}


def offers(book: pl.DataFrame, models: pl.DataFrame, *, as_known_at: datetime) -> list[Offer]:
    """Return what every provider offered, and between which instants each offer was known.

    A decision goes by what was known when it was made, so a change that was learned later is no offer before. The
    first price that is known of a place holds from its validity on: a sheet that is written later tells what was
    public then. Only list prices in dollars that hold at all hours count: an off-peak rate is no alternative yet.
    Beyond the threshold of a graduated long-context rule a model is no alternative either.

    Args:
        book: ref.token_prices.
        models: ref.models.
        as_known_at: rows learned later do not count.
    """
    at = pl.lit(as_known_at, dtype=INSTANT)
    place = ("provider", "model", "region", "service_tier")
    known = book.filter(
        pl.col("known_from") <= at,
        pl.col("unit") == "token",
        pl.col("layer") == "list",
        pl.col("schedule").is_null(),
        pl.col("currency").fill_null("USD") == "USD",
    ).with_columns(
        pl.when(pl.col("known_from") > pl.col("known_from").min().over(place))
        .then("known_from")
        .otherwise(pl.lit(EPOCH, dtype=INSTANT))
        .alias("known_from")
    )
    chips = {
        (provider, model): chip
        for provider, model, chip in models.select("provider", "model", "chip").unique().iter_rows()
    }
    dated = (*place, "valid_from", "valid_to", "known_from", "known_to")
    cards: dict[tuple[Any, ...], dict[int | None, dict[str, Any]]] = {}
    for row in (
        known.group_by(*dated, "above_input_tokens", maintain_order=True)
        .agg(
            pl.first("model_family"),
            pl.first("long_context_mode"),
            pl.col("meter"),
            pl.col("picodollars_per_unit"),
        )
        .iter_rows(named=True)
    ):
        cards.setdefault(tuple(row[name] for name in dated), {})[row["above_input_tokens"]] = {
            "family": row["model_family"],
            "mode": row["long_context_mode"],
            "rates": dict(zip(row["meter"], row["picodollars_per_unit"], strict=True)),
        }
    found: list[Offer] = []
    for card_of, by_threshold in cards.items():
        provider, model, region, tier, valid_from, valid_to, known_from, known_to = card_of
        thresholds = sorted(by_threshold, key=lambda above: -1 if above is None else above)
        for above, up_to in zip(thresholds, [*thresholds[1:], None], strict=True):
            card = by_threshold[above]
            if card["mode"] == "graduated":
                continue
            found.append(
                Offer(
                    provider=provider,
                    region=region,
                    model=model,
                    family=card["family"] or model,
                    chip=chips.get((provider, model)),
                    tier=_tier(model, tier),
                    valid_from=valid_from,
                    valid_to=valid_to,
                    above=above,
                    up_to=up_to,
                    rates=card["rates"],
                    known_from=known_from,
                    known_to=known_to,
                )
            )
    return found


def _tier(model: str, tier: str) -> str:
    """Return the tier that a card is compared on; `openai/gpt-4o:batch` is served as its name says."""
    _, _, variant = model.rpartition(":")
    if variant in VARIANTS and variant != model:
        return variant
    return DEFAULT_TIER if is_default_tier(tier) else tier


def rate_matrix(offered: Iterable[Offer], columns: Iterable[tuple[str, bool]]) -> npt.NDArray[np.float64]:
    """Return picodollars a token, offers x columns; NaN where an offer has no rate.

    Args:
        offered: offers.
        columns: token class, and whether its prefix is cached there.
    """
    offered, wanted = tuple(offered), tuple(columns)
    named = {name for name, _ in wanted}
    stated = {
        name: np.array([offer.rates.get(name) for offer in offered], dtype=np.float64)
        for name in named | {UNCACHED[name] for name in named & UNCACHED.keys()}
    }
    rates = [
        stated[name]
        if name not in UNCACHED
        else np.where(np.isnan(stated[name]) | (not is_cached), stated[UNCACHED[name]], stated[name])
        for name, is_cached in wanted
    ]
    return np.stack(rates, axis=1) if rates else np.empty((len(offered), 0), dtype=np.float64)
