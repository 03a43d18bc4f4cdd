"""YAML as written: decimals from their text, the line of every key, duplicate keys refused."""

from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import yaml

from models.errors import ConfigurationError

Location = tuple[str | int, ...]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """A parsed file: its value and the 1-based line on which each path of keys stands."""

    path: str
    value: Any
    lines: dict[Location, int]

    def line(self, location: Location) -> int:
        """Return the line of the nearest enclosing key that the file has."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def error(self, location: Location, message: str) -> ConfigurationError:
        """Build an error that names file and line."""
        return ConfigurationError(f"{self.path}, line {self.line(location)}: {message}")


def read_yaml(text: str, *, path: str) -> Document:
    """Parse one YAML document.

    Raises:
        ConfigurationError: broken syntax, or a key written twice, with file and line.
    """
    loader = _Loader(text)
    lines: dict[Location, int] = {}

    def build(node: yaml.Node, location: Location) -> Any:
        line = node.start_mark.line + 1
        lines.setdefault(location, line)
        if isinstance(node, yaml.MappingNode):
            mapping: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                key = loader.construct_object(key_node, deep=True)
                here = (*location, key)
                lines[here] = key_node.start_mark.line + 1
                if key in mapping:
                    raise ConfigurationError(
                        f"{path}, line {lines[here]}: key {key!r} is written twice; keep one"
                    )
                mapping[key] = build(value_node, here)
            return mapping
        if isinstance(node, yaml.SequenceNode):
            return [build(child, (*location, index)) for index, child in enumerate(node.value)]
        if node.tag == "tag:yaml.org,2002:float":
            return Decimal(node.value.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
        return loader.construct_object(node, deep=True)

    try:
        root = loader.get_single_node()
        value = None if root is None else build(root, ())
    except (yaml.YAMLError, ArithmeticError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise ConfigurationError(f"{path}{where}: not valid YAML ({problem}); mend the syntax") from error
    finally:
        loader.dispose()
    return Document(path, value, lines)


def nearest(word: object, valid: list[str]) -> str:
    """Return the tail of an 'unknown name' message: the nearest valid name, or all of them."""
    close = get_close_matches(str(word), valid, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"valid names: {', '.join(valid)}"
