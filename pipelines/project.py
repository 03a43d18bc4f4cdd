"""A project: a folder with its settings, and the files and places that they name."""

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from models.errors import ConfigurationError
from pipelines.secret import SecretSetting
from pipelines.settings import SETTINGS_FILE, Settings, read_settings, text_of, written_text
from pipelines.sources.spec import SourceSpec

_KEY_FILE = ".hash_key"
_PASTS = "warehouse/as_known"
"""Folder of the pasts that were rebuilt, by instant."""


@dataclass(frozen=True)
class Project:
    """A project folder and its validated settings."""

    folder: Path
    settings: Settings
    known_at: datetime | None = None
    """In a rebuilt past: what was learned later does not count."""
    texts: Mapping[str, str] | None = None
    """On a worker, which may have no such folder: files that people write, as they were when it was sent there."""

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
    def workers(self) -> int:
        """How many chunks of a range of hours are computed side by side."""
        # A rebuilt past is computed from rows that only its own session sees.
        return self.settings.run.processes if self.known_at is None else 1

    def with_workers(self, count: int) -> "Project":
        """Return this project with another number of chunks side by side."""
        run = self.settings.run.model_copy(update={"processes": count})
        return replace(self, settings=self.settings.model_copy(update={"run": run}))

    @property
    def allocation_rule(self) -> Literal["token_share", "equal_share", "kv_block_share"]:
        return self.settings.gpu.allocation_rule

    @property
    def catalog(self) -> str:
        """DuckLake's catalog, such as `sqlite:/folder/warehouse/catalog.sqlite` or `postgres:dbname=...`.

        Raises:
            ConfigurationError: it is neither.
        """
        catalog = self.settings.warehouse.catalog
        text = catalog.value() if isinstance(catalog, SecretSetting) else catalog
        if text.startswith("sqlite:"):
            return f"sqlite:{self.folder / text.removeprefix('sqlite:')}"
        if not text.startswith("postgres:"):
            raise ConfigurationError(
                f"[warehouse] catalog in {self.folder / SETTINGS_FILE} begins neither with sqlite: nor with postgres:; "
                f"write it like sqlite:warehouse/catalog.sqlite or postgres:dbname=lake host=db."
            )
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
                url=None if item.url is None else text_of(item.url),
                columns=item.renamed,
                constants=item.constants,
                dimensions=self.settings.tag_names | item.tag_names,
                api=item.api.api() if item.api is not None else None,
                allow_private_addresses=item.allow_private_addresses,
                time_zone=item.time_zone or "UTC",
            )
            for item in self.settings.sources
        ]

    def token_sheet_texts(self) -> dict[str, str]:
        return self._sheet_texts(self.settings.prices.token_sheets)

    def gpu_sheet_texts(self) -> dict[str, str]:
        return self._sheet_texts(self.settings.prices.gpu_sheets)

    def contracts_text(self) -> str:
        """Return the negotiated prices, empty when the project has none."""
        return self._text_of(self.settings.prices.contracts)

    def deployments_text(self) -> str:
        """Return what the project says of its own names, empty when it says nothing."""
        return self._text_of(self.settings.prices.deployments)

    def fx_text(self) -> str:
        """Return the exchange rates, empty when the project has none."""
        return self._text_of(self.settings.prices.fx)

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

    def finance_text(self, name: Literal["chargeback", "signoffs", "journal", "budgets"]) -> str:
        """Return a file that finance keeps, empty when the project has none."""
        return self._text_of(str(getattr(self.settings.finance, name)))

    def _text_of(self, name: str) -> str:
        if self.texts is not None and name in self.texts:
            return self.texts[name]
        return written_text(self.folder / name, shown=name)

    def for_workers(self) -> "Project":
        """Return this project with the files that chunks of hours read, so that it can be sent to another machine."""
        return replace(self, texts={self.weights_path: self.weights_text()})

    def policy_text(self) -> str:
        """Return the routing policy, empty when the project has none."""
        return self._text_of(self.policy_path)

    def keep_private(self) -> None:
        """Close the folders inside the project that this program fills to everyone but their user."""
        for folder in {self.dagster_home, self.published.parent, self.reports, self.folder / self.data_path}:
            is_own = folder != self.folder and folder.is_relative_to(self.folder) and folder.is_dir()
            if is_own and folder.stat().st_mode & 0o077:
                with contextlib.suppress(PermissionError):  # a folder of someone else is theirs to close
                    folder.chmod(0o700)

    def hash_key(self) -> bytes:
        """Return the project's own key for hashing API keys; made once, never committed."""
        file = self.folder / _KEY_FILE
        if not file.exists():
            file.touch(mode=0o600)
            file.write_bytes(hashlib.sha256(os.urandom(32)).hexdigest().encode())
        return file.read_bytes()

    def _sheet_texts(self, folders: list[str]) -> dict[str, str]:
        files = sorted(file for name in folders for file in (self.folder / name).glob("*.yml"))
        names = [str(file.relative_to(self.folder)) for file in files]
        return {name: self._text_of(name) for name in names}


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
    """Open a folder as a project; the first problem of its settings is one sentence with file, key and remedy."""
    return Project(folder.resolve(), read_settings(folder))
