"""Usage fields that hold a number and that no rule reads: they are shown, not dropped.

What is looked at is the shape of a usage object: each text of it is turned into its names with a 1 in place of every
number above 0. A block of records has few shapes, so that each is parsed once.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from models.logs.usage_names import KNOWN, counted_by

_TEXT_VALUE, _ABOVE_0, _LIST = (
    r':\s*"(?:[^"\\\\]|\\\\.)*"',
    r":\s*(?:[1-9]|0\.0*[1-9])[0-9.eE+-]*",
    r"\[[^\[\]]*\]",
)
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_NO_USAGE = re.compile(
    r"(time|_ms|durationms|duration|seconds|speed|per_second|per_token|first_token|latency|bytes|created|timestamp|_at)$",
    re.IGNORECASE,
)
_TOLD_ALREADY = frozenset({KNOWN, "total", "fresh", "text_input", "text_output", "accepted", "rejected"})
"""Counts that other counts tell, and parts of counts that have no price of their own."""


def is_no_usage(name: str) -> bool:
    """Return whether a name inside a usage object is a time, a speed or the like."""
    return _NO_USAGE.search(name) is not None


def unread_usage(
    column: str, container: str, known: frozenset[str], *, told: frozenset[str] = frozenset()
) -> pl.Expr:
    """Return the paths of numbers above 0 that are not read, comma-separated; NULL where all are.

    Args:
        column: the usage object as JSON text.
        container: what stands before each path.
        known: paths inside the object that are read, and those of lists and objects that are read as a whole.
        told: counts (of usage_names.COUNTS) that the record tells outside of the object.
    """
    shape = pl.col(column).str.replace_all(_TEXT_VALUE, ':""').str.replace_all(_ABOVE_0, ":1")
    shape = shape.str.replace_all(_LIST, "[]")

    def find(shapes: pl.Series) -> pl.Series:
        names = {text: _unread(text, container, known, told) for text in shapes.unique() if text is not None}
        names = {text: unread for text, unread in names.items() if unread is not None}
        return shapes.replace_strict(list(names), list(names.values()), default=None, return_dtype=pl.String)

    return shape.map_batches(find, return_dtype=pl.String, is_elementwise=True)


def _unread(shape: str, container: str, known: frozenset[str], told: frozenset[str]) -> str | None:
    try:
        value = json.loads(shape)
    except (ValueError, RecursionError):
        return None
    found = list(_paths(value, ()))
    read = {path for path in found if path in known or any(path.startswith(f"{whole}.") for whole in known)}
    counts = {counted_by(path) for path in read} | told
    names = [
        path
        for path in found
        if path not in read
        and _NAME.fullmatch(path)
        and not is_no_usage(path)
        # A count that is read from another of its places is no news.
        and (counted_by(path) is None or counted_by(path) not in counts | _TOLD_ALREADY)
    ]
    return ",".join(sorted(f"{container}.{name}" for name in names)) or None


def _paths(value: Any, above: tuple[str, ...]) -> Iterator[str]:
    """Yield the paths of numbers above 0."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, (*above, name))
    elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
        yield ".".join(above)
