"""Azure on-demand and spot prices of N-series machines: the Retail Prices API's JSON, or a dated extract (CSV).

Windows, low-priority and reservation prices are left out (a reservation's price is that of its whole term).
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from models.prices.offers import OutsideList, PriceListReader
from models.prices.outside.instances import MachinePrice, per_chip

SOURCE_URL = "https://prices.azure.com/api/retail/prices"


def read(files: Mapping[str, bytes]) -> OutsideList:
    """Return the cheapest price per accelerator, region and day."""
    prices: list[MachinePrice] = []
    for content in files.values():
        prices += _from_api(content) if content.lstrip()[:1] == b"{" else _from_extract(content)
    return per_chip("azure", prices, source_url=SOURCE_URL)


def _from_extract(content: bytes) -> Iterator[MachinePrice]:
    for row in csv.DictReader(io.StringIO(content.decode())):
        read_on = datetime.fromisoformat(row["generated_at"]).date()
        yield MachinePrice(row["vm_size"], row["region"], "on_demand", Decimal(row["usd_per_hour"]), read_on)


def _from_api(content: bytes) -> Iterator[MachinePrice]:
    for item in json.loads(content, parse_float=Decimal)["Items"]:
        words = f"{item['skuName']} {item['meterName']}"
        wanted = (
            item["type"] == "Consumption"
            and item["unitOfMeasure"] == "1 Hour"
            and item.get("currencyCode", "USD") == "USD"
            and "Windows" not in item["productName"]
            and "Low Priority" not in words
        )
        if wanted and item["retailPrice"]:
            yield MachinePrice(
                item["armSkuName"],
                item["armRegionName"],
                "spot" if "Spot" in words else "on_demand",
                Decimal(str(item["retailPrice"])),
                datetime.fromisoformat(item["effectiveStartDate"]).date(),
            )


def fits(files: Mapping[str, bytes]) -> bool:
    """Whether the content is an Azure price list or an extract of one."""
    return any(
        b'"armSkuName"' in content or content.startswith(b"generated_at,source_commit,region,vm_size")
        for content in files.values()
    )


READER = PriceListReader(kind="azure", unit="USD per machine-hour", read=read, fits=fits)
