"""The registry of record formats, the listing of their rooms, and which of them a record fits."""

import importlib
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import models.billing
import models.counters
import models.lifecycle
import models.logs
from models.records import Importer


@cache
def importers() -> dict[str, Importer]:
    """Return every importer by its kind, in name order."""
    found: dict[str, Importer] = {}
    for package in (models.billing, models.counters, models.logs, models.lifecycle):
        for item in pkgutil.iter_modules(package.__path__):
            importer = getattr(importlib.import_module(f"{package.__name__}.{item.name}"), "IMPORTER", None)
            if isinstance(importer, Importer):
                found[importer.kind] = importer
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class FormatFit:
    """A format that a record fits, and the signs that tell it."""

    kind: str
    signs: frozenset[str]


def fitting(record: Mapping[str, Any]) -> list[FormatFit]:
    """Return the formats that a record fits, in name order: those of the lowest rank, each by its most signs.

    Args:
        record: the first record as parsed, or the names of a header as keys.
    """
    fits = [
        (importer.rank, FormatFit(kind, max(having, key=len)))
        for kind, importer in importers().items()
        if (having := [signs for signs in importer.signature if all(_has(record, sign) for sign in signs)])
    ]
    lowest = min((rank for rank, _ in fits), default=0)
    return [fit for rank, fit in fits if rank == lowest]


@cache
def _parsed(sign: str) -> tuple[str, tuple[str | int, ...], str]:
    """Return a sign's whole path, its keys and indexes, and what a text at that place starts with."""
    path, _, start = sign.partition("=")
    steps = re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)
    return path, tuple(key or int(index) for key, index in steps), start


def _has(record: Mapping[str, Any], sign: str) -> bool:
    path, steps, start = _parsed(sign)
    value: Any = record
    if path in record:
        value = record[path]
    else:
        for step in steps:
            is_there = (
                step < len(value)
                if isinstance(step, int) and isinstance(value, list)
                else isinstance(step, str) and isinstance(value, Mapping) and step in value
            )
            if not is_there:
                return False
            value = value[step]
    return not start or (isinstance(value, str) and value.startswith(start))
