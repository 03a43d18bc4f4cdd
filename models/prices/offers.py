"""What an outside price list says: offers of token and GPU prices, and what in it was refused and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal
from typing import Any, Literal

from models.prices.sheet_schema import LEAST_PER_MTOK, MOST_PER_MTOK

_DIGITS = Context(prec=12)
Entry = dict[str, Any]


@dataclass(frozen=True)
class TokenOffer:
    """A model's price at a provider: `entry` is an entry of our sheets without dates.

    `valid_from` is a date that the list itself states; None: it only says that this held when it was read.
    """

    provider: str
    model: str
    entry: Entry
    aliases: tuple[str, ...] = ()
    region: str | None = None
    valid_from: date | None = None


@dataclass(frozen=True)
class GpuOffer:
    """An accelerator's price at a vendor, as read on a day."""

    vendor: str
    chip: str
    region: str
    commitment: Literal["on_demand", "spot", "committed"]
    usd_per_gpu_hour: Decimal
    read_on: date
    note: str


@dataclass(frozen=True)
class Refusal:
    """Something in a list that cannot be a price, with the reason."""

    provider: str
    where: str
    why: str


@dataclass
class OutsideList:
    """An outside list as read. `source_url` is where it is published."""

    source_url: str
    token_offers: list[TokenOffer] = field(default_factory=list)
    gpu_offers: list[GpuOffer] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True)
class PriceListReader:
    """Reads one kind of list.

    Attributes:
        kind: name on the command line.
        unit: what its figures are, for a person.
        read: from the files' content by name, unpacked, to offers.
        fits: whether a content is of this kind.
    """

    kind: str
    unit: str
    read: Callable[[Mapping[str, bytes]], OutsideList]
    fits: Callable[[Mapping[str, bytes]], bool]


def per_mtok(value: object, factor: int) -> Decimal | None:
    """Return a figure of a list in units per million tokens, without the noise of binary fractions."""
    if value is None or isinstance(value, bool):
        return None
    return (_DIGITS.create_decimal(str(value)) * factor).normalize()


def plausible(rates: Mapping[str, Decimal | None]) -> str | None:
    """Return why rates per million tokens cannot be prices, or None."""
    for meter, rate in rates.items():
        if rate is None:
            continue
        if rate < 0:
            return f"{meter} is below zero"
        if rate > MOST_PER_MTOK:
            return f"{meter} of {rate:f} per million tokens is beyond the bound of {MOST_PER_MTOK}"
        if 0 < rate < LEAST_PER_MTOK:
            return f"{meter} of {rate:f} per million tokens is below the bound of {LEAST_PER_MTOK}"
    return None
