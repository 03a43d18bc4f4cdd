"""Which slot of the price book each attempt meets: names become small codes, instants become epochs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from models.costs.token_cards import (
    ANY_REGION,
    OTHER_TIER,
    WEEK_MINUTES,
    Integers,
    PriceIndex,
    Slot,
    week_mask,
)
from models.tiers import BATCH_TIER, DEFAULT_TIER, with_default_named

_PRICELESS = (
    (r"^(?:us-gov|us|eu|apac|ap|jp|au|ca|sa|mx|me|il|kr|in)\.", ""),
    (r":(?:nitro|floor|exacto)$", ""),
)
"""What a name may have beside the one that is priced: a geography of Bedrock that costs what the region costs, a way
of OpenRouter to choose among providers."""
Booleans = npt.NDArray[np.bool_]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_THURSDAY = 3 * 24 * 60
"""1970-01-01 was a Thursday: its first minute of a week that begins on Monday."""


@dataclass(frozen=True)
class SlottedAttempts:
    """The slot of each attempt: `slot` indexes `slots`; `instant` is when it is priced, in microseconds."""

    slots: Sequence[Slot]
    slot: Integers
    is_known: Booleans
    instant: Integers

    def where(self, rows: Integers | Booleans) -> "SlottedAttempts":
        """Return the same for some of the attempts."""
        return SlottedAttempts(self.slots, self.slot[rows], self.is_known[rows], self.instant[rows])

    def values(self, name: str) -> Integers:
        """Return a number or flag of each attempt's slot."""
        return np.array([getattr(slot, name) for slot in self.slots], dtype=np.int64)[self.slot]

    def has(self, name: str) -> Booleans:
        """Return whether each attempt's slot has a text."""
        return np.array([getattr(slot, name) is not None for slot in self.slots], dtype=np.bool_)[self.slot]

    def known(self, name: str) -> pl.Series:
        """Return a text of each attempt's slot; NULL where the name is not known at its provider."""
        words = pl.Series([*(getattr(slot, name) for slot in self.slots), None], dtype=pl.String)
        return words.gather(pl.Series(np.where(self.is_known, self.slot, len(self.slots))))


@dataclass
class Locator:
    """Finds the slots of attempts; what it learns of names it keeps for the next batch."""

    index: PriceIndex
    _slots: list[Slot] = field(default_factory=lambda: [Slot()])
    _numbers: dict[Slot, int] = field(default_factory=lambda: {Slot(): 0})

    def __post_init__(self) -> None:
        names = sorted(self.index.first_provider)
        providers = sorted({provider for provider, _ in self.index.aliases})
        self._names, self._providers = names, providers
        self._tiers, self._regions = self.index.tiers, self.index.regions

    def locate(self, attempts: pl.DataFrame, name: pl.Series) -> SlottedAttempts:
        """Return where attempts lie in the book.

        An attempt whose name is unknown at its provider takes that of the alphabetically first provider
        that has it, at the default tier: `is_known` is then false.

        Args:
            attempts: `provider, region, service_tier, started_at, finished_at`.
            name: the model's name to price.
        """
        combo, combos = self._combos(attempts, self._priced_names(name))
        known = np.array([(p, n) in self.index.aliases for p, n, _, _ in combos], dtype=np.bool_)
        segments = [self._segments_of(*parts) for parts in combos]
        is_batch = np.array([tier == BATCH_TIER for _, _, _, tier in combos], dtype=np.bool_)
        is_finished = is_batch | np.array(
            [any(slot.is_finished for _, slot in found) for found in segments], dtype=np.bool_
        )
        started = microseconds(attempts["started_at"])
        instant = started
        if is_finished.any():
            finished = microseconds(attempts["finished_at"].fill_null(attempts["started_at"]))
            instant = np.where(is_finished[combo], finished, started)
        if not len(instant):
            return SlottedAttempts(self._slots, instant, known[combo], instant)
        first, last = (_EPOCH + timedelta(microseconds=int(at)) for at in (instant.min(), instant.max()))
        edges = sorted({at for found in segments for at, _ in found if first < at <= last})
        table = np.zeros((len(combos), len(edges) + 1), dtype=np.int64)
        for row, found in enumerate(segments):
            for at, held in found:
                # From the first epoch that begins at or after `at` on, until a later segment takes over.
                if at <= last:
                    table[row, sum(edge <= at for edge in edges) :] = self._number(held)
        epoch = np.searchsorted(_micros(edges), instant, side="right") if edges else 0
        return SlottedAttempts(
            self._slots, self._at_this_hour(table[combo, epoch], instant), known[combo], instant
        )

    def _priced_names(self, name: pl.Series) -> pl.Series:
        """Return the names, those that the book lacks without what chooses no price."""
        distinct = name.drop_nulls().unique()
        unknown = distinct.filter(~distinct.is_in(self._names))
        if unknown.is_empty():
            return name
        short = unknown
        for pattern, instead in _PRICELESS:
            short = short.str.replace(pattern, instead)
        found = dict(zip(unknown, short, strict=True))
        found = {long: own for long, own in found.items() if own != long and own in self.index.first_provider}
        return name.replace(list(found), list(found.values())) if found else name

    def _combos(
        self, attempts: pl.DataFrame, name: pl.Series
    ) -> tuple[Integers, list[tuple[str, str, str, str]]]:
        """Code provider x name x region x tier, and list the combinations that occur."""
        provider = _codes(attempts["provider"], self._providers)
        pair, pairs = _compact(provider * (len(self._names) + 1) + _codes(name, self._names))
        place = _codes(attempts["region"], self._regions) * (len(self._tiers) + 1)
        tier = attempts.select(with_default_named(pl.col("service_tier"))).to_series()
        place += _codes(tier.fill_null(DEFAULT_TIER), self._tiers)
        width = (len(self._regions) + 1) * (len(self._tiers) + 1)
        combo, keys = _compact(pair * width + place)
        found = []
        for key in keys:
            p, n = divmod(int(pairs[key // width]), len(self._names) + 1)
            r, t = divmod(int(key % width), len(self._tiers) + 1)
            found.append(
                (
                    self._providers[p] if p < len(self._providers) else "",
                    self._names[n] if n < len(self._names) else "",
                    self._regions[r] if r < len(self._regions) else ANY_REGION,
                    self._tiers[t] if t < len(self._tiers) else OTHER_TIER,
                )
            )
        return combo, found

    def _segments_of(self, provider: str, name: str, region: str, tier: str) -> list[tuple[datetime, Slot]]:
        if (provider, name) in self.index.aliases:
            return self.index.segments(provider, name, region, tier)
        elsewhere = self.index.first_provider.get(name)
        if elsewhere is None:
            return []
        return self.index.segments(elsewhere, name, ANY_REGION, DEFAULT_TIER)

    def _number(self, slot: Slot) -> int:
        if slot not in self._numbers:
            self._numbers[slot] = len(self._slots)
            self._slots.append(slot)
        return self._numbers[slot]

    def _at_this_hour(self, slot: Integers, instant: Integers) -> Integers:
        """Replace slots with off-peak schedules by the one that holds in the minute of the week."""
        for number, held in enumerate(list(self._slots)):
            rows = np.flatnonzero(slot == number) if held.weekly else ()
            if len(rows):
                minute = (instant[rows] // (60 * 10**6) + _THURSDAY) % WEEK_MINUTES
                for schedule, off_peak in held.weekly:
                    slot[rows[week_mask(schedule)[minute]]] = self._number(off_peak)
        return slot


def microseconds(instants: pl.Series) -> Integers:
    """Return instants as microseconds since 1970."""
    return instants.to_physical().to_numpy()


def _micros(instants: list[datetime]) -> Integers:
    return np.array([(at - _EPOCH) // timedelta(microseconds=1) for at in instants], dtype=np.int64)


def _codes(words: pl.Series, known: list[str]) -> Integers:
    """Return the place of each word in a list; one that is not in it has the list's length."""
    codes = words.cast(pl.Enum(known), strict=False).to_physical().cast(pl.Int64)
    return codes.fill_null(len(known)).to_numpy()


def _compact(keys: Integers) -> tuple[Integers, Integers]:
    """Number the distinct keys densely: the number of each, and the keys in order."""
    if not len(keys):
        return keys, keys
    seen = np.zeros(int(keys.max()) + 1, dtype=np.bool_)
    seen[keys] = True
    present = np.flatnonzero(seen)
    number = np.zeros(len(seen), dtype=np.int64)
    number[present] = np.arange(len(present))
    return number[keys], present
