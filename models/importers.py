"""The registry of record formats: the listing of models/logs and models/lifecycle."""

import importlib
import pkgutil
from functools import cache

import models.lifecycle
import models.logs
from models.records import Importer


@cache
def importers() -> dict[str, Importer]:
    """Return every importer by its kind, in name order."""
    found: dict[str, Importer] = {}
    for package in (models.logs, models.lifecycle):
        for item in pkgutil.iter_modules(package.__path__):
            importer = getattr(importlib.import_module(f"{package.__name__}.{item.name}"), "IMPORTER", None)
            if isinstance(importer, Importer):
                found[importer.kind] = importer
    return dict(sorted(found.items()))
