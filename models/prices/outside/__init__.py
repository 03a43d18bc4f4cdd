"""Price lists that others keep, one file per kind: what they say becomes offers in the shape of our own sheets."""

import importlib
import pkgutil
from functools import cache

from models.prices.offers import PriceListReader


@cache
def readers() -> dict[str, PriceListReader]:
    """Return every reader by its kind, from the folder's listing."""
    found: dict[str, PriceListReader] = {}
    for item in pkgutil.iter_modules(__path__):
        reader = getattr(importlib.import_module(f"{__name__}.{item.name}"), "READER", None)
        if isinstance(reader, PriceListReader):
            found[reader.kind] = reader
    return dict(sorted(found.items()))
