"""nanodollar.toml: the settings of one project, validated, with its paths resolved.

Secrets are written as `{ env = "NAME" }` and read from the environment when they are used.
"""

import difflib
import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.errors import ConfigurationError
from pipelines.landing.spec import KINDS, Api, SourceSpec
from pipelines.limits import ColdStartSettings, CompletenessSettings

SETTINGS_FILE = "nanodollar.toml"
_KEY_FILE = ".hash_key"
_PASTS = "warehouse/as_known"
"""Folder of the pasts that were rebuilt, by instant."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretSetting(_Section):
    """A value that is read from the environment."""

    env: str

    def value(self) -> str:
        found = os.environ.get(self.env)
        if not found:
            raise ConfigurationError(
                f"The environment variable {self.env} is not set; {SETTINGS_FILE} asks for it."
            )
        return found


class WarehouseSettings(_Section):
    catalog: str | SecretSetting = "sqlite:warehouse/catalog.sqlite"
    data_path: str = "warehouse/data"
    published: str = "warehouse/warehouse.duckdb"
    start_on: date = date(2025, 1, 1)
    dedupe_window_hours: Annotated[float, Field(gt=0, le=24)] = 2
    max_request_duration_hours: Annotated[float, Field(gt=0, le=48)] = 1


class ReportingSettings(_Section):
    time_zone: str = "UTC"
    currency: Literal["USD"] = "USD"

    @field_validator("time_zone")
    @classmethod
    def _is_iana(cls, name: str) -> str:
        if name not in available_timezones():
            near = difflib.get_close_matches(name, available_timezones(), 1)
            raise ValueError(
                f"{name!r} is no IANA time zone" + (f"; did you mean {near[0]!r}" if near else "")
            )
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

    @model_validator(mode="after")
    def _knows_its_time(self) -> "ApiSettings":
        if self.since_param is not None and self.time_field is None:
            raise ValueError(
                "since_param needs time_field: by which field of a record the next pull knows where to begin"
            )
        return self

    def api(self) -> Api:
        """Return the API with its secrets filled in."""
        headers = {name: _text(value) for name, value in self.headers.items()}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.value()}"
        params = {
            name: [str(one) for one in value] if isinstance(value, list) else str(value)
            for name, value in self.params.items()
        }
        return Api(**self.model_dump(exclude={"token", "headers", "params"}), headers=headers, params=params)


def _text(value: str | SecretSetting) -> str:
    return value.value() if isinstance(value, SecretSetting) else value


class SourceSettings(_Section):
    name: str
    kind: str
    path: str | None = None
    url: str | SecretSetting | None = None
    columns: dict[str, str] = {}
    api: ApiSettings | None = None

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
        return self


class PriceSettings(_Section):
    token_sheets: list[str] = ["prices/tokens"]
    gpu_sheets: list[str] = ["prices/gpu"]
    contracts: str = "contracts.yml"
    fx: str = "fx.csv"


class PolicySettings(_Section):
    routing: str = "policies/routing.yml"
    quality: str = "policies/quality.yml"


class GpuSettings(_Section):
    allocation_rule: Literal["token_share", "equal_share"] = "token_share"
    commitments: str = "commitments.yml"
    weights: str = "weights.yml"
    overhead: str = "overhead.yml"
    target_utilization_percent: Annotated[int, Field(ge=1, le=100)] = 70


class LandingSettings(_Section):
    memory_mb: Annotated[int, Field(ge=256)] = 1024


class NotificationSettings(_Section):
    webhook: SecretSetting | None = None

    @field_validator("webhook", mode="before")
    @classmethod
    def _is_no_url(cls, webhook: object) -> object:
        if isinstance(webhook, str):
            raise ValueError(  # noqa: TRY004
                'a webhook\'s URL is a secret; keep it in the environment and write webhook = { env = "NAME" }'
            )
        return webhook


class Settings(_Section):
    warehouse: WarehouseSettings = WarehouseSettings()
    reporting: ReportingSettings = ReportingSettings()
    sources: list[SourceSettings] = []
    prices: PriceSettings = PriceSettings()
    policies: PolicySettings = PolicySettings()
    gpu: GpuSettings = GpuSettings()
    landing: LandingSettings = LandingSettings()
    cold_starts: ColdStartSettings = ColdStartSettings()
    completeness: CompletenessSettings = CompletenessSettings()
    notifications: NotificationSettings = NotificationSettings()

    @field_validator("sources")
    @classmethod
    def _names_differ(cls, sources: list[SourceSettings]) -> list[SourceSettings]:
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two sources are named {name!r}; rename one")
        return sources


@dataclass(frozen=True)
class Project:
    """A project folder and its validated settings."""

    folder: Path
    settings: Settings
    known_at: datetime | None = None
    """In a rebuilt past: what was learned later does not count."""

    def as_known(self, known_at: datetime) -> "Project":
        """Return this project with a warehouse, reports and Dagster records apart, for the past as known then."""
        own = f"{_PASTS}/{known_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
        apart = {
            "catalog": f"sqlite:{own}/catalog.sqlite",
            "data_path": f"{own}/data",
            "published": f"{own}/warehouse.duckdb",
        }
        warehouse = self.settings.warehouse.model_copy(update=apart)
        return Project(self.folder, self.settings.model_copy(update={"warehouse": warehouse}), known_at)

    @property
    def own_folder(self) -> Path:
        """Where reports and Dagster's records stand: the project's folder, or that of a rebuilt past."""
        return self.folder if self.known_at is None else self.published.parent

    @property
    def start_on(self) -> date:
        return self.settings.warehouse.start_on

    @property
    def time_zone(self) -> str:
        return ZoneInfo(self.settings.reporting.time_zone).key

    @property
    def dedupe_window(self) -> timedelta:
        return timedelta(hours=self.settings.warehouse.dedupe_window_hours)

    @property
    def max_request_duration(self) -> timedelta:
        return timedelta(hours=self.settings.warehouse.max_request_duration_hours)

    @property
    def landing_memory_bytes(self) -> int:
        """What a landing may use of memory, beside the program itself."""
        return self.settings.landing.memory_mb << 20

    @property
    def allocation_rule(self) -> Literal["token_share", "equal_share"]:
        return self.settings.gpu.allocation_rule

    @property
    def catalog(self) -> str:
        """DuckLake's catalog, such as `sqlite:/folder/warehouse/catalog.sqlite` or `postgres:dbname=...`."""
        catalog = self.settings.warehouse.catalog
        text = catalog.value() if isinstance(catalog, SecretSetting) else catalog
        if text.startswith("sqlite:"):
            return f"sqlite:{self.folder / text.removeprefix('sqlite:')}"
        return text

    @property
    def data_path(self) -> str:
        path = self.settings.warehouse.data_path
        return path if "://" in path else str(self.folder / path)

    @property
    def published(self) -> Path:
        return self.folder / self.settings.warehouse.published

    @property
    def reports(self) -> Path:
        return self.own_folder / "reports"

    @property
    def dagster_home(self) -> Path:
        return self.own_folder / ".dagster"

    @cached_property
    def sources(self) -> list[SourceSpec]:
        return [
            SourceSpec(
                name=item.name,
                kind=item.kind,
                path=item.path,
                url=None if item.url is None else _text(item.url),
                columns=item.columns,
                api=item.api.api() if item.api is not None else None,
            )
            for item in self.settings.sources
        ]

    def token_sheet_texts(self) -> dict[str, str]:
        return self._sheet_texts(self.settings.prices.token_sheets)

    def gpu_sheet_texts(self) -> dict[str, str]:
        return self._sheet_texts(self.settings.prices.gpu_sheets)

    def contracts_text(self) -> str:
        """Return the negotiated prices, empty when the project has none."""
        return self._text(self.settings.prices.contracts)

    def fx_text(self) -> str:
        """Return the exchange rates, empty when the project has none."""
        return self._text(self.settings.prices.fx)

    @property
    def policy_path(self) -> str:
        return self.settings.policies.routing

    @property
    def quality_path(self) -> str:
        return self.settings.policies.quality

    def quality_text(self) -> str:
        """Return the quality scores of models, empty when the project has none."""
        return self._text_of(self.quality_path)

    @property
    def commitments_path(self) -> str:
        return self.settings.gpu.commitments

    def commitments_text(self) -> str:
        """Return the commitments, empty when the project has none."""
        return self._text_of(self.commitments_path)

    @property
    def overhead_path(self) -> str:
        return self.settings.gpu.overhead

    def overhead_text(self) -> str:
        """Return the shared overhead of GPU pools, empty when the project has none."""
        return self._text_of(self.overhead_path)

    @property
    def weights_path(self) -> str:
        return self.settings.gpu.weights

    def weights_text(self) -> str:
        """Return the measured weights of tokens, empty when the project has none."""
        return self._text_of(self.weights_path)

    def _text_of(self, name: str) -> str:
        file = self.folder / name
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def policy_text(self) -> str:
        """Return the routing policy, empty when the project has none."""
        file = self.folder / self.policy_path
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def hash_key(self) -> bytes:
        """Return the project's own key for hashing API keys; made once, never committed."""
        file = self.folder / _KEY_FILE
        if not file.exists():
            file.write_bytes(hashlib.sha256(os.urandom(32)).hexdigest().encode())
            file.chmod(0o600)
        return file.read_bytes()

    def _text(self, name: str) -> str:
        file = self.folder / name
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def _sheet_texts(self, folders: list[str]) -> dict[str, str]:
        files = sorted(file for name in folders for file in (self.folder / name).glob("*.yml"))
        return {str(file.relative_to(self.folder)): file.read_text(encoding="utf-8") for file in files}


def find_project(explicit: Path | None) -> Project:
    """Open a project: the given folder, else NANODOLLAR_PROJECT, else this folder, else ./demo.

    Raises:
        ConfigurationError: there is none, or its settings are wrong.
    """
    named = explicit or (
        Path(os.environ["NANODOLLAR_PROJECT"]) if os.environ.get("NANODOLLAR_PROJECT") else None
    )
    if named is not None:
        if not (named / SETTINGS_FILE).exists():
            raise ConfigurationError(
                f"There is no {SETTINGS_FILE} in {named}; make one with `nanodollar init {named}`."
            )
        return load_project(named)
    for folder in (Path(), Path("demo")):
        if (folder / SETTINGS_FILE).exists():
            return load_project(folder)
    raise ConfigurationError(
        f"There is no {SETTINGS_FILE} here and no demo project; run `nanodollar init DIR` or `make demo`."
    )


def load_project(folder: Path) -> Project:
    """Read and validate a folder's settings; the first problem is one sentence with file, key and remedy."""
    file = folder / SETTINGS_FILE
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}.") from error
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        raise ConfigurationError(_sentence(file, error.errors()[0])) from error
    return Project(folder.resolve(), settings)


def _sentence(file: Path, problem: Mapping[str, Any]) -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        model: type[BaseModel] = Settings
        is_member = False
        for part in location[:-1]:
            if is_member:  # an index of a list, or a name that the user gave
                is_member = False
                continue
            annotation: Any = model.model_fields[part].annotation
            is_member = get_origin(annotation) in {list, dict}
            # A section may be optional, or stand in a list or under a name.
            model = next(
                (choice for choice in get_args(annotation) if hasattr(choice, "model_fields")), annotation
            )
        names = list(model.model_fields)
        near = difflib.get_close_matches(location[-1], names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it may be {', '.join(names)}."
        return f"{file}: the key {key!r} is not known; {hint}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{file}: {key}: {message}."
