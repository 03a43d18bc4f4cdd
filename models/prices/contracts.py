"""Negotiated prices: what a person writes in `contracts.yml`, checked, and the cards and rates that it makes.

The contracted layer of the price book, and dollars for a unit that a vendor bills in: a Databricks unit (DBU) or a
Snowflake credit. Commitments on accelerators are not here: they are pools.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl
from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator

from models.documents import Document, Instant, Strict, read_yaml
from models.errors import ConfigurationError
from models.prices.fields import readable
from models.prices.sheet_schema import Multiplier, NonNegative, Rates
from models.prices.versions import DatedStatement, Version, versions
from models.schemas import table

_END = datetime.max.replace(tzinfo=UTC)


class Contract(Strict):
    """Terms at one provider: a `multiplier` of the list price, or rates of their own where stated.

    They hold for `models` (as the sheet names them; absent: all), `tiers` (absent: all) from `valid_from`
    until `valid_to` or until later terms of the same name. Terms that name the model win over those for all.
    """

    name: str = Field(min_length=1)
    provider: str = Field(pattern=r"^[a-z][a-z0-9_.]*$")
    models: tuple[str, ...] | None = None
    tiers: tuple[str, ...] | None = None
    valid_from: Instant
    valid_to: Instant | None = None
    known_from: Instant | None = None
    multiplier: Multiplier = Decimal(1)
    per_mtok: Rates = Field(default={}, alias="usd_per_mtok")
    per_call: dict[str, NonNegative | None] = Field(default={}, alias="per_call_usd")
    source_url: str | None = Field(default=None, pattern="^https?://")
    note: str | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> "Contract":
        if not {"multiplier", "per_mtok", "per_call"} & self.model_fields_set:
            raise ValueError("write `multiplier`, `usd_per_mtok` or `per_call_usd`")
        if self.per_mtok and self.tiers is not None and len(self.tiers) > 1:
            raise ValueError("stated rates are those of one tier; write one entry per tier")
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("the contract ends before it starts; mend `valid_to`")
        return self


class UnitPrice(Strict):
    """Dollars for a unit that a vendor bills in, from a day until the next one stated."""

    usd: Decimal = Field(gt=0, lt=10**6, allow_inf_nan=False)
    valid_from: Instant
    known_from: Instant | None = None
    note: str | None = None


class ContractFile(Strict):
    """All contracts of a project, and what it pays for a unit of Databricks (DBU) and a credit of Snowflake."""

    checked_on: Instant
    contracts: tuple[Contract, ...] = ()
    usd_per_dbu: tuple[UnitPrice, ...] = ()
    usd_per_credit: tuple[UnitPrice, ...] = ()
    _document: Document = PrivateAttr()

    def line(self, index: int, section: str = "contracts") -> int:
        """Return the line of an entry of a section."""
        return self._document.line((section, index))

    @property
    def path(self) -> str:
        return self._document.path


UNITS = {"usd_per_dbu": "DBU", "usd_per_credit": "CREDIT"}
"""Section -> the currency in which a sheet states prices of that unit."""
_SECTIONS: dict[str, type[BaseModel]] = {"contracts": Contract, **dict.fromkeys(UNITS, UnitPrice)}


@dataclass(frozen=True)
class ContractTerms:
    """A contract with where it stands."""

    contract: Contract
    path: str
    line: int

    def covers(self, model: str, tier: str) -> bool:
        """Whether the terms are about a card of this model and tier."""
        named = self.contract.models is None or model in self.contract.models
        return named and (self.contract.tiers is None or tier in self.contract.tiers)


def load_contracts(text: str, *, path: str) -> list[Version[ContractTerms]]:
    """Parse and check a project's contracts; an empty text has none.

    Raises:
        ConfigurationError: the first thing wrong, with file, line, key and remedy.
    """
    file = _file(text, path)
    if file is None:
        return []
    _check_overlaps(file)
    series: dict[tuple[str, str], list[DatedStatement[ContractTerms]]] = defaultdict(list)
    for index, contract in enumerate(file.contracts):
        terms = ContractTerms(contract, path, file.line(index))
        known = contract.known_from or file.checked_on
        series[contract.provider, contract.name].append(
            DatedStatement(terms, contract.valid_from, contract.valid_to, known)
        )
    return [version for stated in series.values() for version in versions(stated)]


def unit_rates(text: str, *, path: str) -> pl.DataFrame:
    """Return what a project's contracts pay for units, as rows of `ref.fx_rates`.

    Raises:
        ConfigurationError: a price that is stated twice for one day, or the first thing wrong with the file.
    """
    file = _file(text, path)
    if file is None:
        return table("ref.fx_rates").empty()
    rows: dict[tuple[str, date, datetime], dict[str, Any]] = {}
    for section, currency in UNITS.items():
        for index, price in enumerate(getattr(file, section)):
            key = currency, price.valid_from.date(), price.known_from or file.checked_on
            if key in rows:
                raise ConfigurationError(
                    f"{path}, line {file.line(index, section)}: {section} from {key[1]} is stated twice; give a "
                    "correction a later `known_from`"
                )
            rows[key] = {
                "currency": currency, "rate_on": key[1], "usd_per_unit": price.usd, "known_from": key[2],
                "source_url": path,
            }  # fmt: skip
    return table("ref.fx_rates").frame(rows.values())


def _file(text: str, path: str) -> ContractFile | None:
    document = read_yaml(text, path=path)
    if document.value is None:
        return None
    try:
        file = ContractFile.model_validate(document.value)
    except ValidationError as error:
        raise readable(error, document, top=ContractFile, sections=_SECTIONS)[0] from error
    file._document = document  # noqa: SLF001 (how a private attribute is filled)
    return file


def _check_overlaps(file: ContractFile) -> None:
    for index, contract in enumerate(file.contracts):
        for other in file.contracts[:index]:
            if (contract.provider, contract.name) == (other.provider, other.name):
                continue
            same_scope = (contract.models is None) == (other.models is None) and (
                contract.models is None or set(contract.models) & set(other.models or ())
            )
            same_tier = (
                contract.tiers is None or other.tiers is None or set(contract.tiers) & set(other.tiers)
            )
            overlaps = contract.valid_from < (other.valid_to or _END) and other.valid_from < (
                contract.valid_to or _END
            )
            if contract.provider == other.provider and same_scope and same_tier and overlaps:
                raise ConfigurationError(
                    f"{file.path}, line {file.line(index)}: contract {contract.name!r} is about the same models at "
                    f"the same time as {other.name!r}; date them apart or name the models"
                )


def contracted_stretches(
    row: Version[Any], terms: Iterable[Version[ContractTerms]], *, model: str, tier: str
) -> Iterator[tuple[Version[Any], ContractTerms]]:
    """Cut a price's validity and knowledge where terms about it begin and end.

    Yields:
        Rectangles (of validity x knowledge) of the price with the terms that hold in them; terms that name
        the model win over terms for all.
    """
    about = [one for one in terms if one.item.covers(model, tier)]
    valid = _cuts(row.valid_from, row.valid_to, [(one.valid_from, one.valid_to) for one in about])
    known = _cuts(row.known_from, row.known_to, [(one.known_from, one.known_to) for one in about])
    for valid_from, valid_to in valid:
        for known_from, known_to in known:
            holding = [
                one.item
                for one in about
                if one.valid_from <= valid_from < (one.valid_to or _END)
                and one.known_from <= known_from < (one.known_to or _END)
            ]
            if holding:
                best = max(holding, key=lambda item: item.contract.models is not None)
                yield Version(row.item, valid_from, valid_to, known_from, known_to), best


def _cuts(
    start: datetime, end: datetime | None, spans: list[tuple[datetime, datetime | None]]
) -> list[tuple[datetime, datetime | None]]:
    inside = sorted(
        {edge for span in spans for edge in span if edge is not None and start < edge < (end or _END)}
    )
    edges: list[datetime | None] = [start, *inside, end]
    return [(low, high) for low, high in pairwise(edges) if low is not None]
