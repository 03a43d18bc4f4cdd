"""What a source is to the landing: a name, a kind and a place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from models.importers import importers

KINDS = tuple(importers())


@dataclass(frozen=True, kw_only=True)
class Api:
    """How an API gives its records.

    Attributes:
        headers: sent with every request; secrets are filled in.
        params: sent with every request; one that has several values is sent with each.
        records: dotted path of the list in a page; empty when the page is the list, or one record.
        page_param: parameter that names the page.
        next_page: dotted path of the next page's name (or URL); without it pages are numbered until one is empty.
        first_page: number of the first page, where they are numbered.
        since_param: parameter that names the instant from which records are asked for.
        since_format: how it is written.
        time_field: dotted path of a record's instant, by which a later pull knows where to begin.
        requests_per_minute: no more are sent.
        timeout_seconds: a slower answer is asked for again.
        max_page_mb: a larger page is refused; its records take about ten times that of memory.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    records: str = ""
    page_param: str | None = None
    next_page: str | None = None
    first_page: int = 1
    since_param: str | None = None
    since_format: Literal["iso", "unix"] = "iso"
    time_field: str | None = None
    requests_per_minute: float = 60
    timeout_seconds: float = 60
    max_page_mb: int = 64


@dataclass(frozen=True)
class SourceSpec:
    """One configured source: a `path` (glob) or a `url` (with its `api`); what is said of its columns.

    Attributes:
        columns: canonical name -> the source's name.
        constants: column -> what it holds in every row.
        dimensions: column -> names of tags, of which the first that a row has fills it.
        time_zone: IANA zone of times that name none, of kinds whose records have such.
    """

    name: str
    kind: str
    path: str | None = None
    url: str | None = field(default=None, repr=False)
    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    dimensions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    api: Api | None = None
    allow_private_addresses: bool = False
    time_zone: str = "UTC"
