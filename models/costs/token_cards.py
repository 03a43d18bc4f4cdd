"""The price book as known at an instant, arranged for joins: names -> slots in time -> cards of rates.

Reference data of a few thousand rows; request-scale work is in token_costs.py.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

import polars as pl

from models.periods import INSTANT
from models.schemas.vocabulary import TOKEN_CLASSES

DEFAULT_TIER = "default"
DEFAULT_TIER_NAMES = ("default", "standard", "on_demand", "auto", "")
"""Spellings of the tier that a provider serves unless asked for another."""
OTHER_TIER = "(other)"
ANY_REGION = ""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK_MINUTES = 7 * 24 * 60
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 1, 1, tzinfo=UTC)
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


@dataclass(frozen=True)
class Cards:
    """What pricing joins to.

    `keys`: provider, name, region, tier -> `first_slot`, `is_finished` and boundaries `at_1..at_n`;
    `names`: a name at its alphabetically first provider; `regional`: provider, name, region with prices of
    their own; `slots`: a model in a stretch of time, with its card, long-context card and threshold;
    `weekly`: off-peak cards by slot and `week_slot`; `cards`: rates and masks of offered classes.
    """

    keys: pl.DataFrame
    names: pl.DataFrame
    regional: pl.DataFrame
    slots: pl.DataFrame
    weekly: pl.DataFrame
    cards: pl.DataFrame
    boundary_count: int
    week_starts: list[int]
    tiers: list[str]
    meters: list[str]
    has_long_context: bool
    has_graduated: bool


class _Builder:
    def __init__(self, book: pl.DataFrame, models: pl.DataFrame) -> None:
        self.cards: dict[str, Row] = {}
        self.index: dict[str, int] = {}
        entries: dict[tuple[str, str, str], dict[datetime, list[Row]]] = defaultdict(dict)
        for row in book.iter_rows(named=True):
            card = self.cards.setdefault(row["price_id"], row | {"rates": {}})
            card["rates"][row["meter"]] = row["picodollars_per_unit"]
        self.index = {price_id: number for number, price_id in enumerate(self.cards)}
        for card in self.cards.values():
            place = card["provider"], card["model"], card["region"] or ANY_REGION
            entries[place].setdefault(card["valid_from"], []).append(card)
        self.entries = entries
        self.regions: dict[tuple[str, str], list[str]] = defaultdict(list)
        for provider, model, region in entries:
            self.regions[provider, model].append(region)
        self.aliases: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in models.sort("valid_from").iter_rows(named=True):
            self.aliases[row["provider"], row["alias"]].append(row)
        self.tiers = sorted(
            {card["service_tier"] for card in self.cards.values()} | {DEFAULT_TIER, OTHER_TIER}
        )
        self.slots: list[Row] = []
        self.slot_numbers: dict[tuple[Any, ...], int] = {}
        self.weekly: list[tuple[int, Row]] = []

    def timeline(self, provider: str, model: str, region: str) -> list[tuple[datetime, list[Row]]]:
        """Return the dated entries of a model in a region; any-region entries hold before its first."""
        anywhere = sorted(self.entries.get((provider, model, ANY_REGION), {}).items())
        own = sorted(self.entries.get((provider, model, region), {}).items())
        if region == ANY_REGION or not own:
            return anywhere
        return [(start, cards) for start, cards in anywhere if start < own[0][0]] + own

    def stretches(self, provider: str, name: str, region: str, tier: str) -> Iterator[tuple[datetime, Row]]:
        """Yield from when each slot holds; the first holds since ever."""
        aliases = self.aliases[provider, name]
        if aliases[0]["valid_from"] > _FIRST:
            yield _FIRST, _slot(None, [], tier)
        for alias, following in zip_longest(aliases, aliases[1:]):
            ends = min(alias["valid_to"] or _LAST, following["valid_from"] if following else _LAST)
            entries = self.timeline(provider, alias["model"], region)
            first = entries[0][1] if entries else []
            if not entries or entries[0][0] > alias["valid_from"]:
                yield alias["valid_from"], _slot(alias, first, tier) | {"is_dated": False}
            for (start, cards), later in zip_longest(entries, entries[1:]):
                if start < ends and (later is None or later[0] > alias["valid_from"]):
                    yield max(start, alias["valid_from"]), _slot(alias, cards, tier)
            if alias["valid_to"] is not None and ends == alias["valid_to"]:
                yield ends, _slot(None, [], tier)

    def keys(self) -> Iterator[Row]:
        for (provider, name), aliases in sorted(self.aliases.items()):
            named = {region for alias in aliases for region in self.regions[provider, alias["model"]]}
            for region in sorted(named | {ANY_REGION}):
                for tier in self.tiers:
                    stretches = sorted(self.stretches(provider, name, region, tier), key=lambda item: item[0])
                    first = len(self.slots)
                    ends = [start for start, _ in stretches[1:]] + [_LAST]
                    self.slots.extend(
                        slot | {"starts": start, "ends": end}
                        for (start, slot), end in zip(stretches, ends, strict=True)
                    )
                    finished = any(
                        card["priced_at"] == "finished" for _, slot in stretches for card in slot["entry"]
                    )
                    yield {
                        "provider": provider,
                        "name": name,
                        "region_key": region,
                        "tier": tier,
                        "first_slot": first,
                        "is_finished": finished,
                        "starts": [start for start, _ in stretches[1:]],
                    }


def arrange(
    book: pl.DataFrame,
    models: pl.DataFrame,
    *,
    as_known_at: datetime,
    from_hour: datetime,
    to_hour: datetime,
) -> Cards:
    """Arrange `ref.token_prices` and `ref.models` as known at an instant.

    The window only spares work: off-peak hours that no instant of it can meet are left out.

    Supersession is worked out from what was known by then only: of the entries of one model, region and
    `valid_from` the latest known stands, and an entry lasts until the next known one begins.
    """
    place = ["provider", "model", "region", "valid_from"]
    known = book.filter(pl.col("known_from") <= as_known_at, pl.col("layer") == "list")
    known = known.filter(pl.col("known_from") == pl.col("known_from").max().over(place))
    builder = _Builder(known.sort("price_id", "meter"), models)
    keys = list(builder.keys())
    widest = max((len(key["starts"]) for key in keys), default=0)
    key_frame = pl.DataFrame(
        [
            {column: key[column] for column in key if column != "starts"}
            | {f"at_{n + 1}": _get(key["starts"], n) for n in range(widest)}
            for key in keys
        ],
        schema={
            "provider": pl.String,
            "name": pl.String,
            "region_key": pl.String,
            "tier": pl.String,
            "first_slot": pl.Int32,
            "is_finished": pl.Boolean,
            **{f"at_{n + 1}": INSTANT for n in range(widest)},
        },
    )
    week_starts = sorted(
        {start for card in builder.cards.values() for start in _minutes_where_it_changes(card["schedule"])}
    )
    weekly = _weekly_frame(builder, week_starts).filter(
        pl.col("slot_starts_at") < to_hour, pl.col("slot_ends_at") > from_hour
    )
    meters = sorted({row["meter"] for row in known.filter(pl.col("unit") == "call").iter_rows(named=True)})
    return Cards(
        keys=key_frame,
        names=key_frame.filter(pl.col("region_key") == ANY_REGION, pl.col("tier") == DEFAULT_TIER)
        .sort("provider")
        .unique("name", keep="first", maintain_order=True),
        regional=key_frame.filter(pl.col("region_key") != ANY_REGION)
        .select("provider", "name", "region_key")
        .unique(),
        slots=_slot_frame(builder),
        weekly=weekly.select("slot", "week_slot", "off_card", "off_long_card"),
        cards=_card_frame(builder, meters),
        boundary_count=widest,
        week_starts=week_starts,
        tiers=builder.tiers,
        meters=meters,
        has_long_context=any(card["above_input_tokens"] for card in builder.cards.values()),
        has_graduated=any(card["long_context_mode"] == "graduated" for card in builder.cards.values()),
    )


def _get(items: list[datetime], n: int) -> datetime | None:
    return items[n] if n < len(items) else None


def _slot(alias: Row | None, entry: list[Row], tier: str) -> Row:
    own = [card for card in entry if card["service_tier"] == tier]
    return {
        "alias": alias or {},
        "entry": own or [card for card in entry if card["service_tier"] == DEFAULT_TIER],
        "is_dated": bool(own),
    }


def _pick(entry: list[Row], schedule: str | None) -> tuple[Row | None, Row | None]:
    """Return the base and the long-context card of a slot at one schedule."""
    cards = [card for card in entry if card["schedule"] == schedule]
    base = next((card for card in cards if card["above_input_tokens"] is None), None)
    return base, next((card for card in cards if card["above_input_tokens"] is not None), None)


def _slot_frame(builder: _Builder) -> pl.DataFrame:
    rows = []
    for number, slot in enumerate(builder.slots):
        base, long = _pick(slot["entry"], None)
        rows.append(
            {
                "slot": number,
                "model": slot["alias"].get("model"),
                "model_family": slot["alias"].get("model_family"),
                "chip": slot["alias"].get("chip"),
                "is_dated": slot["is_dated"],
                "card": base and builder.index[base["price_id"]],
                "long_card": long and builder.index[long["price_id"]],
                "threshold": long and long["above_input_tokens"],
                "is_graduated": long is not None and long["long_context_mode"] == "graduated",
            }
        )
    schema = {
        "slot": pl.Int32,
        "model": pl.String,
        "model_family": pl.String,
        "chip": pl.String,
        "is_dated": pl.Boolean,
        "card": pl.Int32,
        "long_card": pl.Int32,
        "threshold": pl.Int64,
        "is_graduated": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema)


def _weekly_frame(builder: _Builder, week_starts: list[int]) -> pl.DataFrame:
    rows = []
    for number, slot in enumerate(builder.slots):
        for schedule in sorted({card["schedule"] for card in slot["entry"] if card["schedule"]}):
            base, long = _pick(slot["entry"], schedule)
            covered = set(_minutes(schedule))
            rows += [
                {
                    "slot": number,
                    "week_slot": week_slot,
                    "slot_starts_at": slot["starts"],
                    "slot_ends_at": slot["ends"],
                    "off_card": base and builder.index[base["price_id"]],
                    "off_long_card": long and builder.index[long["price_id"]],
                }
                for week_slot, start in enumerate(week_starts)
                if start in covered
            ]
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "slot": pl.Int32,
        "week_slot": pl.Int32,
        "slot_starts_at": INSTANT,
        "slot_ends_at": INSTANT,
        "off_card": pl.Int32,
        "off_long_card": pl.Int32,
    }
    return pl.DataFrame(rows, schema=schema)


def _card_frame(builder: _Builder, meters: list[str]) -> pl.DataFrame:
    siblings: dict[tuple[str, str], int] = {}
    for card in sorted(builder.cards.values(), key=lambda card: (card["provider"], card["price_id"])):
        plain = (
            card["service_tier"] == DEFAULT_TIER and not card["schedule"] and not card["above_input_tokens"]
        )
        for meter, rate in card["rates"].items() if plain and card["model_family"] else ():
            if rate is not None:
                siblings.setdefault((card["model_family"], meter), rate)
    rows = []
    for price_id, number in builder.index.items():
        card = builder.cards[price_id]
        rates = card["rates"]
        row: Row = {"card": number, "price_id": price_id, "sheet_version": card["sheet_version"]}
        offered = estimable = 0
        for bit, meter in enumerate((*TOKEN_CLASSES, *meters)):
            stated = rates.get(meter)
            rate = stated if stated is not None else siblings.get((card["model_family"], meter))
            if rate is None and meter in TOKEN_CLASSES:
                near = _NEAREST_CLASS.get(meter, "input_uncached")
                rate = next((rates[m] for m in (near, "input_uncached") if rates.get(m) is not None), None)
            offered |= (stated is not None) << bit
            estimable |= (rate is not None) << bit
            row[f"rate_{meter}"] = rate or 0
        dearest = max(rate for name, rate in row.items() if name.startswith("rate_"))
        row |= {"offered": offered, "estimable": estimable, "dearest": dearest}
        row["is_free"] = offered != 0 and not any(rates.values())
        rows.append(row)
    schema = {
        "card": pl.Int32,
        "price_id": pl.String,
        "sheet_version": pl.String,
        **{f"rate_{meter}": pl.Int64 for meter in (*TOKEN_CLASSES, *meters)},
        "offered": pl.Int64,
        "estimable": pl.Int64,
        "dearest": pl.Int64,
        "is_free": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema)


def _minutes(schedule: str) -> Iterator[int]:
    """Yield the minutes of the week (Monday 00:00 = 0, UTC) of `mon,tue 16:30-00:30`."""
    days, clocks = schedule.split(" ")
    start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in clocks.split("-"))
    for day in days.split(","):
        first = _DAYS.index(day) * 24 * 60 + start
        yield from ((first + n) % _WEEK_MINUTES for n in range((end - start) % 1440 or 1440))


def _minutes_where_it_changes(schedule: str | None) -> set[int]:
    covered = set(_minutes(schedule)) if schedule else set()
    starts = {minute for minute in covered if (minute - 1) % _WEEK_MINUTES not in covered}
    ends = {(minute + 1) % _WEEK_MINUTES for minute in covered} - covered
    return starts | ends | {0} if covered else set()
