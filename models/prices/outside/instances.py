"""Prices of whole machines become prices per accelerator: the cheapest machine of a chip, region and commitment."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from models.prices.chips import instances
from models.prices.offers import GpuOffer

Commitment = Literal["on_demand", "spot", "committed"]


@dataclass(frozen=True)
class MachinePrice:
    """A machine's price an hour, as read on a day."""

    instance: str
    region: str
    commitment: Commitment
    usd_per_hour: Decimal
    read_on: date


def per_chip(vendor: str, prices: Iterable[MachinePrice]) -> list[GpuOffer]:
    """Return the cheapest price per accelerator by chip, region, commitment and day; unknown machines are left out.

    A chip is sold in machines with more or less of everything else; the cheapest is what the chip itself costs.
    """
    best: dict[tuple[str, str, str, date], GpuOffer] = {}
    known = instances()
    for price in prices:
        chip, count = known.get((vendor, price.instance), ("", 0))
        if not count:
            continue
        rate = price.usd_per_hour / count
        key = chip, price.region, price.commitment, price.read_on
        if key in best and best[key].usd_per_gpu_hour <= rate:
            continue
        printed = f"{price.usd_per_hour.normalize():f}"
        note = f"{price.instance} {printed} / {count}" if count > 1 else price.instance
        best[key] = GpuOffer(vendor, chip, price.region, price.commitment, rate, price.read_on, note)
    return sorted(
        best.values(), key=lambda offer: (offer.chip, offer.region, offer.commitment, offer.read_on)
    )
