"""The price book as known at an instant, arranged for lookup: a name at a provider -> slots in time -> rate cards.

Reference data of some thousand rows; request-scale work is in token_costs.py.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.costs.rates import is_known
from models.schemas.vocabulary import FEE_METERS, GLOBAL_REGION, PLACED_PROVIDERS, TOKEN_CLASSES
from models.tiers import BATCH_TIER, DEFAULT_TIER

OTHER_TIER = "(other)"
ANY_REGION = ""
NO_CARD = -1
WEEK_MINUTES = 7 * 24 * 60
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EVER = datetime(1, 1, 1, tzinfo=UTC)
_NEAREST_CLASS = {
    "cache_write_1h": "cache_write_5m",
    "cache_read_audio": "audio_input",
    "cache_read_image": "image_input",
    "reasoning": "output_text",
    "audio_output": "output_text",
    "image_output": "output_text",
    "other_output": "output_text",
}
Row = dict[str, Any]
Place = tuple[str, str, str]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Slot:
    """What a name means in a stretch of time, at one region and tier; the numbers are of cards."""

    model: str | None = None
    family: str | None = None
    chip: str | None = None
    is_dated: bool = False
    is_finished: bool = False
    card: int = NO_CARD
    long_card: int = NO_CARD
    contract_card: int = NO_CARD
    contract_long_card: int = NO_CARD
    threshold: int = -1
    is_graduated: bool = False
    is_place_assumed: bool = False
    """Whether the place chooses the price, and the call names none that the book knows."""
    weekly: "tuple[tuple[str, Slot], ...]" = ()
    """Off-peak schedules with the slot that holds in their minutes."""


@dataclass(frozen=True)
class RateCards:
    """Rate cards as arrays by card number.

    `rates` has a row per meter (token classes, then `meters`) in 1e-12 of the card's currency: the stated
    rate, else that of its nearest sibling, else 0; `offered`, `assumed` (offered at a rate that no sheet states)
    and `estimable` have a bit per meter; `beyond` is the card of the input tokens beyond a graduated threshold.
    """

    price_ids: list[str]
    sheet_versions: list[str]
    currencies: list[str]
    meters: list[str]
    rates: Integers
    offered: Integers
    assumed: Integers
    estimable: Integers
    dearest: npt.NDArray[np.float64]
    is_free: npt.NDArray[np.bool_]
    beyond: Integers


@dataclass
class PriceIndex:
    """The book as known at an instant; slots are worked out for the names that are asked for."""

    cards: RateCards
    tiers: list[str]
    regions: list[str]
    aliases: dict[tuple[str, str], list[Row]]
    entries: dict[Place, list[tuple[datetime, datetime | None, list[Row]]]]
    contracts: dict[int, list[Row]]
    first_provider: dict[str, str]
    """A name -> the alphabetically first provider that has it."""
    _segments: dict[tuple[str, str, str, str], list[tuple[datetime, Slot]]] = field(default_factory=dict)

    def segments(self, provider: str, name: str, region: str, tier: str) -> list[tuple[datetime, Slot]]:
        """Return from when each slot of a known name holds, in order; the first holds since ever."""
        key = provider, name, region, tier
        if key not in self._segments:
            found: list[tuple[datetime, Slot]] = []
            for at in self._cuts(provider, name, region):
                slot = self._slot_at(provider, name, region, tier, at)
                if not found or found[-1][1] != slot:
                    found.append((at, slot))
            self._segments[key] = found
        return self._segments[key]

    def _cuts(self, provider: str, name: str, region: str) -> list[datetime]:
        cuts: set[datetime | None] = {_EVER}
        for alias in self.aliases[provider, name]:
            cuts |= {alias["valid_from"], alias["valid_to"]}
            for place in {ANY_REGION, region}:
                for start, end, cards in self.entries.get((provider, alias["model"], place), ()):
                    cuts |= {start, end}
                    for card in cards:
                        for contract in self.contracts.get(card["card"], ()):
                            cuts |= {contract["valid_from"], contract["valid_to"]}
        return sorted(cut for cut in cuts if cut is not None)

    def _slot_at(self, provider: str, name: str, region: str, tier: str, at: datetime) -> Slot:
        holding = (row for row in self.aliases[provider, name] if _holds(row, at))
        alias = next(holding, None)
        if alias is None:
            return Slot()
        cards, is_dated = self._entry_at(provider, alias["model"], region, at)
        tiered = [card for card in cards if card["service_tier"] == tier]
        own = tiered or [card for card in cards if card["service_tier"] == DEFAULT_TIER]
        slot = Slot(
            model=alias["model"],
            family=alias["model_family"],
            chip=alias["chip"],
            is_dated=is_dated and bool(tiered),
            is_finished=any(card["priced_at"] == "finished" for card in own),
            is_place_assumed=region == ANY_REGION and self._is_placed(provider, alias["model"]),
        )
        schedules = sorted({card["schedule"] for card in own if card["schedule"]})
        weekly = tuple((schedule, self._with_cards(slot, own, schedule, at)) for schedule in schedules)
        return replace(self._with_cards(slot, own, None, at), weekly=weekly)

    def _is_placed(self, provider: str, model: str) -> bool:
        """Return whether each call of the provider is made at a place, and some places have prices of their own."""
        return provider in PLACED_PROVIDERS and any(
            (provider, model, region) in self.entries for region in self.regions
        )

    def _entry_at(self, provider: str, model: str, region: str, at: datetime) -> tuple[list[Row], bool]:
        """Return the cards that hold, or the nearest in time and False.

        Any-region entries hold before a region's first own one.
        """
        own = self.entries.get((provider, model, region), []) if region != ANY_REGION else []
        anywhere = self.entries.get((provider, model, ANY_REGION), [])
        timeline = own if own and (at >= own[0][0] or not anywhere) else anywhere
        for start, end, cards in timeline:
            if start <= at and (end is None or at < end):
                return cards, True
        later = [cards for start, _, cards in timeline if start > at]
        nearest = later[:1] or [cards for _, _, cards in timeline[-1:]]
        return nearest[0] if nearest else [], False

    def _with_cards(self, slot: Slot, cards: list[Row], schedule: str | None, at: datetime) -> Slot:
        here = [card for card in cards if card["schedule"] == schedule]
        base = next((card for card in here if card["above_input_tokens"] is None), None)
        long = next((card for card in here if card["above_input_tokens"] is not None), None)
        return replace(
            slot,
            card=base["card"] if base else NO_CARD,
            long_card=long["card"] if long else NO_CARD,
            contract_card=self._contract_at(base, at),
            contract_long_card=self._contract_at(long, at),
            threshold=long["above_input_tokens"] if long else -1,
            is_graduated=long is not None and long["long_context_mode"] == "graduated",
        )

    def _contract_at(self, card: Row | None, at: datetime) -> int:
        held = self.contracts.get(card["card"], []) if card else []
        return next((contract["card"] for contract in held if _holds(contract, at)), NO_CARD)


def arrange(book: pl.DataFrame, models: pl.DataFrame, *, as_known_at: datetime) -> PriceIndex:
    """Arrange `ref.token_prices` and `ref.models` as known at an instant: rows learned later do not count."""
    known = is_known(as_known_at)
    book = book.filter(known).sort("price_id", "meter")
    models = models.filter(pl.col("known_from").is_null() | known)
    heads = book.unique("price_id", keep="first", maintain_order=True).with_row_index("card")
    cards = heads.select(
        "card", "price_id", "provider", "model", "model_family", "region", "service_tier", "priced_at", "schedule",
        "above_input_tokens", "long_context_mode", "layer", "list_price_id", "valid_from", "valid_to",
    ).to_dicts()  # fmt: skip
    number = {card["price_id"]: card["card"] for card in cards}
    starts: dict[Place, dict[datetime, list[Row]]] = defaultdict(lambda: defaultdict(list))
    contracts: dict[int, list[Row]] = defaultdict(list)
    for card in cards:
        if card["layer"] == "list":
            place = card["provider"], card["model"], card["region"] or ANY_REGION
            starts[place][card["valid_from"]].append(card)
        else:
            contracts[number[card["list_price_id"]]].append(card)
    entries = {
        place: [(start, held[0]["valid_to"], held) for start, held in sorted(by_start.items())]
        for place, by_start in starts.items()
    }
    aliases: dict[tuple[str, str], list[Row]] = defaultdict(list)
    first_provider: dict[str, str] = {}
    for row in models.sort("provider", "alias", "valid_from").iter_rows(named=True):
        aliases[row["provider"], row["alias"]].append(row)
        first_provider.setdefault(row["alias"], row["provider"])
    return PriceIndex(
        cards=_cards(book, heads),
        tiers=sorted({card["service_tier"] for card in cards} | {DEFAULT_TIER, BATCH_TIER, OTHER_TIER}),
        regions=sorted({region for _, _, region in entries if region != ANY_REGION} | {GLOBAL_REGION}),
        aliases=dict(aliases),
        entries=entries,
        contracts=dict(contracts),
        first_provider=first_provider,
    )


def _cards(book: pl.DataFrame, heads: pl.DataFrame) -> RateCards:
    meters = sorted({*book.filter(pl.col("unit") == "call")["meter"], *FEE_METERS})
    order = {meter: row for row, meter in enumerate((*TOKEN_CLASSES, *meters))}
    place = book.join(heads.select("price_id", "card"), on="price_id").select(
        row=pl.col("meter").replace_strict(order, return_dtype=pl.Int64),
        card=pl.col("card").cast(pl.Int64),
        rate=pl.col("picodollars_per_unit").fill_null(NO_CARD),
        is_assumed=pl.col("is_assumed").fill_null(value=False),
    )
    stated = np.full((len(order), heads.height), NO_CARD, dtype=np.int64)
    stated[place["row"].to_numpy(), place["card"].to_numpy()] = place["rate"].to_numpy()
    assumed = np.zeros_like(stated)
    assumed[place["row"].to_numpy(), place["card"].to_numpy()] = place["is_assumed"].to_numpy()
    rates = stated.copy()
    _estimate(rates, stated, heads, order)
    bits = np.int64(1) << np.arange(len(order), dtype=np.int64)[:, None]
    rates_or_0 = np.maximum(rates, 0)
    number = {price_id: card for card, price_id in enumerate(heads["price_id"])}
    return RateCards(
        price_ids=heads["price_id"].to_list(),
        sheet_versions=heads["sheet_version"].to_list(),
        currencies=heads["currency"].fill_null("USD").to_list(),
        meters=meters,
        rates=rates_or_0,
        offered=((stated >= 0) * bits).sum(axis=0),
        assumed=(assumed * bits).sum(axis=0),
        estimable=((rates >= 0) * bits).sum(axis=0),
        dearest=rates_or_0.max(axis=0, initial=0).astype(np.float64),
        is_free=np.logical_and((stated >= 0).any(axis=0), (stated <= 0).all(axis=0)),
        beyond=np.array(
            [number.get(price_id, NO_CARD) for price_id in heads["beyond_price_id"]], dtype=np.int64
        ),
    )


def _estimate(rates: Integers, stated: Integers, heads: pl.DataFrame, order: dict[str, int]) -> None:
    """Fill what a card does not offer: its family's rate elsewhere, else the plain rate of the direction."""
    plain = heads.filter(
        pl.col("model_family").is_not_null(),
        pl.col("layer") == "list",
        pl.col("service_tier") == DEFAULT_TIER,
        pl.col("schedule").is_null(),
        pl.col("above_input_tokens").is_null(),
    ).sort("provider", "price_id")
    sibling: dict[tuple[str, str | None], Integers] = {}
    for card, family, currency in plain.select("card", "model_family", "currency").iter_rows():
        held = sibling.setdefault((family, currency), np.full(len(order), NO_CARD, dtype=np.int64))
        np.copyto(held, stated[:, card], where=held < 0)
    for card, family, currency in heads.select("card", "model_family", "currency").iter_rows():
        if (held_by := sibling.get((family, currency))) is not None:
            np.copyto(rates[:, card], held_by, where=rates[:, card] < 0)
    for meter in TOKEN_CLASSES:
        for near in (_NEAREST_CLASS.get(meter, "input_uncached"), "input_uncached"):
            np.copyto(rates[order[meter]], stated[order[near]], where=rates[order[meter]] < 0)


def _holds(row: Row, at: datetime) -> bool:
    return bool(row["valid_from"] <= at and (row["valid_to"] is None or at < row["valid_to"]))


@cache
def week_mask(schedule: str) -> npt.NDArray[np.bool_]:
    """Return for each minute of the week (Monday 00:00 = 0, UTC) whether `mon,tue 16:30-00:30` covers it."""
    mask = np.zeros(WEEK_MINUTES, dtype=np.bool_)
    mask[list(_minutes(schedule))] = True
    return mask


def _minutes(schedule: str) -> Iterator[int]:
    days, clocks = schedule.split(" ")
    start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in clocks.split("-"))
    for day in days.split(","):
        first = _DAYS.index(day) * 24 * 60 + start
        yield from ((first + n) % WEEK_MINUTES for n in range((end - start) % 1440 or 1440))
