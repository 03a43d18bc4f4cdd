"""GPU price sheets: what a person writes in `prices/gpu/<vendor>.yml`, checked. Not how rows are priced."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from models.errors import ConfigurationError
from models.prices.token_yaml import Document, Location, nearest, read_yaml

MOST_USD_PER_GPU_HOUR = Decimal(1000)
"""No accelerator is rented above this; a higher figure is a unit error."""
Phase = Literal["waiting", "pulling", "loading", "serving", "idle", "draining", "failed"]
Commitment = Literal["on_demand", "spot", "reserved", "committed"]


def _instant(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError("write a date such as 2026-11-20 or an instant such as 2026-11-20T16:30:00Z")


Instant = Annotated[datetime, BeforeValidator(_instant)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Billing(_Strict):
    """The vendor's rule: step and minimum of an instance's billed time, and which phases are billed at all."""

    granularity_seconds: int = Field(default=1, ge=1)
    minimum_seconds: int = Field(default=0, ge=0)
    billed_phases: tuple[Phase, ...] = (
        "pulling",
        "loading",
        "serving",
        "idle",
        "draining",
        "failed",
    )
    note: str | None = None


class Rate(_Strict):
    """A dated rate; valid until `valid_to`, or until the next one of the same chip, region and commitment."""

    chip: str = Field(min_length=1)
    region: str | None = Field(default=None, min_length=1)
    commitment: Commitment = "on_demand"
    usd_per_gpu_hour: Decimal = Field(ge=0, le=MOST_USD_PER_GPU_HOUR, allow_inf_nan=False)
    valid_from: Instant
    valid_to: Instant | None = None
    known_from: Instant | None = None
    source_url: str | None = Field(default=None, pattern="^https?://")
    note: str | None = None

    @property
    def series(self) -> tuple[str, str, str]:
        """What the rate is for: a later one of the same series ends it."""
        return (self.chip, self.region or "", self.commitment)


class GpuSheet(_Strict):
    """One vendor's sheet; `vendor` is a provider id."""

    vendor: str = Field(pattern=r"^[a-z][a-z0-9_.]*$")
    currency: Literal["USD"] = "USD"
    source_url: str = Field(pattern="^https?://")
    checked_on: Instant
    billing: Billing = Billing()
    rates: tuple[Rate, ...] = Field(min_length=1)
    note: str | None = None
    _document: Document = PrivateAttr()
    _version: str = PrivateAttr()

    @property
    def path(self) -> str:
        return self._document.path

    @property
    def version(self) -> str:
        """Content hash of the sheet's text."""
        return self._version

    def rate_line(self, index: int) -> int:
        """Return the line of a rate."""
        return self._document.line(("rates", index))

    def known_from(self, rate: Rate) -> datetime:
        """Return when a rate was learned: as written, else the day the sheet was checked."""
        return rate.known_from or self.checked_on


_SECTIONS: dict[str, type[BaseModel]] = {"billing": Billing, "rates": Rate}


def load_gpu_sheets(texts: Mapping[str, str]) -> list[GpuSheet]:
    """Parse and check sheets, in the order given.

    Args:
        texts: path (for messages and `sheet_path`) to YAML text.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    return [_load(path, text) for path, text in texts.items()]


def _load(path: str, text: str) -> GpuSheet:
    document = read_yaml(text, path=path)
    if not isinstance(document.value, dict):
        raise document.error(
            (), "a sheet is a mapping with vendor, source_url, checked_on, billing and rates"
        )
    try:
        sheet = GpuSheet.model_validate(document.value)
    except ValidationError as error:
        raise _readable(error, document) from error
    sheet._document = document  # noqa: SLF001 (how a private attribute is filled)
    sheet._version = hashlib.sha256(text.encode()).hexdigest()[:16]  # noqa: SLF001
    _check_validity(sheet)
    return sheet


def _readable(error: ValidationError, document: Document) -> ConfigurationError:
    first: Any = error.errors()[0]
    location: Location = first["loc"]
    key = location[-1] if location else ""
    if first["type"] == "extra_forbidden":
        owner = next((_SECTIONS[part] for part in location[:-1] if part in _SECTIONS), GpuSheet)
        return document.error(location, f"unknown key {key!r}; {nearest(key, list(owner.model_fields))}")
    if first["type"] == "missing":
        return document.error(location, f"{key!r} is missing; add it")
    message = first["msg"].removeprefix("Value error, ")
    return document.error(location, f"{'.'.join(str(part) for part in location)}: {message}")


def _check_validity(sheet: GpuSheet) -> None:
    """Refuse what leaves two rates in force at once, or a correction that was never learned."""
    for index, rate in enumerate(sheet.rates):
        here: Location = ("rates", index)
        name = f"{rate.chip} {rate.region or 'any region'} {rate.commitment}"
        if rate.valid_to is not None and rate.valid_to <= rate.valid_from:
            raise sheet._document.error(here, f"{name} ends before it starts; mend `valid_to`")  # noqa: SLF001
        for earlier in sheet.rates[:index]:
            if earlier.series != rate.series:
                continue
            if rate.valid_from == earlier.valid_from:
                if sheet.known_from(rate) <= sheet.known_from(earlier):
                    raise sheet._document.error(  # noqa: SLF001
                        here,
                        f"{name} has two rates from {rate.valid_from:%Y-%m-%d} known at one time; "
                        "give a correction a later `known_from`",
                    )
            elif rate.valid_from < earlier.valid_from:
                raise sheet._document.error(here, f"rates of {name} are not in order; put the newest last")  # noqa: SLF001
            elif earlier.valid_to is not None and rate.valid_from < earlier.valid_to:
                raise sheet._document.error(  # noqa: SLF001
                    here,
                    f"{name} overlaps the rate valid to {earlier.valid_to:%Y-%m-%d}; date them apart",
                )
