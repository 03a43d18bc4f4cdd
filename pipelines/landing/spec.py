"""What a source is to the landing: a name, a kind and a place."""

from dataclasses import dataclass, field

from models.importers import importers

KINDS = tuple(importers())


@dataclass(frozen=True)
class SourceSpec:
    """One configured source: a `path` (glob) or a `url`; `columns` maps canonical names to theirs."""

    name: str
    kind: str
    path: str | None = None
    url: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
