"""What a person writes in `prices/tokens/<provider>.yml`: the shape of it, key by key. Not how it is read."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    model_validator,
)

from models.documents import Document, Instant, Strict, nearest
from models.errors import ConfigurationError
from models.schemas.vocabulary import INPUT_CLASSES, TOKEN_CLASSES
from models.yaml_values import Location

MOST_PER_MTOK = Decimal(1000)
"""No token is sold above this; a higher figure is a unit error (the public lists hold some at $71,000)."""
LEAST_PER_MTOK = Decimal("0.002")
"""Below this a figure is per token or per thousand, not per million (the cheapest seen is 0.0028)."""
WIDEST_RATIO = 1000
"""Rates of one card this far apart mix two units (per thousand and per million)."""
CURRENCY = "^(?:[A-Z]{3}|CREDIT)$"
"""ISO 4217 codes, and units whose price a contract states: DBU (Databricks), CREDIT (Snowflake)."""
RATE_KEYS = ("output", *TOKEN_CLASSES)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES_A_DAY = 24 * 60
_MINUTES_A_WEEK = 7 * _MINUTES_A_DAY


def _clock(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        hours, minutes = value.split(":")
        return int(hours) * 60 + int(minutes)
    raise ValueError('write the time in quotes as "HH:MM"')


def _known_meters(rates: dict[str, Decimal | None]) -> dict[str, Decimal | None]:
    for meter, rate in rates.items():
        if meter == "input":
            raise ValueError(
                "`input` is ambiguous; write `input_uncached`, and `cache_read` for cached input"
            )
        if meter not in RATE_KEYS:
            raise ValueError(f"unknown token class {meter!r}; {nearest(meter, list(RATE_KEYS))}")
        if rate is not None and rate > MOST_PER_MTOK:
            raise ValueError(f"{meter} of {rate} per million tokens exceeds {MOST_PER_MTOK}; check the unit")
        if rate is not None and 0 < rate < LEAST_PER_MTOK:
            raise ValueError(
                f"{meter} of {rate} looks like a rate per token or thousand; write it per million"
            )
    if "output" in rates:
        if "output_text" in rates and "reasoning" in rates:
            raise ValueError("`output` means output_text and reasoning; write either form, not both")
        rates = {"output_text": rates["output"], "reasoning": rates["output"], **rates}
        del rates["output"]
    return rates


def _alias(raw: object) -> object:
    return {"name": raw} if isinstance(raw, str) else raw


Clock = Annotated[int, BeforeValidator(_clock, json_schema_input_type=str)]
NonNegative = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Rates = Annotated[dict[str, NonNegative | None], AfterValidator(_known_meters)]
Multiplier = Annotated[Decimal, Field(gt=0, le=100, allow_inf_nan=False)]
Region = Annotated[str, Field(min_length=1)]


IN_USD = ("usd_per_mtok", "long_context_usd_per_mtok", "per_call_usd")
"""Fields of rates in a sheet in USD; in one of another currency its code stands for `usd`."""


def _in_any_currency(schema: dict[str, Any]) -> None:
    """Let a JSON Schema take rates of a sheet in another currency, such as `eur_per_mtok` for `usd_per_mtok`."""
    rates = {name: schema["properties"][name] for name in IN_USD if name in schema["properties"]}
    schema["patternProperties"] = {
        f"^{name.replace('usd', '(?:[a-z]{3}|credit)')}$": rate for name, rate in rates.items()
    }
    schema["required"] = [name for name in schema.get("required", []) if name not in rates]


class Rated(Strict):
    """What states rates, in the currency of its sheet."""

    model_config = ConfigDict(json_schema_extra=_in_any_currency)


class Modifier(Rated):
    """A tier's, a region's or an off-peak window's change: own rates where stated, else the multiplier.

    Beyond a long-context threshold a stated rate changes as much as it does below, unless that is stated too.
    """

    multiplier: Multiplier = Decimal(1)
    per_mtok: Rates = Field(default={}, alias="usd_per_mtok")
    long_context_per_mtok: Rates = Field(default={}, alias="long_context_usd_per_mtok")

    @model_validator(mode="after")
    def _changes_something(self) -> "Modifier":
        if not {"multiplier", "per_mtok"} & self.model_fields_set:
            raise ValueError("write `multiplier` or `usd_per_mtok`")
        return self


class Tier(Modifier):
    """A served service tier; `batch` is priced at completion unless it says otherwise."""

    priced_at: Literal["started", "finished"] | None = None


class WeeklyWindow(Modifier):
    """Hours of the week in UTC; a window that ends before it starts runs over midnight of its day."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = DAYS  # type: ignore[assignment]
    from_utc: Clock
    to_utc: Clock

    def minutes(self) -> Iterator[int]:
        """Yield every minute of the week (Monday 00:00 = 0) that the window covers."""
        length = (self.to_utc - self.from_utc) % _MINUTES_A_DAY or _MINUTES_A_DAY
        for day in self.days:
            start = DAYS.index(day) * _MINUTES_A_DAY + self.from_utc
            yield from ((start + minute) % _MINUTES_A_WEEK for minute in range(length))

    def written(self) -> str:
        """Return the window as one word of the price book, such as `mon,tue 16:30-00:30`."""
        clock = "-".join(f"{at // 60:02}:{at % 60:02}" for at in (self.from_utc, self.to_utc))
        return f"{','.join(self.days)} {clock}"


class LongContext(Rated):
    """Rates beyond a threshold on all input classes together, exceeded strictly.

    `whole_request` re-rates every token of the request; `graduated` only the input tokens beyond the
    threshold, counted in prompt order (cache reads, then writes, then the rest).
    """

    above_input_tokens: int = Field(gt=0)
    mode: Literal["whole_request", "graduated"]
    per_mtok: Rates = Field(alias="usd_per_mtok")

    @model_validator(mode="after")
    def _graduates_input_only(self) -> "LongContext":
        if self.mode == "graduated" and (wrong := sorted(set(self.per_mtok) - set(INPUT_CLASSES))):
            raise ValueError(f"a graduated rule prices input classes only; remove {', '.join(wrong)}")
        return self


class PriceEntry(Rated):
    """A dated price: valid until the next entry of the same model and region begins.

    Without `region` it holds in every region that has no entry of its own; `regions` states what is added
    in some of them (a residency uplift), as a modifier. An `announced` price is a plan: it prices nothing until an
    entry of the same `valid_from`, known later and not announced, confirms it.
    """

    valid_from: Instant
    known_from: Instant | None = None
    announced: bool = False
    region: Region | None = None
    per_mtok: Rates = Field(default={}, alias="usd_per_mtok")
    tiers: dict[str, Tier] = Field(default={})
    regions: dict[Region, Modifier] = Field(default={})
    long_context: LongContext | None = None
    per_call: dict[str, NonNegative | None] = Field(default={}, alias="per_call_usd")
    schedule: tuple[WeeklyWindow, ...] = ()
    priced_at: Literal["started", "finished"] = "started"
    source_url: str | None = Field(default=None, pattern="^https?://")
    note: str | None = None

    @model_validator(mode="after")
    def _is_one_unit(self) -> "PriceEntry":
        if not self.per_mtok and not self.per_call:
            raise ValueError("a price needs `usd_per_mtok` or `per_call_usd`")
        if clash := sorted(set(self.per_call) & set(TOKEN_CLASSES)):
            raise ValueError(f"{clash[0]} is a token class; move it to `usd_per_mtok`")
        if "default" in self.tiers:
            raise ValueError("the base rates are the default tier; remove it from `tiers`")
        if self.region is not None and self.regions:
            raise ValueError("an entry of one `region` cannot have `regions`; keep one")
        rates = [rate for rate in self.per_mtok.values() if rate]
        if rates and max(rates) > WIDEST_RATIO * min(rates):
            raise ValueError(
                f"rates from {min(rates)} to {max(rates)} mix units; write all per million tokens"
            )
        minutes = [minute for window in self.schedule for minute in window.minutes()]
        if len(minutes) != len(set(minutes)):
            raise ValueError("windows of `schedule` overlap; make them disjoint")
        return self


class Alias(Strict):
    """A name in logs that means this model, always or from a date (a floating name moves)."""

    name: str
    valid_from: Instant = datetime(1970, 1, 1, tzinfo=UTC)
    valid_to: Instant | None = None
    known_from: Instant | None = None


class Model(Strict):
    """A model as the provider serves it.

    Without `prices` it adds names to a model that another sheet of the provider prices. `checked_on` is the day on
    which its prices were last read, where that is not the sheet's. `developer` and `is_open_weights` are for models
    that data/aliases/families.yml does not know, such as one's own.
    """

    model: str = Field(min_length=1)
    family: str | None = None
    developer: str | None = None
    is_open_weights: bool | None = None
    aliases: tuple[Annotated[Alias, BeforeValidator(_alias, json_schema_input_type=str | Alias)], ...] = ()
    checked_on: Instant | None = None
    prices: tuple[PriceEntry, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> "Model":
        if not self.prices and not self.aliases:
            raise ValueError("a model needs `prices`, or `aliases` where another sheet prices it")
        return self


class TokenSheet(Strict):
    """One provider's sheet; `chip` names the accelerator where it is public (Groq, Cerebras)."""

    provider: str = Field(pattern=r"^[a-z][a-z0-9_.]*$")
    currency: str = Field(default="USD", pattern=CURRENCY)
    source_url: str = Field(pattern="^https?://")
    checked_on: Instant
    chip: str | None = None
    note: str | None = None
    models: tuple[Model, ...] = Field(min_length=1)
    _document: Document = PrivateAttr()

    @property
    def path(self) -> str:
        return self._document.path

    def line(self, location: Location) -> int:
        """Return the line of a place of this sheet."""
        return self._document.line(location)

    def known_from(self, entry: PriceEntry) -> datetime:
        """Return when an entry was learned: as written, else the day the sheet was checked."""
        return entry.known_from or self.checked_on

    def read_on(self, model: Model) -> datetime:
        """Return when a model's prices were last read: as written, else the day the sheet was checked."""
        return model.checked_on or self.checked_on

    def alias_known_from(self, model: Model, alias: Alias | None = None) -> datetime:
        """Return when a name was learned: as written, else with the model's first price."""
        first = min((self.known_from(entry) for entry in model.prices), default=self.checked_on)
        return (alias.known_from if alias else None) or first

    @cached_property
    def _said(self) -> list[tuple[datetime, str, str]]:
        """Every entry as text, with when it was known."""
        return [
            (self.known_from(entry), model.model, entry.model_dump_json())
            for model in self.models
            for entry in model.prices
        ]

    @cached_property
    def _versions(self) -> dict[datetime, str]:
        return {}

    def version_at(self, known_at: datetime) -> str:
        """Return a hash of what the sheet says of prices known by an instant.

        An entry that is appended later leaves the version of an earlier instant as it was.
        """
        if known_at not in self._versions:
            said = [(model, text) for known, model, text in self._said if known <= known_at]
            written = repr((self.provider, self.currency, said))
            self._versions[known_at] = hashlib.sha256(written.encode()).hexdigest()[:16]
        return self._versions[known_at]

    def error(self, location: Location, message: str) -> ConfigurationError:
        """Build an error at a place of this sheet."""
        return self._document.error(location, message)


SECTIONS: dict[str, type[BaseModel]] = {
    "models": Model,
    "prices": PriceEntry,
    "aliases": Alias,
    "tiers": Tier,
    "regions": Modifier,
    "long_context": LongContext,
    "schedule": WeeklyWindow,
}
"""What stands below a key, for the valid names of an unknown one."""
