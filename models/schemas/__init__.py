"""Every table of the warehouse, one file per table; the registry is the folder listing."""

import importlib
import pkgutil
from functools import cache

from models.schemas.base import Table


@cache
def tables() -> dict[str, Table]:
    """Return every table by its dotted name, such as `core.requests`, in name order."""
    found: dict[str, Table] = {}
    for module in pkgutil.iter_modules(__path__):
        table = getattr(importlib.import_module(f"{__name__}.{module.name}"), "TABLE", None)
        if isinstance(table, Table):
            found[table.dotted] = table
    return dict(sorted(found.items()))


def table(dotted: str) -> Table:
    """Return one table by its dotted name."""
    return tables()[dotted]
