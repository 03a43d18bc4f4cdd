"""Google Cloud prices of accelerator machines: a dated extract of the Cloud Billing API (CSV).

It has on-demand, spot and committed prices of the whole machine.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal

from models.prices.offers import OutsideList, PriceListReader
from models.prices.outside.instances import Commitment, MachinePrice, per_chip

SOURCE_URL = "https://github.com/Cyclenerd/google-cloud-pricing-cost-calculator"
_HOURS_A_MONTH = 730
_COLUMNS: tuple[tuple[str, Commitment, int], ...] = (
    ("usd_per_hour", "on_demand", 1),
    ("usd_per_hour_spot", "spot", 1),
    ("usd_per_month_1y_commit", "committed", _HOURS_A_MONTH),
)
"""The one-year commitment is taken for `committed`; the three-year one would need a term."""


def read(files: Mapping[str, bytes]) -> OutsideList:
    """Return the cheapest price per accelerator, region, commitment and day."""
    prices = [price for content in files.values() for price in _from_extract(content)]
    return per_chip("gcp", prices, source_url=SOURCE_URL)


def _from_extract(content: bytes) -> Iterator[MachinePrice]:
    for row in csv.DictReader(io.StringIO(content.decode())):
        read_on = date.fromisoformat(row["snapshot_date"])
        for column, commitment, hours in _COLUMNS:
            if row[column] and Decimal(row[column]):
                rate = Decimal(row[column]) / hours
                yield MachinePrice(row["name"], row["region"], commitment, rate, read_on)


def fits(files: Mapping[str, bytes]) -> bool:
    """Whether the content is such an extract."""
    return any(content.startswith(b"snapshot_date") for content in files.values())


READER = PriceListReader(kind="gcp", unit="USD per machine-hour", read=read, fits=fits)
