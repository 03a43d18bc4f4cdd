"""Prices of whole machines become prices per accelerator: the cheapest machine of a chip, region and commitment."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from statistics import median
from typing import Literal

from models.prices.chips import instances
from models.prices.offers import GpuOffer, OutsideList, Refusal

Commitment = Literal["on_demand", "spot", "committed"]
_LEAST_PART = 4
_LEAST_COUNT = 5
"""A list is held against itself where it has so many on-demand prices of a chip and day."""


@dataclass(frozen=True)
class MachinePrice:
    """A machine's price an hour, as read on a day."""

    instance: str
    region: str
    commitment: Commitment
    usd_per_hour: Decimal
    read_on: date


def per_chip(vendor: str, prices: Iterable[MachinePrice], *, source_url: str) -> OutsideList:
    """Return the cheapest price per accelerator by chip, region, commitment and day; unknown machines are left out.

    A chip is sold in machines with more or less of everything else; the cheapest is what the chip itself costs. Of a
    machine whose on-demand price is below a quarter of what that chip costs in the list on that day no price is taken:
    it comes without its accelerators (Google's, where a region has none), or a digit slipped.
    """
    known = instances()
    read = [price for price in prices if (vendor, price.instance) in known]
    wrong = _implausible(vendor, read)
    best: dict[tuple[str, str, str, date], GpuOffer] = {}
    for price in read:
        chip, count = known[vendor, price.instance]
        rate = price.usd_per_hour / count
        key = chip, price.region, price.commitment, price.read_on
        is_dearer = key in best and best[key].usd_per_gpu_hour <= rate
        if is_dearer or (price.instance, price.region, price.read_on) in wrong:
            continue
        printed = f"{price.usd_per_hour.normalize():f}"
        note = f"{price.instance} {printed} / {count}" if count > 1 else price.instance
        best[key] = GpuOffer(vendor, chip, price.region, price.commitment, rate, price.read_on, note)
    offers = sorted(
        best.values(), key=lambda offer: (offer.chip, offer.region, offer.commitment, offer.read_on)
    )
    return OutsideList(source_url, gpu_offers=offers, refusals=list(wrong.values()))


def _implausible(vendor: str, prices: Iterable[MachinePrice]) -> dict[tuple[str, str, date], Refusal]:
    """Return the machines, regions and days whose on-demand price is none of its accelerators."""
    rates: dict[tuple[str, date], list[tuple[Decimal, MachinePrice]]] = defaultdict(list)
    for price in prices:
        if price.commitment == "on_demand":
            chip, count = instances()[vendor, price.instance]
            rates[chip, price.read_on].append((price.usd_per_hour / count, price))
    return {
        (price.instance, price.region, day): Refusal(
            vendor,
            f"{price.instance} {price.region} {day}",
            f"{rate:.4f} an hour and {chip} is below a quarter of the list's usual {usual:.4f}",
        )
        for (chip, day), found in rates.items()
        if len(found) >= _LEAST_COUNT
        for usual in [median(rate for rate, _ in found)]
        for rate, price in found
        if rate * _LEAST_PART < usual
    }
