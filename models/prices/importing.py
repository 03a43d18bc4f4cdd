"""An outside list becomes dated entries of our own sheets: only what the book does not say already.

Nothing is edited: what changed since is appended, and what cannot be a price is refused with the reason.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl

from models.documents import Document
from models.money import booked_picodollars
from models.prices.chips import chip_aliases
from models.prices.gpu_book import gpu_book
from models.prices.gpu_sheets import Billing, GpuSheet
from models.prices.offers import Entry, GpuOffer, OutsideList, Refusal, TokenOffer
from models.prices.sheet_schema import TokenSheet
from models.prices.token_book import model_aliases, token_book

_NOWHERE = Document("", None, {})
_CARD = (
    "provider",
    "model",
    "region",
    "service_tier",
    "above_input_tokens",
    "long_context_mode",
    "schedule",
    "meter",
)


@dataclass
class Imported:
    """What an import makes.

    Attributes:
        files: file name (below prices/tokens or prices/gpu) -> YAML text.
        new_count: prices of models or chips that the book did not have.
        changed_count: prices that differ from the book's of that day.
        same_count: prices that the book has already.
        refusals: what was not taken, and why.
    """

    files: dict[str, str] = field(default_factory=dict)
    new_count: int = 0
    changed_count: int = 0
    same_count: int = 0
    refusals: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True)
class Origin:
    """Where a list came from: its kind, the day it was read, the file's name and hash, and for whom to import."""

    kind: str
    read_on: date
    file: str
    sha256: str
    unit: str
    since: date | None = None

    def header(self, source_url: str) -> str:
        """Return the first lines of a sheet: what it is and where it came from."""
        return (
            f"# Imported by `nanodollar prices import {self.kind}` from {self.file} ({self.unit}).\n"
            "# A correction is appended with a later known_from; this file is never written again.\n"
            "{who}\n"
            "currency: USD\n"
            f"source_url: {source_url}\n"
            f"checked_on: {self.read_on}\n"
            f"note: {json.dumps(f'{self.file}, sha256 {self.sha256}')}\n"
        )


def import_tokens(outside: OutsideList, sheets: Sequence[TokenSheet], *, origin: Origin) -> Imported:
    """Return the token sheets that add what a list says beyond the book.

    A price without a date of its own holds from the day on which it was read, or from `origin.since` where that is
    given; for a model that the book has, not before the entry that it corrects.
    """
    done = Imported(refusals=list(outside.refusals))
    aliases = model_aliases(sheets)
    offers = _canonical(outside.token_offers, aliases, origin, done)
    stated = _rows(offers, origin)
    book = token_book(sheets)
    known_models = set(book.select("provider", "model").unique().iter_rows())
    fresh: dict[str, dict[str, list[TokenOffer]]] = defaultdict(lambda: defaultdict(list))
    begun: dict[tuple[str, str], date] = {}
    for offer in offers:
        said = stated[offer.provider, offer.model, offer.region, _starts(offer, origin)]
        is_known = (offer.provider, offer.model) in known_models
        rows = _in_force(book, offer, _instant(_starts(offer, origin))) if is_known else book.clear()
        held = _by_card(rows)
        if held and all(held.get(card) == rate for card, rate in said.items()):
            done.same_count += 1
            continue
        done.changed_count += bool(held)
        done.new_count += not held
        fresh[offer.provider][offer.model].append(offer)
        if rows.height:
            begun[offer.provider, offer.model] = rows["valid_from"].max().date()  # type: ignore[union-attr]
    names = set(aliases.select("provider", "alias").iter_rows())
    for provider, models in sorted(fresh.items()):
        lines = [origin.header(outside.source_url).replace("{who}", f"provider: {provider}"), "models:\n"]
        taken = {(provider, model) for model in models} | names
        for model, entries in sorted(models.items()):
            lines.append(f"  - model: {json.dumps(model)}\n")
            wanted = dict.fromkeys(alias for offer in entries for alias in offer.aliases)
            own = [alias for alias in wanted if (provider, alias) not in taken]
            taken |= {(provider, alias) for alias in own}
            if own:
                lines.append(f"    aliases: {json.dumps(own)}\n")
            lines.append("    prices:\n")
            earliest = begun.get((provider, model), date.min)
            lines += [
                line
                for place, offer in enumerate(sorted(entries, key=lambda one: _starts(one, origin)))
                for line in _entry_lines(offer, origin, not_before=earliest if place == 0 else None)
            ]
        done.files[f"tokens/{provider}.{origin.kind}-{origin.read_on}.yml"] = "".join(lines)
    return done


def lacking(
    outside: OutsideList, sheets: Sequence[TokenSheet], *, origin: Origin
) -> list[tuple[str, str, list[str]]]:
    """Return the classes and tiers that a list prices and the book does not, for models that both have.

    Returns:
        Provider, model, and what is lacking, such as `cache_read`, `batch` or `priority cache_read`.
    """
    aliases, book = model_aliases(sheets), token_book(sheets)
    known = set(book.select("provider", "model").unique().iter_rows())
    found = []
    offers = _canonical(outside.token_offers, aliases, origin, Imported())
    stated = _rows(offers, origin)
    for offer in offers:
        if (offer.provider, offer.model) in known:
            said = stated[offer.provider, offer.model, offer.region, _starts(offer, origin)]
            held = _by_card(_in_force(book, offer, _instant(_starts(offer, origin))))
            missing = {card for card, rate in said.items() if rate is not None and held.get(card) is None}
            tiers = {card[3] for card in held}
            words = {
                card[3]
                if card[3] not in tiers
                else card[7]
                if card[3] == "default"
                else f"{card[3]} {card[7]}"
                for card in missing
            }
            if words:
                found.append((offer.provider, offer.model, sorted(words)))
    return found


def _canonical(
    offers: Iterable[TokenOffer], aliases: pl.DataFrame, origin: Origin, done: Imported
) -> list[TokenOffer]:
    """Name models as the book does and merge what a list says twice; of two figures the first stands."""
    at = _instant(origin.read_on)
    current = aliases.filter(
        pl.col("known_to").is_null(),
        pl.col("valid_from") <= at,
        pl.col("valid_to").is_null() | (pl.col("valid_to") > at),
    )
    names = {
        (provider, alias): model
        for provider, alias, model in current.select("provider", "alias", "model").iter_rows()
    }
    merged: dict[tuple[str, str, str | None, date], TokenOffer] = {}
    for offer in offers:
        model = names.get((offer.provider, offer.model), offer.model)
        key = offer.provider, model, offer.region, _starts(offer, origin)
        other = merged.get(key)
        entry: Entry | None = offer.entry
        if other is not None:
            entry = united(other.entry, offer.entry)
            if entry is None:
                why = f"the list prices {model!r} twice, differently; the first stands"
                done.refusals.append(Refusal(offer.provider, offer.model, why))
        also = (offer.model, *offer.aliases, *(other.aliases if other else ()))
        own = tuple(dict.fromkeys(alias for alias in also if alias != model))
        stands = other.entry if entry is None and other is not None else entry or {}
        merged[key] = TokenOffer(offer.provider, model, stands, own, offer.region, offer.valid_from)
    return list(merged.values())


def united(first: Entry, second: Entry) -> Entry | None:
    """Return what two statements say together; None where they contradict each other."""
    both = dict(first)
    for key, value in second.items():
        held = both.get(key, value)
        if isinstance(value, dict) and isinstance(held, dict):
            held = united(held, value)
            if held is None:
                return None
        elif held != value:
            return None
        both[key] = held
    return both


def _starts(offer: TokenOffer, origin: Origin) -> date:
    return offer.valid_from or origin.read_on


def _instant(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _rows(
    offers: Sequence[TokenOffer], origin: Origin
) -> dict[tuple[str, str, str | None, date], dict[Any, int | None]]:
    """Return what each offer says, card by card, in the book's own terms."""
    found: dict[tuple[str, str, str | None, date], dict[Any, int | None]] = {}
    for offer in offers:
        start = _starts(offer, origin)
        entry = offer.entry | {"valid_from": start} | ({"region": offer.region} if offer.region else {})
        sheet = TokenSheet.model_validate(
            {
                "provider": offer.provider, "source_url": "https://example.com", "checked_on": start,
                "models": [{"model": offer.model, "prices": [entry]}],
            }
        )  # fmt: skip
        sheet._document = _NOWHERE  # noqa: SLF001 (how a private attribute is filled)
        rows = token_book([sheet]).filter(~pl.col("is_assumed"))
        found[offer.provider, offer.model, offer.region, start] = _by_card(rows)
    return found


def _in_force(book: pl.DataFrame, offer: TokenOffer, at: datetime) -> pl.DataFrame:
    """Return the rows of the book of a model on a day, without rates that no sheet states."""
    return book.filter(
        pl.col("provider") == offer.provider,
        pl.col("model") == offer.model,
        pl.col("layer") == "list",
        pl.col("known_to").is_null(),
        pl.col("valid_from") <= at,
        pl.col("valid_to").is_null() | (pl.col("valid_to") > at),
        ~pl.col("is_assumed"),
    )


def _by_card(rows: pl.DataFrame) -> dict[Any, int | None]:
    return {row[:-1]: row[-1] for row in rows.select(*_CARD, "picodollars_per_unit").iter_rows()}


def _entry_lines(offer: TokenOffer, origin: Origin, *, not_before: date | None) -> Iterator[str]:
    start = _starts(offer, origin)
    if not_before is not None and origin.since and origin.since < start:
        start = max(origin.since, min(not_before, start))
    yield f"      - valid_from: {start}\n"
    if offer.region is not None:
        yield f"        region: {json.dumps(offer.region)}\n"
    for key, value in offer.entry.items():
        yield f"        {key}: {written(value)}\n"


def written(value: object) -> str:
    """Write a value of an entry as YAML on one line; decimals as they are."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(item) for item in value) + "]"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return "null" if value is None else json.dumps(value)


def import_gpus(outside: OutsideList, sheets: Sequence[GpuSheet], *, origin: Origin) -> Imported:
    """Return the GPU sheets that add what a list says beyond the book.

    A list of many days is one history: a rate is written on the first day that shows it.
    """
    done = Imported(refusals=list(outside.refusals))
    book = gpu_book(sheets).filter(pl.col("known_to").is_null())
    stated = _stated(sheets)
    held: dict[tuple[str, str, str | None, str], list[dict[str, Any]]] = defaultdict(list)
    for row in book.sort("valid_from").iter_rows(named=True):
        held[row["provider"], row["chip"], row["region"], row["commitment"]].append(row)
    series: dict[tuple[str, str, str, str], list[GpuOffer]] = defaultdict(list)
    for offer in outside.gpu_offers:
        series[offer.vendor, offer.chip, offer.region, offer.commitment].append(offer)
    lines: dict[str, list[str]] = defaultdict(list)
    for key, offers in sorted(series.items()):
        rows = held[key]
        last: GpuOffer | None = None
        for offer in sorted(offers, key=lambda one: one.read_on):
            day = _instant(offer.read_on)
            rate, _ = booked_picodollars(offer.usd_per_gpu_hour)
            in_force = next((row for row in reversed(rows) if row["valid_from"] <= day), None)
            since_last = last is not None and (
                in_force is None or in_force["valid_from"] <= _instant(last.read_on)
            )
            current = (
                booked_picodollars(last.usd_per_gpu_hour)[0]
                if since_last and last is not None
                else in_force and in_force["picodollars_per_gpu_hour"]
            )
            if current == rate:
                done.same_count += 1
                continue
            if (where := stated.get((*key, day))) is not None:
                done.refusals.append(
                    Refusal(
                        offer.vendor,
                        f"{' '.join(key[1:])} {offer.read_on}",
                        f"{where} states another price of that day",
                    )
                )
                continue
            done.changed_count += current is not None
            done.new_count += current is None
            last = offer
            lines[offer.vendor].append(_rate_line(offer))
    billing = {sheet.vendor: sheet.billing for sheet in sheets}
    for vendor, own in sorted(lines.items()):
        head = origin.header(outside.source_url).replace("{who}", f"vendor: {vendor}")
        rule = written(billing.get(vendor, Billing()).model_dump(exclude_none=True))
        text = f"{head}billing: {rule}\nrates:\n{''.join(own)}"
        done.files[f"gpu/{vendor}.{origin.kind}-{origin.read_on}.yml"] = text
    return done


def _stated(sheets: Sequence[GpuSheet]) -> dict[tuple[str, str, str, str, datetime], str]:
    """Return where sheets state a rate that was known on the day from which it holds, corrected since or not."""
    return {
        (sheet.vendor, chip_aliases().get(rate.chip.lower(), rate.chip), rate.region, rate.commitment, rate.valid_from):
            f"{sheet.path}, line {sheet.rate_line(index)}"
        for sheet in sheets
        for index, rate in enumerate(sheet.rates)
        if rate.region is not None and rate.model is None and sheet.known_from(rate) == rate.valid_from
    }  # fmt: skip


def _rate_line(offer: GpuOffer) -> str:
    rate = f"{offer.usd_per_gpu_hour.normalize():f}"
    return (
        f"  - {{chip: {offer.chip}, region: {offer.region}, commitment: {offer.commitment}, usd_per_gpu_hour: {rate}, "
        f"valid_from: {offer.read_on}, known_from: {offer.read_on}, note: {json.dumps(offer.note)}}}\n"
    )
