"""GPU price sheets: what a person writes in `prices/gpu/<vendor>.yml`, checked. Not how rows are priced."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Literal

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator

from models.documents import Document, Instant, Strict, read_yaml
from models.errors import ConfigurationError
from models.prices.fields import Examined, load_sheets, readable
from models.yaml_values import Location

MOST_USD_PER_GPU_HOUR = Decimal(1000)
"""No accelerator is rented above this; a higher figure is a unit error."""
Phase = Literal["waiting", "pulling", "loading", "serving", "idle", "draining", "failed"]
Commitment = Literal["on_demand", "spot", "reserved", "committed"]


class Billing(Strict):
    """The vendor's rule: step and minimum of an instance's billed time, and which phases are billed at all.

    `free_if_interrupted_within_seconds` holds for spot rates: one that the vendor takes back sooner costs nothing.
    """

    granularity_seconds: int = Field(default=1, ge=1)
    minimum_seconds: int = Field(default=0, ge=0)
    free_if_interrupted_within_seconds: int | None = Field(default=None, ge=1)
    billed_phases: tuple[Phase, ...] = (
        "pulling",
        "loading",
        "serving",
        "idle",
        "draining",
        "failed",
    )
    note: str | None = None


class Rate(Strict):
    """A dated rate; valid until `valid_to`, or until the next one of the same chip, region, commitment and model.

    `model` and `billing` are for provisioned throughput: a unit costs by the model that it serves, and its rule (a
    minimum term) may differ from that of the vendor's machines.
    """

    chip: str = Field(min_length=1)
    region: str | None = Field(default=None, min_length=1)
    commitment: Commitment = "on_demand"
    model: str | None = Field(default=None, min_length=1)
    billing: Billing | None = None
    usd_per_gpu_hour: Decimal = Field(ge=0, le=MOST_USD_PER_GPU_HOUR, allow_inf_nan=False)
    valid_from: Instant
    valid_to: Instant | None = None
    known_from: Instant | None = None
    source_url: str | None = Field(default=None, pattern="^https?://")
    note: str | None = None

    @property
    def series(self) -> tuple[str, str, str, str]:
        """What the rate is for: a later one of the same series ends it."""
        return (self.chip, self.region or "", self.commitment, self.model or "")


class PoolModel(Strict):
    """A model as the vendor's pools name it, and the family of its weights."""

    model: str = Field(min_length=1)
    family: str = Field(min_length=1)
    developer: str | None = None
    is_open_weights: bool | None = None


class Capacity(Strict):
    """What a unit of provisioned throughput does a minute, as its vendor publishes it; until the next of the model.

    An output token counts as `output_weight` input tokens, a cached one as `cache_read_weight` (Azure: 0).
    """

    model: str = Field(min_length=1)
    input_tokens_per_minute: Decimal = Field(gt=0, allow_inf_nan=False)
    output_weight: Decimal = Field(default=Decimal(1), ge=0, allow_inf_nan=False)
    cache_read_weight: Decimal = Field(default=Decimal(1), ge=0, allow_inf_nan=False)
    valid_from: Instant
    valid_to: Instant | None = None
    source_url: str | None = Field(default=None, pattern="^https?://")
    note: str | None = None


class GpuSheet(Strict):
    """One vendor's sheet; `vendor` is a provider id."""

    vendor: str = Field(pattern=r"^[a-z][a-z0-9_.]*$")
    currency: Literal["USD"] = "USD"
    source_url: str = Field(pattern="^https?://")
    checked_on: Instant
    billing: Billing = Billing()
    rates: tuple[Rate, ...] = ()
    models: tuple[PoolModel, ...] = ()
    capacities: tuple[Capacity, ...] = ()
    note: str | None = None
    _document: Document = PrivateAttr()

    @model_validator(mode="after")
    def _says_something(self) -> "GpuSheet":
        if not self.rates and not self.models and not self.capacities:
            raise ValueError("a sheet needs `rates`, or `models` that its pools serve, or `capacities`")
        return self

    @property
    def path(self) -> str:
        return self._document.path

    def rate_line(self, index: int) -> int:
        """Return the line of a rate."""
        return self._document.line(("rates", index))

    def known_from(self, rate: Rate) -> datetime:
        """Return when a rate was learned: as written, else the day the sheet was checked."""
        return rate.known_from or self.checked_on

    def version_at(self, known_at: datetime) -> str:
        """Return a hash of what the sheet says of billing, and of rates known by an instant."""
        if known_at not in self._versions:
            said = [text for known, text in self._said if known <= known_at]
            written = repr((self.vendor, self.billing.model_dump_json(), said))
            self._versions[known_at] = hashlib.sha256(written.encode()).hexdigest()[:16]
        return self._versions[known_at]

    @cached_property
    def _said(self) -> list[tuple[datetime, str]]:
        """Every rate as text, with when it was known."""
        return [(self.known_from(rate), rate.model_dump_json()) for rate in self.rates]

    @cached_property
    def _versions(self) -> dict[datetime, str]:
        return {}

    def error(self, location: Location, message: str) -> ConfigurationError:
        """Build an error at a place of this sheet."""
        return self._document.error(location, message)


_SECTIONS: dict[str, type[BaseModel]] = {
    "billing": Billing,
    "rates": Rate,
    "models": PoolModel,
    "capacities": Capacity,
}


def load_gpu_sheets(texts: Mapping[str, str]) -> list[GpuSheet]:
    """Parse and check sheets, given as path and YAML text; the first thing wrong is raised."""
    return load_sheets(examine_gpu_sheet, texts)


@lru_cache(maxsize=64)
def examine_gpu_sheet(path: str, text: str) -> Examined[GpuSheet]:
    """Parse a sheet, once for a text: a sheet never changes once it is read."""
    try:
        document = read_yaml(text, path=path)
    except ConfigurationError as error:
        return None, (error,)
    if not isinstance(document.value, dict):
        what = "a sheet is a mapping with vendor, source_url, checked_on, billing and rates"
        return None, (document.error((), what),)
    try:
        sheet = GpuSheet.model_validate(document.value)
    except ValidationError as error:
        return None, tuple(readable(error, document, top=GpuSheet, sections=_SECTIONS))
    sheet._document = document  # noqa: SLF001 (how a private attribute is filled)
    return sheet, tuple(_validity_problems(sheet))


def _validity_problems(sheet: GpuSheet) -> list[ConfigurationError]:
    """Return what leaves two rates in force at once, or a correction that was never learned."""
    found = []
    by_series: dict[tuple[str, str, str, str], list[Rate]] = defaultdict(list)
    for index, rate in enumerate(sheet.rates):
        here: Location = ("rates", index)
        name = " ".join([rate.chip, rate.region or "any region", rate.commitment, rate.model or ""]).strip()
        if rate.valid_to is not None and rate.valid_to <= rate.valid_from:
            found.append(sheet.error(here, f"{name} ends before it starts; mend `valid_to`"))
        earlier = by_series[rate.series]
        same = [other for other in earlier if other.valid_from == rate.valid_from]
        if any(sheet.known_from(rate) <= sheet.known_from(other) for other in same):
            found.append(
                sheet.error(
                    here,
                    f"{name} has two rates from {rate.valid_from:%Y-%m-%d} known at one time; "
                    "give a correction a later `known_from`",
                )
            )
        elif not same and any(rate.valid_from < other.valid_from for other in earlier):
            found.append(sheet.error(here, f"rates of {name} are not in order; put the newest last"))
        found += [
            sheet.error(here, f"{name} overlaps the rate valid to {other.valid_to:%Y-%m-%d}; date them apart")
            for other in earlier
            if other.valid_to is not None and other.valid_from < rate.valid_from < other.valid_to
        ]
        earlier.append(rate)
    return found
