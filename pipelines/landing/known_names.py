"""Which names of an unknown file may be told: those of our formats. Any other may be a text that somebody wrote."""

import re
from collections.abc import Collection
from functools import cache

from models.importers import importers
from models.schemas import tables

_MOST = 12
_NAME = r"[A-Za-z_@]\w{2,}"


def is_format_name(name: str) -> bool:
    """Return whether a format of ours has a field of this name."""
    return name in _format_names()


def shown_names(names: Collection[str]) -> str:
    """Return the names that a format of ours has, and how many others there are; never a name that none has."""
    known = sorted({name for name in names if is_format_name(name)})
    shown = known[:_MOST]
    others = len({*names}) - len(shown)
    if not shown:
        return f"{others:,} that no format has" if others else "none"
    return ", ".join(shown) + (f" and {others:,} more" if others else "")


@cache
def _format_names() -> frozenset[str]:
    """Return the names of columns and of fields, nested ones included, wherever an importer's SQL reads them."""
    names = {column.name for table in tables().values() for column in table.columns}
    texts = []
    for importer in importers().values():
        names.update(importer.columns)
        texts += [importer.select, *importer.columns.values()]
        texts += [sign for signs in importer.signature for sign in signs]
        if importer.fast is not None:
            texts += [importer.fast.select, *importer.fast.columns.values()]
    return frozenset(names.union(*(re.findall(_NAME, text) for text in texts)))
