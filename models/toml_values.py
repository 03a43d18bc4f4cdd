"""TOML with the line of every key, which Python's reader does not tell."""

import re
import tomllib
from typing import Any

from models.errors import ConfigurationError
from models.yaml_values import LARGEST, Location

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_SEEN = 500
"""Characters of a line in which its key is looked for."""
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def toml_values(text: str, *, path: str) -> tuple[dict[str, Any], dict[Location, int]]:
    """Return the tables of a file and the 1-based line of every path of keys that stands on a line of its own.

    Raises:
        ConfigurationError: broken syntax, nested beyond reason or too large, with file and line.
    """
    if len(text) > LARGEST:
        raise ConfigurationError(
            f"{path}: the file is too large; at most {LARGEST / 1e6:.0f} million characters are read"
        )
    try:
        return tomllib.loads(text), _lines(text)
    except RecursionError:
        raise ConfigurationError(f"{path}: values are nested too deeply; flatten them") from None
    except ValueError as error:  # TOMLDecodeError, and numbers of thousands of digits
        found = re.fullmatch(r"(.*) \(at line (\d+), column \d+\)", str(error), re.DOTALL)
        where, problem = (f", line {found[2]}", found[1]) if found else ("", str(error).splitlines()[0])
        raise ConfigurationError(
            f"{path}{where}: it is not valid TOML ({problem}); mend the syntax"
        ) from error


def _lines(text: str) -> dict[Location, int]:
    lines: dict[Location, int] = {}
    counts: dict[Location, int] = {}
    table: Location = ()
    for number, whole in enumerate(text.split("\n"), 1):
        line = whole[:_SEEN]
        if (header := _HEADER.match(line)) is not None:
            table = ()
            parts = [part.strip("\"'") for part in _PART.findall(header[2])]
            for depth, part in enumerate(parts):
                table = (*table, part)
                if depth == len(parts) - 1 and header[1] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                if table in counts:
                    lines.setdefault(table, number)
                    table = (*table, counts[table])
                lines.setdefault(table, number)
        elif (key := _KEY.match(line)) is not None:
            here = table
            for part in _PART.findall(key[1]):
                here = (*here, part.strip("\"'"))
                lines.setdefault(here, number)
    return lines
