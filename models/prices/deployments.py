"""Deployments: what a person writes in `deployments.yml` of the names that only the project knows.

An alias is a name that logs use for a model: an application inference profile's ARN, an Azure deployment, a gateway's
model name, a route. What the file says of it beats what the record says itself.
"""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import polars as pl
from pydantic import BaseModel, Field, ValidationError, model_validator

from models.documents import Document, Instant, Strict, read_yaml
from models.errors import ConfigurationError
from models.prices.fields import readable
from models.prices.providers import provider_aliases
from models.prices.versions import DatedStatement, versions
from models.schemas import table

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class Deployment(Strict):
    """What an alias means from `valid_from` (else always) until `valid_to` or a later entry of the alias.

    What is not stated stays as the record has it. `pool` names capacity that is paid by the hour (provisioned
    throughput, PTU, GSU): its tokens cost 0 then, unless `service_tier` names a tier that a sheet prices.
    """

    alias: str = Field(min_length=1)
    provider: str | None = None
    model: str | None = None
    region: str | None = None
    service_tier: str | None = None
    pool: str | None = None
    valid_from: Instant = _FIRST
    valid_to: Instant | None = None
    known_from: Instant | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Deployment":
        if not (self.provider or self.model or self.region or self.service_tier or self.pool):
            raise ValueError("write `provider`, `model`, `region`, `service_tier` or `pool`")
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("the deployment ends before it starts; mend `valid_to`")
        return self


class DeploymentFile(Strict):
    """All deployments of a project; without `checked_on` they were always known."""

    checked_on: Instant = _FIRST
    deployments: tuple[Deployment, ...]


_SECTIONS: dict[str, type[BaseModel]] = {"deployments": Deployment}


def load_deployments(text: str, *, path: str) -> pl.DataFrame:
    """Return `ref.deployments` from the text of `deployments.yml`; an empty text has none.

    Raises:
        ConfigurationError: the first thing wrong, with file, line, key and remedy.
    """
    document = read_yaml(text, path=path)
    if document.value is None:
        return table("ref.deployments").empty()
    try:
        file = DeploymentFile.model_validate(document.value)
    except ValidationError as error:
        raise readable(error, document, top=DeploymentFile, sections=_SECTIONS)[0] from error
    ids = provider_aliases()
    series: dict[str, list[DatedStatement[tuple[Deployment, int]]]] = defaultdict(list)
    seen: set[tuple[str, datetime, datetime]] = set()
    for index, deployment in enumerate(file.deployments):
        line = document.line(("deployments", index))
        known = deployment.known_from or file.checked_on
        key = deployment.alias, deployment.valid_from, known
        if key in seen:
            raise _twice(document, index, deployment)
        seen.add(key)
        series[deployment.alias].append(
            DatedStatement((deployment, line), deployment.valid_from, deployment.valid_to, known)
        )
    rows: list[dict[str, Any]] = []
    for alias, stated in series.items():
        for version in versions(stated):
            deployment, line = version.item
            provider = deployment.provider and deployment.provider.strip()
            rows.append(
                {
                    "alias": alias,
                    "provider": provider and ids.get(provider.lower(), provider),
                    "model": deployment.model,
                    "region": deployment.region,
                    "service_tier": deployment.service_tier or ("provisioned" if deployment.pool else None),
                    "pool": deployment.pool,
                    "valid_from": version.valid_from,
                    "valid_to": version.valid_to,
                    "known_from": version.known_from,
                    "known_to": version.known_to,
                    "sheet_path": path,
                    "sheet_line": line,
                }
            )
    return table("ref.deployments").frame(rows).sort("alias", "valid_from", "known_from")


def _twice(document: Document, index: int, deployment: Deployment) -> ConfigurationError:
    return document.error(
        ("deployments", index, "alias"),
        f"alias {deployment.alias!r} is written twice from one day; keep one, or give one a later `valid_from` "
        "(a correction: a later `known_from`)",
    )
