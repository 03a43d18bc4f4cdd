"""Lines that are no record: the reason, where they lie, and a skeleton of keys and types. Never their text."""

import json
from dataclasses import dataclass
from typing import Any

_DEPTH = 4
_KEYS = 40
_DEEPEST = 100


@dataclass(frozen=True)
class Refused:
    """One line that cannot be used."""

    line_number: int
    byte_offset: int
    byte_length: int
    reason: str
    detail: str
    skeleton: str | None = None

    def row(self) -> dict[str, object]:
        """Return the columns of ops.quarantine that the line itself tells."""
        return {
            "line_number": self.line_number,
            "record_number": 1,
            "byte_offset": self.byte_offset,
            "byte_length": self.byte_length,
            "reason": self.reason,
            "detail": self.detail,
            "skeleton": self.skeleton,
        }


class _DoubleKeyError(ValueError):
    pass


def broken_line(text: bytes | None, *, number: int, offset: int, length: int) -> Refused | None:
    """Return why a line is no JSON object, or None when it is one."""

    def refused(reason: str, detail: str, skeleton: str | None = None) -> Refused:
        return Refused(number, offset, length, reason, detail, skeleton)

    if text is None:
        return refused("line_too_long", f"{length} bytes")
    try:
        line = text.decode("utf-8")
    except UnicodeDecodeError as error:
        return refused("wrong_encoding", f"byte {error.start} of the line is not UTF-8")
    if _depth(line) > _DEEPEST:
        return refused("nested_too_deep", f"more than {_DEEPEST} levels")
    try:
        value = json.loads(line, object_pairs_hook=_unique)
    except _DoubleKeyError:
        return refused("duplicate_key", "a key is written twice in one object")
    except json.JSONDecodeError as error:
        return refused("invalid_json", f"character {error.pos + 1}: {error.msg}")
    if not isinstance(value, dict):
        return refused("not_an_object", f"the line holds a {type(value).__name__}")
    if "NaN" in line or "Infinity" in line:
        # Python reads them, JSON does not know them, and DuckDB refuses the file over them.
        try:
            json.loads(line, parse_constant=_no_constant)
        except ValueError:
            return refused("invalid_json", "NaN or Infinity is no JSON number", skeleton_of(value))
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DoubleKeyError
    return found


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _depth(line: str) -> int:
    deepest = depth = 0
    for character in line:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def skeleton_of(value: Any, depth: int = _DEPTH) -> str:
    """Return keys and types of a record as JSON; values never appear."""
    return json.dumps(_shape(value, depth))


def _shape(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        if depth == 0:
            return "object"
        return {str(key)[:60]: _shape(item, depth - 1) for key, item in list(value.items())[:_KEYS]}
    if isinstance(value, list):
        return [_shape(value[0], depth - 1)] if value and depth else []
    return {str: "text", bool: "boolean", int: "integer", float: "number"}.get(type(value), "null")
