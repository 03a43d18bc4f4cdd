"""The token price book: sheets and contracts become `ref.token_prices` and `ref.models`. Lookup is elsewhere."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

import polars as pl

from models.errors import ConfigurationError
from models.money import booked_picodollars
from models.prices.contracts import Contract, ContractTerms, contracted_stretches
from models.prices.sheet_schema import Model, Modifier, PriceEntry, TokenSheet
from models.prices.versions import DatedStatement, Version, versions
from models.schemas import table
from models.tiers import BATCH_TIER, DEFAULT_TIER

_MTOK = 1_000_000
_FINEST = Decimal(1).scaleb(-30)
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_STANDS_IN = {
    "cache_read": ("input_uncached",),
    "cache_read_audio": ("audio_input",),
    "cache_read_image": ("cache_read", "image_input", "input_uncached"),
    "image_input": ("input_uncached",),
    "video_input": ("input_uncached",),
}
"""A class -> the classes of which the first that is mentioned stands in where a sheet does not mention it.

Cache reads have no discount then. Images and video in a prompt cost what text does, as a list that names one input
rate means it (ai.google.dev/gemini-api/docs/pricing: "text / image / video").
"""
_SEEN = ("image_input", "video_input", "cache_read_image")
"""Classes that this holds for only where a model writes text: an embedding's list says nothing of images."""
_RATE_COLUMNS = ("meter", "unit", "rate_per_mtok", "picodollars_per_unit", "is_rounded", "is_assumed")
Rates = Mapping[str, Decimal | None]


@dataclass(frozen=True)
class _Dated:
    """An entry at one region, with where it came from."""

    sheet: TokenSheet
    model: Model
    entry: PriceEntry
    region: str | None
    uplift: Modifier | None
    line: int


@dataclass(frozen=True)
class _Card:
    """Rates of one entry at one tier, threshold and schedule."""

    dated: _Dated
    tier: str
    priced_at: str
    schedule: str | None
    rates: Rates
    per_call: Rates
    above: int | None = None
    mode: str | None = None


@dataclass(frozen=True)
class _PricedCard:
    """A card in the book: the columns that its rows share, and of each meter those of `_RATE_COLUMNS`."""

    columns: dict[str, Any]
    rates: list[tuple[Any, ...]]

    @property
    def price_id(self) -> str:
        return str(self.columns["price_id"])


def token_book(
    sheets: Iterable[TokenSheet], contracts: Iterable[Version[ContractTerms]] = ()
) -> pl.DataFrame:
    """Return the price book, `ref.token_prices`.

    One card (`price_id`) is a model's rates at one region, tier, long-context threshold and schedule, from
    `valid_from` until what ended it, as known from `known_from` until something changed that; it has a row
    per meter. So at any instant of validity and any of knowledge at most one card of a kind is in force.
    A NULL rate is "not offered", a 0 rate declared free. Cache reads, images and video that a sheet does not mention
    cost what input costs (no discount, no surcharge is published) and are marked `is_assumed`. An announced price is
    not in it. Sheets of one
    provider are one book: of two entries with one `valid_from` and `known_from` the later sheet's stands.
    Contracted cards name their list card.
    """
    series: dict[tuple[str, str, str | None], list[DatedStatement[_Dated]]] = defaultdict(list)
    for dated in _dated(sheets):
        known = dated.sheet.known_from(dated.entry)
        key = dated.sheet.provider, dated.model.model, dated.region
        series[key].append(DatedStatement(dated, dated.entry.valid_from, None, known))
    terms: dict[str, list[Version[ContractTerms]]] = defaultdict(list)
    for held in contracts:
        terms[held.item.contract.provider].append(held)
    cards: list[_PricedCard] = []
    for (provider, _, _), stated in series.items():
        for version in versions(stated):
            cards.extend(_version_cards(version, terms[provider]))
    return _rows(cards).sort("provider", "model", "valid_from", "price_id", "meter")


def _rows(cards: Sequence[_PricedCard]) -> pl.DataFrame:
    """Return a row for each meter of each card."""
    schema = table("ref.token_prices")
    rates = pl.DataFrame(
        [rate for card in cards for rate in card.rates],
        schema={name: schema.polars_schema[name] for name in _RATE_COLUMNS},
        orient="row",
    )
    of_card = pl.Series([number for number, card in enumerate(cards) for _ in card.rates], dtype=pl.UInt32)
    shared = schema.frame(card.columns for card in cards).drop(_RATE_COLUMNS)
    in_dollars = pl.when(pl.col("currency") == "USD").then("rate_per_mtok")
    return shared[of_card].hstack(rates).with_columns(usd_per_mtok=in_dollars).select(schema.column_names)


def model_aliases(sheets: Iterable[TokenSheet]) -> pl.DataFrame:
    """Return `ref.models`: every name that a model is logged under, its own name included.

    Of two sheets that claim one name from one instant the later known, else the later in order, stands.
    """
    sheets = list(sheets)
    series: dict[tuple[str, str], list[DatedStatement[tuple[TokenSheet, Model]]]] = defaultdict(list)
    priced = _priced_models(sheets)
    for sheet in sheets:
        for model in sheet.models:
            item = sheet, priced.get((sheet.provider, model.model), model)
            if model.prices:
                item = sheet, model
                own = DatedStatement(item, _FIRST, None, sheet.alias_known_from(model))
                series[sheet.provider, model.model].append(own)
            for alias in model.aliases:
                known = sheet.alias_known_from(model, alias)
                series[sheet.provider, alias.name].append(
                    DatedStatement(item, alias.valid_from, alias.valid_to, known)
                )
    rows = [
        {
            "provider": provider,
            "alias": name,
            "model": version.item[1].model,
            "model_family": version.item[1].family,
            "chip": version.item[0].chip,
            "valid_from": version.valid_from,
            "valid_to": version.valid_to,
            "known_from": version.known_from,
            "known_to": version.known_to,
            "sheet_path": version.item[0].path,
        }
        for (provider, name), stated in series.items()
        for version in versions(stated)
    ]
    return table("ref.models").frame(rows).sort("provider", "alias", "valid_from", "known_from")


def _priced_models(sheets: Iterable[TokenSheet]) -> dict[tuple[str, str], Model]:
    """Return the model with prices that each name means at a provider; of two the model's own name counts first."""
    named: dict[tuple[str, str], Model] = {}
    for sheet in sheets:
        for model in sheet.models:
            if model.prices:
                named[sheet.provider, model.model] = model
                for alias in model.aliases:
                    named.setdefault((sheet.provider, alias.name), model)
    return named


def unpriced_models(sheets: Iterable[TokenSheet]) -> list[ConfigurationError]:
    """Return the entries that only add names, to a model that no sheet of the provider prices."""
    sheets = list(sheets)
    priced = _priced_models(sheets)
    return [
        sheet.error(
            ("models", m, "model"),
            f"{model.model!r} has only aliases, and no sheet of {sheet.provider} prices it; "
            "add `prices` or mend the name",
        )
        for sheet in sheets
        for m, model in enumerate(sheet.models)
        if not model.prices and (sheet.provider, model.model) not in priced
    ]


def _dated(sheets: Iterable[TokenSheet]) -> Iterator[_Dated]:
    """Yield each entry at its region, and at every region that an entry of its model uplifts.

    So a later entry ends an uplifted one too, whether or not it has an uplift of its own.
    """
    sheets = list(sheets)
    uplifted: dict[tuple[str, str], set[str]] = defaultdict(set)
    for sheet in sheets:
        for model in sheet.models:
            for entry in model.prices:
                if not entry.announced:
                    uplifted[sheet.provider, model.model].update(entry.regions)
    for sheet in sheets:
        for m, model in enumerate(sheet.models):
            for e, entry in enumerate(model.prices):
                if entry.announced:
                    continue
                line = sheet.line(("models", m, "prices", e))
                yield _Dated(sheet, model, entry, entry.region, None, line)
                if entry.region is None:
                    for region in sorted(uplifted[sheet.provider, model.model]):
                        yield _Dated(sheet, model, entry, region, entry.regions.get(region), line)


def _version_cards(version: Version[_Dated], terms: list[Version[ContractTerms]]) -> Iterator[_PricedCard]:
    sheet_version = version.item.sheet.version_at(version.known_from)
    # A card for tokens beyond a graduated threshold is named by the card that it goes with.
    beyond: dict[tuple[str, str | None, str], str] = {}
    cards = sorted(_cards(version.item), key=lambda card: card.mode != "graduated")
    for card in cards:
        common: dict[str, Any] = {"layer": "list", "sheet_version": sheet_version}
        place = card.tier, card.schedule
        if card.mode is None:
            common["beyond_price_id"] = beyond.get((*place, "list"))
        listed = _priced(card, version, common)
        if card.mode == "graduated":
            beyond[*place, "list"] = listed.price_id
        yield listed
        for stretch, held in contracted_stretches(
            version, terms, model=card.dated.model.model, tier=card.tier
        ):
            negotiated = _negotiated(card, held.contract)
            same = f"{stretch.valid_from}{stretch.valid_to}{stretch.known_from}"
            place_of_contract = (*place, same)
            named = common | {
                "layer": "contracted",
                "contract": held.contract.name,
                "list_price_id": listed.price_id,
                "sheet_path": held.path,
                "sheet_line": held.line,
                "source_url": held.contract.source_url,
                "beyond_price_id": beyond.get(place_of_contract) if card.mode is None else None,
            }
            contracted = _priced(negotiated, stretch, named)
            if card.mode == "graduated":
                beyond[place_of_contract] = contracted.price_id
            yield contracted


def _cards(dated: _Dated) -> Iterator[_Card]:
    entry = dated.entry
    for tier, change in [(DEFAULT_TIER, None), *entry.tiers.items()]:
        for window in [None, *entry.schedule]:
            modifiers = [modifier for modifier in (dated.uplift, change, window) if modifier is not None]
            beyond = entry.long_context.per_mtok if entry.long_context else {}
            rates, long_rates = _modified(entry.per_mtok, {**entry.per_mtok, **beyond}, modifiers)
            card = _Card(
                dated=dated,
                tier=tier,
                priced_at=_priced_at(tier, change, entry),
                schedule=window.written() if window else None,
                rates=rates,
                per_call=entry.per_call,
            )
            yield card
            if entry.long_context:
                yield replace(
                    card,
                    rates=long_rates,
                    above=entry.long_context.above_input_tokens,
                    mode=entry.long_context.mode,
                )


def _priced_at(tier: str, change: Modifier | None, entry: PriceEntry) -> str:
    stated = getattr(change, "priced_at", None)
    return str(stated or ("finished" if tier == BATCH_TIER else entry.priced_at))


def _modified(rates: Rates, long_rates: Rates, modifiers: list[Modifier]) -> tuple[Rates, Rates]:
    """Apply region, tier, then schedule to the rates below and beyond a long-context threshold.

    A stated rate replaces, every other rate is multiplied; beyond the threshold a rate that is stated only for
    below changes by the same factor.
    """
    for modifier in modifiers:
        below = {**_times(rates, modifier.multiplier), **modifier.per_mtok}
        with localcontext(prec=60):
            alike = {
                meter: (before * rate / plain).quantize(_FINEST)
                for meter, rate in modifier.per_mtok.items()
                if rate is not None and (plain := rates.get(meter)) and (before := long_rates.get(meter))
            }
        stated = {**modifier.per_mtok, **alike, **modifier.long_context_per_mtok}
        rates, long_rates = below, {**_times(long_rates, modifier.multiplier), **stated}
    return rates, long_rates


def _times(rates: Rates, multiplier: Decimal) -> Rates:
    with localcontext(prec=60):
        return {meter: None if rate is None else rate * multiplier for meter, rate in rates.items()}


def _negotiated(card: _Card, contract: Contract) -> _Card:
    """Return the card under a contract: stated rates on the plain card of their tier, else the multiplier."""
    is_plain = card.above is None and card.schedule is None
    has_tier = card.tier in (contract.tiers or (DEFAULT_TIER,))
    stated = contract.per_mtok if is_plain and has_tier else {}
    return replace(
        card,
        rates={**_times(card.rates, contract.multiplier), **stated},
        per_call={**_times(card.per_call, contract.multiplier), **contract.per_call},
    )


def _priced(card: _Card, version: Version[Any], common: Mapping[str, Any]) -> _PricedCard:
    dated = card.dated
    identity = {
        "provider": dated.sheet.provider,
        "model": dated.model.model,
        "region": dated.region,
        "service_tier": card.tier,
        "above_input_tokens": card.above,
        "long_context_mode": card.mode,
        "schedule": card.schedule,
        "priced_at": card.priced_at,
        "currency": dated.sheet.currency,
        "valid_from": version.valid_from,
        "valid_to": version.valid_to,
        "known_from": version.known_from,
    }
    assumed = {
        name: rate
        for name, others in _STANDS_IN.items()
        if name not in card.rates
        and (name not in _SEEN or "output_text" in card.rates)
        and (rate := next((card.rates[other] for other in others if other in card.rates), None)) is not None
    }
    meters = [(meter, "token", rate, _MTOK) for meter, rate in {**card.rates, **assumed}.items()]
    meters += [(meter, "call", amount, 1) for meter, amount in card.per_call.items()]
    written = json.dumps(
        [
            *(str(part) for part in identity.values()),
            common["layer"],
            common.get("contract"),
            # What stands in for images follows from the rest, and makes no other card.
            sorted(
                (meter, unit, str(rate))
                for meter, unit, rate, _ in meters
                if meter not in _SEEN or meter not in assumed
            ),
        ]
    )
    columns = identity | {
        "price_id": hashlib.sha256(written.encode()).hexdigest()[:16],
        "model_family": dated.model.family,
        "known_to": version.known_to,
        "sheet_path": dated.sheet.path,
        "sheet_line": dated.line,
        "source_url": dated.entry.source_url or dated.sheet.source_url,
        "read_on": dated.sheet.read_on(dated.model).date(),
        **{name: value for name, value in common.items() if value is not None},
    }
    rates = []
    for meter, unit, rate, per in meters:
        booked, is_rounded = (None, False) if rate is None else booked_picodollars(rate, per=per)
        printed = None if rate is None else rate * (_MTOK // per)
        rates.append((meter, unit, printed, booked, is_rounded, unit == "token" and meter in assumed))
    return _PricedCard(columns, rates)
