"""The work of attempts as columns of tokens, cached ones apart by how long ago their prefix was last used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.cheapest import Floats, Ints
from models.routing.offers import UNCACHED, Market
from models.schemas.vocabulary import INPUT_CLASSES, TOKEN_CLASSES

READS = ("cache_read", "cache_read_audio", "cache_read_image")
UNKNOWN_GAP = -1
"""Seconds since the prefix was last used, where no session and no prefix is known."""
NEVER = 2**40
"""Seconds since the prefix was last used, for the first call of a session."""


@dataclass(frozen=True)
class ClassTokens:
    """Tokens of one class; of cached classes, those whose prefix was used between two ages ago.

    Attributes:
        name: token class.
        age: greatest seconds since the prefix was last used; UNKNOWN_GAP where that is not known; None for
            classes that no cache concerns.
    """

    name: str
    age: int | None = None

    @property
    def is_input(self) -> bool:
        return self.name in INPUT_CLASSES


@dataclass(frozen=True)
class Work:
    """Tokens of attempts: `tokens` is columns x rows."""

    columns: tuple[ClassTokens, ...]
    tokens: Ints
    total_input: Ints

    def of(self, rows: npt.NDArray[np.intp]) -> "Work":
        """Return the work of some rows."""
        return Work(self.columns, self.tokens[:, rows], self.total_input[rows])

    def of_class(self, name: str) -> Ints:
        """Return the tokens of a class, of whatever age."""
        columns = [number for number, column in enumerate(self.columns) if column.name == name]
        found: Ints = self.tokens[columns].sum(axis=0, dtype=np.int64)
        return found

    @property
    def is_input(self) -> npt.NDArray[np.bool_]:
        return np.array([column.is_input for column in self.columns], dtype=np.bool_)


def work_of(attempts: pl.DataFrame, gaps: Ints | None, lifetimes: Sequence[int]) -> Work:
    """Lay out the tokens of attempts.

    Args:
        attempts: token columns of core.request_costs, those that hold something.
        gaps: seconds since the same session or prefix was last used, wherever that was; UNKNOWN_GAP where
            neither is known, NEVER for the first; None = not known at all.
        lifetimes: every cache lifetime in seconds that some provider has.
    """
    columns: list[ClassTokens] = []
    tokens: list[Ints] = []
    ages = [UNKNOWN_GAP] if gaps is None else [UNKNOWN_GAP, *sorted(set(lifetimes)), NEVER]
    aged = None if gaps is None else np.searchsorted(np.array(ages), gaps, side="left")
    for name in TOKEN_CLASSES:
        if f"{name}_tokens" not in attempts.columns:
            continue
        counts = attempts.get_column(f"{name}_tokens").fill_null(0).to_numpy()
        if name not in UNCACHED:
            columns.append(ClassTokens(name))
            tokens.append(counts)
            continue
        for position, age in enumerate(ages):
            part = counts if aged is None else np.where(aged == position, counts, 0)
            if part.any():
                columns.append(ClassTokens(name, age))
                tokens.append(part)
    inputs = [counts for column, counts in zip(columns, tokens, strict=True) if column.is_input]
    zero = np.zeros(attempts.height, dtype=np.int64)
    if not tokens:
        columns, tokens = [ClassTokens(TOKEN_CLASSES[0])], [zero]
    return Work(tuple(columns), np.stack(tokens), np.sum(inputs, axis=0, dtype=np.int64) if inputs else zero)


def rates_elsewhere(market: Market, work: Work, lifetimes: Mapping[str, int]) -> Floats:
    """Return the rates of offers for work that was done at another provider or model, offers x columns.

    A cached prefix is read at the offer's cache rate only where the session was there last within the provider's
    cache lifetime, and written at its write rate where the session is known; otherwise both cost the plain rate.
    """
    found = np.empty((len(market.offers), len(work.columns)), dtype=np.float64)
    of_offers = np.array([lifetimes.get(offer.provider, 0) for offer in market.offers])
    for lifetime in np.unique(of_offers).tolist():
        is_so = of_offers == lifetime
        found[is_so] = market.rates((column.name, _is_cached(column, lifetime)) for column in work.columns)[
            is_so
        ]
    return found


def _is_cached(column: ClassTokens, lifetime: int) -> bool:
    if column.age is None or column.age == UNKNOWN_GAP:
        return False
    return column.age <= lifetime if column.name in READS else True


def rates_as_observed(market: Market, work: Work) -> Floats:
    """Return the rates of offers for work that was done at the same provider and model, offers x columns."""
    return market.rates((column.name, True) for column in work.columns)
