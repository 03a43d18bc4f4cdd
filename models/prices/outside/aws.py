"""AWS on-demand prices of accelerator machines: EC2's bulk price list (JSON or CSV), or a dated extract of it (CSV).

Linux, shared tenancy, no pre-installed software. Spot and negotiated prices are not in these lists.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from models.prices.offers import OutsideList, PriceListReader
from models.prices.outside.instances import MachinePrice, per_chip

SOURCE_URL = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/index.json"
_METADATA_LINES = 5


def read(files: Mapping[str, bytes]) -> OutsideList:
    """Return the cheapest price per accelerator, region and day."""
    prices: list[MachinePrice] = []
    for content in files.values():
        if content.lstrip()[:1] == b"{":
            prices += _from_json(content)
        elif content.startswith(b"generated_at"):
            prices += _from_extract(content)
        else:
            prices += _from_csv(content)
    return per_chip("aws", prices, source_url=SOURCE_URL)


def _from_extract(content: bytes) -> Iterator[MachinePrice]:
    for row in csv.DictReader(io.StringIO(content.decode())):
        read_on = datetime.fromisoformat(row["generated_at"]).date()
        yield MachinePrice(
            row["instance_type"], row["region"], "on_demand", Decimal(row["usd_per_hour"]), read_on
        )


def _from_json(content: bytes) -> Iterator[MachinePrice]:
    document = json.loads(content)
    read_on = datetime.fromisoformat(document["publicationDate"]).date()
    terms = document["terms"]["OnDemand"]
    for sku, product in document["products"].items():
        facts = product.get("attributes", {})
        wanted = (
            facts.get("operatingSystem") == "Linux"
            and facts.get("preInstalledSw", "NA") == "NA"
            and facts.get("capacitystatus", "Used") == "Used"
            and facts.get("tenancy", "Shared") == "Shared"
        )
        if not wanted:
            continue
        for offer in terms.get(sku, {}).values():
            for dimension in offer["priceDimensions"].values():
                rate = Decimal(dimension["pricePerUnit"].get("USD", "0"))
                if rate and dimension["unit"] == "Hrs":
                    yield MachinePrice(facts["instanceType"], facts["regionCode"], "on_demand", rate, read_on)


def _from_csv(content: bytes) -> Iterator[MachinePrice]:
    lines = content.decode("utf-8-sig").splitlines()
    metadata = dict(next(csv.reader([line]))[:2] for line in lines[:_METADATA_LINES])
    published = datetime.fromisoformat(metadata["Publication Date"]).date()
    for row in csv.DictReader(lines[_METADATA_LINES:]):
        wanted = (
            row["TermType"] == "OnDemand"
            and row["Operating System"] == "Linux"
            and row["Pre Installed S/W"] in {"", "NA"}
            and row["CapacityStatus"] == "Used"
            and row["Tenancy"] == "Shared"
            and row["Unit"] == "Hrs"
        )
        rate = Decimal(row["PricePerUnit"]) if wanted else Decimal(0)
        if rate:
            yield MachinePrice(row["Instance Type"], _region(row), "on_demand", rate, published)


def _region(row: Mapping[str, str]) -> str:
    return row.get("Region Code") or row["Location"]


def fits(files: Mapping[str, bytes]) -> bool:
    """Whether the content is an AWS price list or an extract of one."""
    return any(
        b'"offerCode"' in content[:2000]
        or (b"instance_type" in content[:500] and b"accelerator_name" in content[:500])
        or b"OfferTermCode" in content[:2000]
        for content in files.values()
    )


READER = PriceListReader(kind="aws", unit="USD per machine-hour", read=read, fits=fits)
