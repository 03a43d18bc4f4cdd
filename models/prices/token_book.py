"""The token price book: sheets become `ref.token_prices` and `ref.models`. Lookup lives with the costs."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any

import polars as pl

from models.money import booked_picodollars
from models.prices.sheets import Entry, Model, Modifier, TokenSheet
from models.schemas import table

DEFAULT_TIER = "default"
_MTOK = 1_000_000
Rates = Mapping[str, Decimal | None]


@dataclass(frozen=True)
class _Dated:
    """An entry with where it came from; a later sheet's entry replaces an equal one of an earlier sheet."""

    sheet: TokenSheet
    model: Model
    entry: Entry
    line: int

    @property
    def key(self) -> tuple[str, str, str | None, datetime, datetime]:
        known = self.sheet.known_from(self.entry)
        return self.sheet.provider, self.model.model, self.entry.region, self.entry.valid_from, known


def token_book(sheets: Iterable[TokenSheet]) -> pl.DataFrame:
    """Return the price book, `ref.token_prices`.

    One card (`price_id`) is a model's rates at one region, tier, long-context threshold and schedule from
    `valid_from`, as known from `known_from`; it has a row per meter. A NULL rate is "not offered", a 0 rate
    declared free. `valid_to` is where the next entry begins as known now; `known_to` is where a correction
    of the same `valid_from` was learned. Entries of several sheets of one provider and model merge; of two
    with the same `valid_from` and `known_from` the later sheet's stands.
    """
    dated: dict[tuple[str, str, str | None, datetime, datetime], _Dated] = {}
    for sheet in sheets:
        for m, model in enumerate(sheet.models):
            for e, entry in enumerate(model.prices):
                item = _Dated(sheet, model, entry, sheet.entry_line(m, e))
                dated[item.key] = item
    timelines: dict[tuple[str, str, str | None], list[_Dated]] = {}
    for item in dated.values():
        timelines.setdefault(item.key[:3], []).append(item)
    rows: list[dict[str, Any]] = []
    for timeline in timelines.values():
        starts = sorted({item.entry.valid_from for item in timeline})
        for item in timeline:
            known = item.key[4]
            corrections = [
                other.key[4]
                for other in timeline
                if other.entry.valid_from == item.entry.valid_from and other.key[4] > known
            ]
            later = [start for start in starts if start > item.entry.valid_from]
            validity = {
                "valid_from": item.entry.valid_from,
                "valid_to": min(later, default=None),
                "known_from": known,
                "known_to": min(corrections, default=None),
            }
            rows.extend(row | validity for row in _entry_rows(item))
    return table("ref.token_prices").frame(rows).sort("provider", "model", "valid_from", "price_id", "meter")


def model_aliases(sheets: Iterable[TokenSheet]) -> pl.DataFrame:
    """Return `ref.models`: every name that a model is logged under, its own name included.

    Of two sheets that claim one name from one instant the later stands.
    """
    rows: dict[tuple[str, str, datetime], dict[str, Any]] = {}
    for sheet in sheets:
        for model in sheet.models:
            common = {
                "provider": sheet.provider,
                "model": model.model,
                "model_family": model.family,
                "chip": sheet.chip,
                "sheet_path": sheet.path,
            }
            first = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
            names: list[tuple[str, datetime, datetime | None]] = [(model.model, first, None)]
            names += [(alias.name, alias.valid_from, alias.valid_to) for alias in model.aliases]
            for name, valid_from, valid_to in names:
                rows[sheet.provider, name, valid_from] = common | {
                    "alias": name,
                    "valid_from": valid_from,
                    "valid_to": valid_to,
                }
    return table("ref.models").frame(rows.values()).sort("provider", "alias", "valid_from")


def _entry_rows(item: _Dated) -> Iterator[dict[str, Any]]:
    entry = item.entry
    tiers: list[tuple[str, Modifier | None]] = [(DEFAULT_TIER, None), *entry.tiers.items()]
    windows = [None, *entry.schedule]
    for tier, change in tiers:
        for window in windows:
            modifiers = [modifier for modifier in (change, window) if modifier is not None]
            identity = {
                "service_tier": tier,
                "schedule": window.written() if window else None,
                "priced_at": _priced_at(tier, change, entry),
            }
            yield from _card_rows(item, identity, _modified(entry.usd_per_mtok, modifiers))
            if entry.long_context:
                long_rates = {**entry.usd_per_mtok, **entry.long_context.usd_per_mtok}
                threshold = {
                    "above_input_tokens": entry.long_context.above_input_tokens,
                    "long_context_mode": entry.long_context.mode,
                }
                yield from _card_rows(item, identity | threshold, _modified(long_rates, modifiers))


def _priced_at(tier: str, change: Modifier | None, entry: Entry) -> str:
    stated = getattr(change, "priced_at", None)
    return str(stated or ("finished" if tier == "batch" else entry.priced_at))


def _modified(rates: Rates, modifiers: list[Modifier]) -> Rates:
    """Apply tier, then schedule: a stated rate replaces, every other rate is multiplied."""
    with localcontext(prec=60):
        for modifier in modifiers:
            multiplied = {
                meter: None if rate is None else rate * modifier.multiplier for meter, rate in rates.items()
            }
            rates = {**multiplied, **modifier.usd_per_mtok}
    return rates


def _card_rows(item: _Dated, identity: dict[str, Any], rates: Rates) -> Iterator[dict[str, Any]]:
    card = {
        "provider": item.sheet.provider,
        "model": item.model.model,
        "region": item.entry.region,
        "service_tier": identity["service_tier"],
        "above_input_tokens": identity.get("above_input_tokens"),
        "long_context_mode": identity.get("long_context_mode"),
        "schedule": identity["schedule"],
        "priced_at": identity["priced_at"],
        "layer": "list",
    }
    meters = [(meter, "token", rate, _MTOK) for meter, rate in rates.items()]
    meters += [(meter, "call", usd, 1) for meter, usd in item.entry.per_call_usd.items()]
    written = json.dumps(
        [
            *card.values(),
            item.entry.valid_from.isoformat(),
            item.key[4].isoformat(),
            sorted((meter, unit, str(rate)) for meter, unit, rate, _ in meters),
        ]
    )
    card |= {
        "price_id": hashlib.sha256(written.encode()).hexdigest()[:16],
        "model_family": item.model.family,
        "sheet_version": item.sheet.version,
        "sheet_path": item.sheet.path,
        "sheet_line": item.line,
        "source_url": item.entry.source_url or item.sheet.source_url,
    }
    for meter, unit, rate, per in meters:
        booked, is_rounded = (None, False) if rate is None else booked_picodollars(rate, per=per)
        yield card | {
            "meter": meter,
            "unit": unit,
            "usd_per_mtok": None if rate is None else rate * (_MTOK // per),
            "picodollars_per_unit": booked,
            "is_rounded": is_rounded,
        }
