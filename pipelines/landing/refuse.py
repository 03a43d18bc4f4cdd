"""Why a record cannot be used, and a skeleton of its keys and types. Never its text, of which a key may be a part."""

import json
from typing import Any

import numpy as np

from pipelines.landing.known_names import is_format_name

_DEPTH = 4
_KEYS = 40
_DEEPEST = 500

Reason = tuple[str, str]
"""The word for `ops.quarantine.reason`, and the detail."""


class _DoubleKeyError(ValueError):
    pass


def broken_json(text: bytes) -> Reason:
    """Return why DuckDB refuses a line of JSON."""
    try:
        line = text.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        return "wrong_encoding", f"byte {error.start + 1} of the record is not UTF-8"
    if _depth(text) > _DEEPEST:
        return "nested_too_deep", f"more than {_DEEPEST} levels"
    try:
        value = json.loads(line, object_pairs_hook=_unique)
    except _DoubleKeyError:
        return "duplicate_key", "a key is written twice in one object"
    except json.JSONDecodeError as error:
        return "invalid_json", f"character {error.pos + 1}: {error.msg}"
    except RecursionError:
        return "nested_too_deep", "too many levels"
    if not isinstance(value, dict):
        return "not_an_object", f"the record is a {_type_name(value)}"
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "invalid_json", "a text holds half a character (a lone surrogate)"
    return "wrong_shape", "a field holds another type than the format's"


def broken_row(text: bytes, *, found: int, wanted: int) -> Reason:
    """Return why a CSV row is refused."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        return "wrong_encoding", f"byte {error.start + 1} of the record is not UTF-8"
    if text.count(b'"') % 2:
        return "invalid_csv", "a quote is not closed"
    return "invalid_csv", f"{found} columns where the header has {wanted}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DoubleKeyError
    return found


def _depth(text: bytes) -> int:
    codes = np.frombuffer(text, np.uint8)
    steps = np.isin(codes, (ord("["), ord("{"))).astype(np.int32) - np.isin(codes, (ord("]"), ord("}")))
    return int(np.cumsum(steps).max(initial=0))


def skeleton_of(text: bytes) -> str | None:
    """Return keys that our formats have and their types as JSON, the others counted; None when it is no JSON."""
    try:
        return json.dumps(_shape(json.loads(text), _DEPTH))
    except (ValueError, RecursionError):
        return None


def _shape(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        if depth == 0:
            return "object"
        shown = [key for key in value if is_format_name(key)][:_KEYS]
        shape = {key: _shape(value[key], depth - 1) for key in shown}
        return shape | ({"(others)": len(value) - len(shown)} if len(shown) < len(value) else {})
    if isinstance(value, list):
        return [_shape(value[0], depth - 1)] if value and depth else []
    return _type_name(value)


def _type_name(value: Any) -> str:
    names = {str: "text", bool: "boolean", int: "integer", float: "number", list: "list", dict: "object"}
    return names.get(type(value), "null")
