"""Token price sheets: what a person writes in `prices/tokens/<provider>.yml`, checked."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from models.errors import ConfigurationError
from models.prices.token_yaml import Document, Location, nearest, read_yaml
from models.schemas.vocabulary import INPUT_CLASSES, TOKEN_CLASSES

MOST_USD_PER_MTOK = Decimal(1000)
"""No token is sold above this; a higher figure is a unit error (the public lists hold some at $71,000)."""
LEAST_USD_PER_MTOK = Decimal("0.0001")
"""Below this a figure is dollars per token, not per million."""
WIDEST_RATIO = 1000
"""Rates of one card this far apart mix two units (per thousand and per million)."""
RATE_KEYS = ("output", *TOKEN_CLASSES)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES_A_DAY = 24 * 60
_MINUTES_A_WEEK = 7 * _MINUTES_A_DAY


def _instant(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError("write a date such as 2026-11-20 or an instant such as 2026-11-20T16:30:00Z")


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
        if rate is not None and rate > MOST_USD_PER_MTOK:
            raise ValueError(
                f"{meter} of ${rate} per million tokens exceeds ${MOST_USD_PER_MTOK}; check the unit"
            )
        if rate is not None and 0 < rate < LEAST_USD_PER_MTOK:
            raise ValueError(f"{meter} of {rate} looks like dollars per token; write them per million")
    if "output" in rates:
        if "output_text" in rates and "reasoning" in rates:
            raise ValueError("`output` means output_text and reasoning; write either form, not both")
        rates = {"output_text": rates["output"], "reasoning": rates["output"], **rates}
        del rates["output"]
    return rates


def _alias(raw: object) -> object:
    return {"name": raw} if isinstance(raw, str) else raw


Instant = Annotated[datetime, BeforeValidator(_instant)]
Clock = Annotated[int, BeforeValidator(_clock)]
NonNegative = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Rates = Annotated[dict[str, NonNegative | None], AfterValidator(_known_meters)]
Multiplier = Annotated[Decimal, Field(gt=0, le=100, allow_inf_nan=False)]
Region = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Modifier(_Strict):
    """A tier's or an off-peak window's change: own rates where stated, else the multiplier."""

    multiplier: Multiplier = Decimal(1)
    usd_per_mtok: Rates = {}

    @model_validator(mode="after")
    def _changes_something(self) -> "Modifier":
        if not {"multiplier", "usd_per_mtok"} & self.model_fields_set:
            raise ValueError("write `multiplier` or `usd_per_mtok`")
        return self


class Tier(Modifier):
    """A served service tier; `batch` is priced at completion unless it says otherwise."""

    priced_at: Literal["started", "finished"] | None = None


class Window(Modifier):
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


class LongContext(_Strict):
    """Rates beyond a threshold on all input classes together, exceeded strictly.

    `whole_request` re-rates every token of the request; `graduated` only the input tokens beyond the
    threshold, counted in prompt order (cache reads, then writes, then the rest).
    """

    above_input_tokens: int = Field(gt=0)
    mode: Literal["whole_request", "graduated"]
    usd_per_mtok: Rates

    @model_validator(mode="after")
    def _graduates_input_only(self) -> "LongContext":
        if self.mode == "graduated" and (wrong := sorted(set(self.usd_per_mtok) - set(INPUT_CLASSES))):
            raise ValueError(f"a graduated rule prices input classes only; remove {', '.join(wrong)}")
        return self


class Entry(_Strict):
    """A dated price: valid until the next entry of the same model and region begins."""

    valid_from: Instant
    known_from: Instant | None = None
    region: Region | None = None
    usd_per_mtok: Rates = {}
    tiers: dict[str, Tier] = {}
    long_context: LongContext | None = None
    per_call_usd: dict[str, NonNegative | None] = {}
    schedule: tuple[Window, ...] = ()
    priced_at: Literal["started", "finished"] = "started"
    source_url: str | None = Field(default=None, pattern="^https?://")

    @model_validator(mode="after")
    def _is_one_unit(self) -> "Entry":
        if not self.usd_per_mtok and not self.per_call_usd:
            raise ValueError("a price needs `usd_per_mtok` or `per_call_usd`")
        if clash := sorted(set(self.per_call_usd) & set(TOKEN_CLASSES)):
            raise ValueError(f"{clash[0]} is a token class; move it to `usd_per_mtok`")
        if "default" in self.tiers:
            raise ValueError("the base rates are the default tier; remove it from `tiers`")
        rates = [rate for rate in self.usd_per_mtok.values() if rate]
        if rates and max(rates) > WIDEST_RATIO * min(rates):
            raise ValueError(
                f"rates from {min(rates)} to {max(rates)} mix units; write all per million tokens"
            )
        minutes = [minute for window in self.schedule for minute in window.minutes()]
        if len(minutes) != len(set(minutes)):
            raise ValueError("windows of `schedule` overlap; make them disjoint")
        return self


class Alias(_Strict):
    """A name in logs that means this model, always or from a date (a floating name moves)."""

    name: str
    valid_from: Instant = datetime(1970, 1, 1, tzinfo=UTC)
    valid_to: Instant | None = None


class Model(_Strict):
    """A model as the provider serves it."""

    model: str = Field(min_length=1)
    family: str | None = None
    aliases: tuple[Annotated[Alias, BeforeValidator(_alias)], ...] = ()
    prices: tuple[Entry, ...] = Field(min_length=1)


class TokenSheet(_Strict):
    """One provider's sheet; `chip` names the accelerator where it is public (Groq, Cerebras)."""

    provider: str = Field(pattern=r"^[a-z][a-z0-9_.]*$")
    currency: Literal["USD"] = "USD"
    source_url: str = Field(pattern="^https?://")
    checked_on: Instant
    chip: str | None = None
    models: tuple[Model, ...] = Field(min_length=1)
    _document: Document = PrivateAttr()
    _version: str = PrivateAttr()

    @property
    def path(self) -> str:
        return self._document.path

    @property
    def version(self) -> str:
        """Content hash of the sheet's text."""
        return self._version

    def entry_line(self, model_index: int, entry_index: int) -> int:
        """Return the line of an entry."""
        return self._document.line(("models", model_index, "prices", entry_index))

    def known_from(self, entry: Entry) -> datetime:
        """Return when an entry was learned: as written, else the day the sheet was checked."""
        return entry.known_from or self.checked_on

    def error(self, location: Location, message: str) -> ConfigurationError:
        """Build an error at a place of this sheet."""
        return self._document.error(location, message)


def load_token_sheets(texts: Mapping[str, str]) -> list[TokenSheet]:
    """Parse and check sheets, in the order given.

    Args:
        texts: path (for messages and `sheet_path`) to YAML text.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    return [_load(path, text) for path, text in texts.items()]


def _load(path: str, text: str) -> TokenSheet:
    document = read_yaml(text, path=path)
    if not isinstance(document.value, dict):
        raise document.error((), "a sheet is a mapping with provider, source_url, checked_on and models")
    try:
        sheet = TokenSheet.model_validate(document.value)
    except ValidationError as error:
        raise _readable(error, document) from error
    sheet._document = document  # noqa: SLF001 (how a private attribute is filled)
    sheet._version = hashlib.sha256(text.encode()).hexdigest()[:16]  # noqa: SLF001
    _check_order(sheet)
    return sheet


_KEYS_AT: dict[str, type[BaseModel]] = {
    "models": Model,
    "prices": Entry,
    "aliases": Alias,
    "tiers": Tier,
    "long_context": LongContext,
    "schedule": Window,
}


def _readable(error: ValidationError, document: Document) -> ConfigurationError:
    first: Any = error.errors()[0]
    location: Location = first["loc"]
    key = location[-1] if location else ""
    kind = first["type"]
    if kind == "extra_forbidden":
        owner = next((_KEYS_AT[part] for part in reversed(location[:-1]) if part in _KEYS_AT), TokenSheet)
        return document.error(location, f"unknown key {key!r}; {nearest(key, list(owner.model_fields))}")
    if kind == "missing":
        return document.error(location, f"{key!r} is missing; add it")
    if key == "currency":
        return document.error(
            location, f"currency {first['input']!r} is not supported; state the prices in USD"
        )
    message = first["msg"].removeprefix("Value error, ")
    dotted = ".".join(str(part) for part in location)
    return document.error(location, f"{dotted}: {message}" if dotted else message)


def _check_order(sheet: TokenSheet) -> None:
    names: dict[str, str] = {}
    for m, model in enumerate(sheet.models):
        here: Location = ("models", m, "model")
        if names.setdefault(model.model, model.model) != model.model:
            raise sheet.error(here, f"{model.model!r} is already an alias of {names[model.model]!r}")
        if sum(other.model == model.model for other in sheet.models) > 1:
            raise sheet.error(here, f"model {model.model!r} is written twice; append to its `prices` instead")
        seen: dict[tuple[str | None, datetime], datetime] = {}
        latest: dict[str | None, datetime] = {}
        for e, entry in enumerate(model.prices):
            at: Location = ("models", m, "prices", e)
            known = sheet.known_from(entry)
            earlier = seen.get((entry.region, entry.valid_from))
            if earlier is not None and known <= earlier:
                raise sheet.error(
                    at,
                    f"{model.model!r} has two prices from {entry.valid_from:%Y-%m-%d} known at one time; "
                    "give a correction a later `known_from`",
                )
            if entry.valid_from < latest.get(entry.region, entry.valid_from) and earlier is None:
                raise sheet.error(at, f"prices of {model.model!r} are not in order; put the newest last")
            seen[entry.region, entry.valid_from] = known
            latest[entry.region] = max(entry.valid_from, latest.get(entry.region, entry.valid_from))
            if entry.priced_at != model.prices[0].priced_at:
                raise sheet.error((*at, "priced_at"), f"all prices of {model.model!r} need one `priced_at`")
    _check_aliases(sheet)


def _check_aliases(sheet: TokenSheet) -> None:
    taken: dict[str, list[tuple[datetime, datetime, str]]] = {}
    end = datetime.max.replace(tzinfo=UTC)
    own = {model.model for model in sheet.models}
    for m, model in enumerate(sheet.models):
        for a, alias in enumerate(model.aliases):
            here: Location = ("models", m, "aliases", a)
            stops = alias.valid_to or end
            if alias.name in own:
                raise sheet.error(here, f"alias {alias.name!r} is a model of this sheet; remove it")
            for start, stop, other in taken.get(alias.name, []):
                if alias.valid_from < stop and start < stops:
                    raise sheet.error(here, f"alias {alias.name!r} also means {other!r}; date them apart")
            taken.setdefault(alias.name, []).append((alias.valid_from, stops, model.model))
