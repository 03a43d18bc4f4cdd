"""SQL that reads many paths of a JSON text in one pass: the text becomes a struct, and each path a field of it."""

import json
import re
from collections.abc import Iterable
from typing import Any

_TOKEN = re.compile(r'"([^"]+)"|\[(\d+)\]|([^.\[\]"$]+)')


def json_struct(text: str, paths: Iterable[str]) -> str:
    """Return the SQL of a struct of the paths' values, as texts; NULL where the text is no JSON.

    A value of another type than the path needs is NULL; an object or a list at a path's end is its JSON text.

    Args:
        text: SQL of the JSON text.
        paths: JSON paths such as `$.usage."a-b".items[0].count`; none leads through the end of another.
    """
    return f"TRY(from_json({text}, '{json_shape(paths)}'))"


def json_shape(paths: Iterable[str]) -> str:
    """Return the shape of that struct as `from_json` takes it, such as `{"usage": {"count": "VARCHAR"}}`."""
    return json.dumps(_shape(paths))


def json_type(paths: Iterable[str]) -> str:
    """Return the DuckDB type of the same struct, under which `read_json` reads an object of that shape."""
    return _type(_shape(paths))


def json_field(struct: str, path: str) -> str:
    """Return the SQL of a path's text in a struct of `json_struct`."""
    return struct + "".join(
        f"[{token + 1}]" if isinstance(token, int) else f'."{token}"' for token in _tokens(path)
    )


def _shape(paths: Iterable[str]) -> dict[str, Any]:
    held: dict[str, Any] = {}
    for path in paths:
        _place(held, _tokens(path))
    return held


def _type(node: Any) -> str:
    if isinstance(node, dict):
        return "STRUCT(" + ", ".join(f'"{name}" {_type(value)}' for name, value in node.items()) + ")"
    return f"{_type(node[0])}[]" if isinstance(node, list) else str(node)


def _tokens(path: str) -> list[str | int]:
    return [int(index) if index else quoted or plain for quoted, index, plain in _TOKEN.findall(path)]


def _place(node: Any, tokens: list[str | int]) -> None:
    head, *rest = tokens
    is_list = bool(rest) and isinstance(rest[0], int)
    if isinstance(head, int):
        # One entry stands for all of a list.
        head = 0
    leaf: Any = [] if is_list else {} if rest else "VARCHAR"
    if isinstance(node, list):
        if not node:
            node.append(leaf)
    elif head not in node:
        node[head] = leaf
    if rest:
        _place(node[head], rest)
