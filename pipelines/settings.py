"""The settings of nanodollar.toml: what may be written in it, and the sentence that says what is wrong.

Secrets are written as `{ env = "NAME" }` and read from the environment when they are used.
"""

import difflib
import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import available_timezones

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.documents import read_toml
from models.errors import ConfigurationError
from models.importers import importers
from models.schemas import table
from models.schemas.vocabulary import TAGGED
from models.yaml_values import LARGEST
from pipelines import masking
from pipelines.audiences import ExplorerSettings
from pipelines.deliveries import DeliverySettings, NotificationSettings
from pipelines.limits import (
    BillSettings,
    ColdStartSettings,
    CompletenessSettings,
    MaintenanceSettings,
    OutcomeSettings,
    ScoreboardSettings,
)
from pipelines.secret import SecretSetting
from pipelines.sources.spec import KINDS, Api

SETTINGS_FILE = "nanodollar.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WarehouseSettings(_Section):
    catalog: str | SecretSetting = "sqlite:warehouse/catalog.sqlite"
    data_path: str = "warehouse/data"
    published: str = "warehouse/warehouse.duckdb"
    start_on: date = date(2025, 1, 1)
    dedupe_window_hours: Annotated[float, Field(gt=0, le=24)] = 2
    max_request_duration_hours: Annotated[float, Field(gt=0, le=48)] = 1


class ReportingSettings(_Section):
    time_zone: str = "UTC"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"

    @field_validator("time_zone")
    @classmethod
    def _is_iana(cls, name: str) -> str:
        return _iana_zone(name)


def _iana_zone(name: str) -> str:
    if name not in available_timezones():
        near = difflib.get_close_matches(name, available_timezones(), 1)
        raise ValueError(f"{name!r} is no IANA time zone" + (f"; did you mean {near[0]!r}" if near else ""))
    return name


class ApiSettings(_Section):
    token: SecretSetting | None = None
    headers: dict[str, str | SecretSetting] = {}
    params: dict[str, str | int | list[str | int]] = {}
    records: str = ""
    page_param: str | None = None
    next_page: str | None = None
    first_page: int = 1
    since_param: str | None = None
    since_format: Literal["iso", "unix"] = "iso"
    time_field: str | None = None
    requests_per_minute: Annotated[float, Field(gt=0)] = 60
    timeout_seconds: Annotated[float, Field(gt=0)] = 60
    max_page_mb: Annotated[int, Field(ge=1, le=1024)] = 64

    @model_validator(mode="after")
    def _knows_its_time(self) -> "ApiSettings":
        if self.since_param is not None and self.time_field is None:
            raise ValueError(
                "since_param needs time_field: by which field of a record the next pull knows where to begin"
            )
        return self

    def api(self) -> Api:
        """Return the API with its secrets filled in."""
        headers = {name: text_of(value) for name, value in self.headers.items()}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.value()}"
        params = {
            name: [str(one) for one in value] if isinstance(value, list) else str(value)
            for name, value in self.params.items()
        }
        return Api(**self.model_dump(exclude={"token", "headers", "params"}), headers=headers, params=params)


def text_of(value: str | SecretSetting) -> str:
    return value.value() if isinstance(value, SecretSetting) else value


class ConstantSetting(_Section):
    value: str | int | float


_DIMENSIONS = ("tenant", "team", "user_id", "session_id", "task_class", "route", *TAGGED)
_TAG_PLACES = ("tag:", "metadata.", "attribute:", "property:")
_NO_CONSTANTS = frozenset(
    {
        "source",
        "source_kind",
        "request_id",
        "started_at",
        "ingested_at",
        "file_hash",
        "line_number",
        "record_number",
    }
)
"""Columns of which each row has its own."""


def _dimensions(named: dict[str, str | list[str]]) -> dict[str, tuple[str, ...]]:
    """Return for each dimension the names of its tags, without the place that may stand before them."""
    held: dict[str, tuple[str, ...]] = {}
    for dimension, names in named.items():
        if dimension not in _DIMENSIONS:
            raise ValueError(
                f"{dimension!r} is no dimension that a tag fills; there are {', '.join(_DIMENSIONS)}"
            )
        listed = [names] if isinstance(names, str) else names
        places = [next((place for place in _TAG_PLACES if name.startswith(place)), "") for name in listed]
        held[dimension] = tuple(name.removeprefix(place) for name, place in zip(listed, places, strict=True))
        if any("," in name or not name for name in held[dimension]):
            raise ValueError(f"{dimension!r} needs the names of tags, each without a comma")
    return held


_COVERED = ("provider", "region", "source", "tenant", "team", "deployment")
"""Dimensions of the ledger by which a bill may be for a part of it."""


class SourceSettings(_Section):
    name: str
    kind: str
    path: str | None = None
    url: str | SecretSetting | None = None
    columns: dict[str, str | ConstantSetting] = {}
    dimensions: dict[str, str | list[str]] = {}
    covers: dict[str, str | list[str]] = {}
    api: ApiSettings | None = None
    allow_private_addresses: bool = False
    time_zone: str | None = None

    @field_validator("time_zone")
    @classmethod
    def _is_iana(cls, name: str | None) -> str | None:
        return None if name is None else _iana_zone(name)

    @field_validator("name")
    @classmethod
    def _is_identifier(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"{name!r} is no source name; use small letters, digits and _")
        return name

    @field_validator("kind")
    @classmethod
    def _is_known(cls, kind: str) -> str:
        if kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, 1)
            hint = f"did you mean {near[0]!r}; " if near else ""
            raise ValueError(f"{kind!r} is no kind; {hint}there are {', '.join(KINDS)}")
        return kind

    @model_validator(mode="after")
    def _has_one_place(self) -> "SourceSettings":
        if (self.path is None) == (self.url is None):
            raise ValueError(f"source {self.name!r} needs a path or a url, and not both")
        if self.api is not None and self.url is None:
            raise ValueError(f"source {self.name!r} has an api but no url")
        if self.time_zone is not None and not importers()[self.kind].is_local_time:
            raise ValueError(f"times of kind {self.kind!r} name their zone or are UTC; take time_zone out")
        return self

    @model_validator(mode="after")
    def _says_what_columns_hold(self) -> "SourceSettings":
        importer = importers()[self.kind]
        if self.renamed and not importer.takes_columns:
            name, theirs = next(iter(self.renamed.items()))
            raise ValueError(
                f"kind {self.kind!r} takes no other names of columns; a constant is written "
                f'{name} = {{ value = "{theirs}" }}'
            )
        known = {column.name: column for column in table(importer.table).columns}
        for name, value in self.constants.items():
            column = known.get(name)
            if column is None or name in _NO_CONSTANTS:
                near = difflib.get_close_matches(name, set(known) - _NO_CONSTANTS, 1)
                hint = f"; did you mean {near[0]!r}" if near else ""
                raise ValueError(f"{name!r} is no column of {importer.table} that has a constant{hint}")
            try:
                pl.Series([value]).cast(column.dtype)
            except pl.exceptions.PolarsError:
                raise ValueError(f"{value!r} is no value of {name!r}") from None
        _dimensions(self.dimensions)
        return self

    @model_validator(mode="after")
    def _says_what_its_bills_cover(self) -> "SourceSettings":
        if self.covers and importers()[self.kind].table != "raw.invoice_lines":
            raise ValueError(f"source {self.name!r} has no bills, so it cannot say what they cover")
        for name in self.covers:
            if name not in _COVERED:
                near = difflib.get_close_matches(name, _COVERED, 1)
                hint = f"did you mean {near[0]!r}; " if near else ""
                raise ValueError(
                    f"{name!r} is nothing that a bill covers; {hint}there are {', '.join(_COVERED)}"
                )
        return self

    @property
    def covered(self) -> dict[str, list[str]]:
        """Return dimension of the ledger -> what of it the bills of this source are for; empty: all that they name."""
        return {name: [value] if isinstance(value, str) else value for name, value in self.covers.items()}

    @property
    def renamed(self) -> dict[str, str]:
        """Return canonical name -> the source's name."""
        return {name: theirs for name, theirs in self.columns.items() if isinstance(theirs, str)}

    @property
    def constants(self) -> dict[str, str]:
        """Return column -> what it holds in every row."""
        return {
            name: str(value.value)
            for name, value in self.columns.items()
            if isinstance(value, ConstantSetting)
        }

    @property
    def tag_names(self) -> dict[str, tuple[str, ...]]:
        """Return dimension -> names of the tags that fill it."""
        return _dimensions(self.dimensions)


class PriceSettings(_Section):
    token_sheets: list[str] = ["prices/tokens"]
    gpu_sheets: list[str] = ["prices/gpu"]
    contracts: str = "contracts.yml"
    fx: str = "fx.csv"
    deployments: str = "deployments.yml"


class PolicySettings(_Section):
    routing: str = "policies/routing.yml"
    quality: str = "policies/quality.yml"


class GpuSettings(_Section):
    allocation_rule: Literal["token_share", "equal_share", "kv_block_share"] = "token_share"
    commitments: str = "commitments.yml"
    weights: str = "weights.yml"
    overhead: str = "overhead.yml"
    training: list[str] = []
    target_utilization_percent: Annotated[int, Field(ge=1, le=100)] = 70


class FinanceSettings(_Section):
    chargeback: str = "chargeback.yml"
    signoffs: str = "signoffs.yml"
    journal: str = "journal.yml"
    budgets: str = "budgets.yml"


class LandingSettings(_Section):
    memory_mb: Annotated[int, Field(ge=256)] = 1024


class RunSettings(_Section):
    """Who computes the chunks of a run."""

    engine: Literal["processes", "ray"] = "processes"
    processes: Annotated[int, Field(ge=1, le=1024)] = 1
    ray_address: str = "auto"


class AutomationSettings(_Section):
    enabled: bool = True
    owners: list[Annotated[str, Field(pattern=r"^(team:[\w-]+|[^@\s]+@[^@\s]+)$")]] = []


class Settings(_Section):
    warehouse: WarehouseSettings = WarehouseSettings()
    reporting: ReportingSettings = ReportingSettings()
    sources: list[SourceSettings] = []
    dimensions: dict[str, str | list[str]] = {}
    prices: PriceSettings = PriceSettings()
    policies: PolicySettings = PolicySettings()
    gpu: GpuSettings = GpuSettings()
    finance: FinanceSettings = FinanceSettings()
    outcomes: OutcomeSettings = OutcomeSettings()
    scoreboard: ScoreboardSettings = ScoreboardSettings()
    landing: LandingSettings = LandingSettings()
    run: RunSettings = RunSettings()
    cold_starts: ColdStartSettings = ColdStartSettings()
    completeness: CompletenessSettings = CompletenessSettings()
    bills: BillSettings = BillSettings()
    notifications: NotificationSettings = NotificationSettings()
    deliveries: list[DeliverySettings] = []
    explorer: ExplorerSettings = ExplorerSettings()
    automation: AutomationSettings = AutomationSettings()
    maintenance: MaintenanceSettings = MaintenanceSettings()

    @field_validator("deliveries")
    @classmethod
    def _deliveries_differ(cls, deliveries: list[DeliverySettings]) -> list[DeliverySettings]:
        names = [delivery.name for delivery in deliveries]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two deliveries are named {name!r}; rename one")
        return deliveries

    @field_validator("dimensions")
    @classmethod
    def _are_dimensions(cls, named: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        _dimensions(named)
        return named

    @property
    def tag_names(self) -> dict[str, tuple[str, ...]]:
        """Return dimension -> names of the tags that fill it, in every source that names none itself."""
        return _dimensions(self.dimensions)

    @field_validator("sources")
    @classmethod
    def _names_differ(cls, sources: list[SourceSettings]) -> list[SourceSettings]:
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two sources are named {name!r}; rename one")
        return sources


def read_settings(folder: Path) -> Settings:
    """Read and validate a folder's settings; the first problem is one sentence with file, line, key and remedy."""
    file = folder / SETTINGS_FILE
    settings = read_toml(written_text(file, shown=str(file)), path=str(file)).parse(Settings)
    _remember_secrets(settings)
    return settings


def written_text(file: Path, *, shown: str) -> str:
    """Return the text of a file that a person writes; empty where there is none.

    Raises:
        ConfigurationError: it is no file, may not be read, is too large or is not UTF-8.
    """
    try:
        if not file.exists():
            return ""
        if not file.is_file():
            raise ConfigurationError(f"{shown} is no file; put a text file in its place.")
        if file.stat().st_size > LARGEST:
            raise ConfigurationError(
                f"{shown} has {file.stat().st_size / 1e6:,.0f} MB; at most {LARGEST / 1e6:.0f} are read of a file "
                f"that a person writes."
            )
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{shown} cannot be read ({error.strerror}); mend its permissions."
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{shown}, line {line}: it is not UTF-8 text; save the file as UTF-8."
        ) from error


def _remember_secrets(settings: Settings) -> None:
    """Tell the masking every secret that the settings name, whether or not it comes to be used."""
    masking.remember_environment()
    catalog = settings.warehouse.catalog
    secrets = [catalog, settings.notifications.webhook, *settings.explorer.secrets]
    for delivery in settings.deliveries:
        secrets += [delivery.webhook, delivery.email.password if delivery.email else None]
    for source in settings.sources:
        secrets.append(source.url)
        if source.api is not None:
            secrets += [source.api.token, *source.api.headers.values()]
            masking.remember_named(
                (name, value)
                for name, given in [*source.api.headers.items(), *source.api.params.items()]
                for value in (given if isinstance(given, list) else [given])
                if isinstance(value, str)
            )
    for secret in secrets:
        if isinstance(secret, SecretSetting):
            found = os.environ.get(secret.env)
            if found:
                masking.remember(found)
        elif secret is not None:
            masking.remember_parts(secret)
