"""Usage fields that hold a number and that no rule reads: they are shown, not dropped.

Of a usage object the shape is looked at: each text of it is turned into its names with a 1 in place of every number
above 0. A block of records has few shapes, so that each is parsed once. A field of the record itself is a usage field
by its name alone: of tokens, or what a kind's own counts are called.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any

import polars as pl

from models.logs.usage_names import KNOWN, counted_by
from models.schemas.vocabulary import INPUT_TOKEN_COLUMNS, OUTPUT_TOKEN_COLUMNS, TOKEN_COLUMNS

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
_NO_COUNT = frozenset(
    {
        "max",
        "maximum",
        "min",
        "minimum",
        "limit",
        "limits",
        "budget",
        "remaining",
        "quota",
        "id",
        "ids",
        "type",
        "rate",
    }
)
"""Words of fields that bound tokens or name one, and count none."""
_TOKENS = frozenset({"token", "tokens"})
_WORD = re.compile(r"[A-Za-z][a-z]*")
_MOST_NAMES, _LONGEST_NUMBER = 20, 24
_TELLING = {
    "prompt": INPUT_TOKEN_COLUMNS,
    "completion": OUTPUT_TOKEN_COLUMNS,
    "written": ("cache_write_5m_tokens", "cache_write_1h_tokens"),
    "cache_read": tuple(name for name in TOKEN_COLUMNS if name.startswith("cache_read")),
}
"""Counts and the classes that hold them, where these are not one of the same name."""


def is_no_usage(name: str) -> bool:
    """Return whether a name inside a usage object is a time, a speed or the like."""
    return _NO_USAGE.search(name) is not None


def unread_usage(
    column: str,
    container: str,
    known: frozenset[str],
    *,
    elsewhere: frozenset[str] = frozenset(),
    pattern: str | None = None,
) -> pl.Expr:
    """Return the paths of numbers above 0 that are not read, comma-separated; NULL where all are.

    Args:
        column: the usage object as JSON text.
        container: what stands before each path.
        known: paths inside the object that are read, and those of lists and objects that are read as a whole.
        elsewhere: counts (of usage_names.COUNTS) that the record tells outside of the object.
        pattern: of an object that holds other things too, what its counts are called beside names of tokens.
    """
    shape = pl.col(column).str.replace_all(_TEXT_VALUE, ':""').str.replace_all(_ABOVE_0, ":1")
    shape = shape.str.replace_all(_LIST, "[]")

    def find(shapes: pl.Series) -> pl.Series:
        names = {
            text: _unread(text, container, known, elsewhere, pattern)
            for text in shapes.unique()
            if text is not None
        }
        names = {text: unread for text, unread in names.items() if unread is not None}
        return shapes.replace_strict(list(names), list(names.values()), default=None, return_dtype=pl.String)

    return shape.map_batches(find, return_dtype=pl.String, is_elementwise=True)


def _unread(
    shape: str, container: str, known: frozenset[str], elsewhere: frozenset[str], pattern: str | None
) -> str | None:
    try:
        value = json.loads(shape)
    except (ValueError, RecursionError):
        return None
    found = list(_paths(value, ()))
    if pattern is not None:
        found = [path for path in found if "." not in path and is_count(path, pattern)]
    read = {path for path in found if path in known or any(path.startswith(f"{whole}.") for whole in known)}
    counts = {counted_by(path) for path in read} | elsewhere
    names = [
        path
        for path in found
        if path not in read
        and _NAME.fullmatch(path)
        and not is_no_usage(path)
        # A count that is read from another of its places is no news.
        and (counted_by(path) is None or counted_by(path) not in counts | _TOLD_ALREADY)
    ]
    return ",".join(sorted(f"{container}.{name}".removeprefix(".") for name in names)) or None


def _paths(value: Any, above: tuple[str, ...]) -> Iterator[str]:
    """Yield the paths of numbers above 0."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, (*above, name))
    elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
        yield ".".join(above)


def number_fields(lines: Iterable[bytes]) -> set[str]:
    """Return the names of the fields that hold a number above 0, also as text, in any of some JSON objects."""
    found: set[str] = set()
    for line in lines:
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            found.update(name for name, value in record.items() if name not in found and _is_above_0(value))
    return found


def _is_above_0(value: Any) -> bool:
    if isinstance(value, str) and len(value) < _LONGEST_NUMBER:
        with suppress(ValueError):
            return float(value) > 0
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def unread_fields(names: Collection[str], read: Collection[str], pattern: str | None) -> list[str]:
    """Return which fields of a record count by their names and are not read; a sum of what is read is none.

    Args:
        names: fields that may hold a number.
        read: fields that the importer reads.
        pattern: what the kind's own counts look like, beside names of tokens.
    """
    found = {
        name.lower(): name
        for name in sorted(set(names) - set(read))
        if is_count(name, pattern) and counted_by(name) not in _TOLD_ALREADY
    }
    return list(found.values())[:_MOST_NAMES]


def is_count(name: str, pattern: str | None) -> bool:
    """Return whether a field of a record counts usage, by its name."""
    words = {word.lower() for word in _WORD.findall(name)}
    is_own = pattern is not None and re.search(pattern, name) is not None
    return (
        (is_own or bool(words & _TOKENS))
        and _NAME.fullmatch(name) is not None
        and not words & _NO_COUNT
        and not is_no_usage(name)
    )


def with_unread_fields(rows: pl.DataFrame, fields: pl.DataFrame) -> pl.DataFrame:
    """Add fields that are not read to `unread_usage`, but those whose count the row has from elsewhere.

    Args:
        rows: canonical rows with `line_number` and `record_number`.
        fields: `line_number`, and a truth value for each field: whether it holds a number above 0.
    """
    names = [name for name in fields.columns if name != "line_number"]
    present = set(rows.columns)
    marks = {name: f"{name} is held" for name in names}
    rows = rows.join(fields.rename(marks), on="line_number", how="left", maintain_order="left")
    found = [pl.col("unread_usage")] if "unread_usage" in present else []
    for name, mark in marks.items():
        count = counted_by(name)
        holding = [column for column in _TELLING.get(count or "", (f"{count}_tokens",)) if column in present]
        is_held = (pl.sum_horizontal(holding) > 0).fill_null(value=False) if holding else pl.lit(value=False)
        is_news = pl.col(mark) & (pl.col("record_number") == 1) & ~is_held
        found.append(pl.when(is_news).then(pl.lit(name)))
    unread = pl.concat_str(found, separator=",", ignore_nulls=True).replace("", None)
    return rows.with_columns(unread_usage=unread).drop(marks.values())
