"""What every file of prices shares: all its errors at once, each naming file, line, key and remedy."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from models.documents import Document, nearest
from models.errors import ConfigurationError
from models.yaml_values import Location

Sheet = TypeVar("Sheet")
Examined = tuple[Sheet | None, tuple[ConfigurationError, ...]]
"""A sheet, if its shape allows, with everything that is wrong with it."""


def load_sheets(examine: Callable[[str, str], Examined[Sheet]], texts: Mapping[str, str]) -> list[Sheet]:
    """Parse and check sheets, in the order given.

    Args:
        examine: parses and checks a sheet, given its path and its text.
        texts: path (for messages and `sheet_path`) to YAML text.

    Raises:
        ConfigurationError: the first thing wrong, with file, line, key and remedy.
    """
    sheets = []
    for path, text in texts.items():
        sheet, problems = examine(path, text)
        if sheet is None or problems:
            raise problems[0]
        sheets.append(sheet)
    return sheets


def readable(
    error: ValidationError,
    document: Document,
    *,
    top: type[BaseModel],
    sections: Mapping[str, type[BaseModel]],
) -> list[ConfigurationError]:
    """Turn pydantic's findings into sentences with file, line, key and remedy, in the order of the file.

    Args:
        error: what pydantic found.
        document: the file as parsed.
        top: model of the whole file.
        sections: model of what stands below a key, for the valid names of an unknown one.
    """
    items = error.errors()
    # A list whose items are all wrong is reported as too short as well: that says nothing more.
    places = [item["loc"] for item in items]
    items = [
        item
        for item in items
        if item["type"] != "too_short"
        or not any(place[: len(item["loc"])] == item["loc"] != place for place in places)
    ]
    # A key that is written wrong says more than the one that it leaves missing.
    unknown = [item["loc"] for item in items if item["type"] == "extra_forbidden"]
    items = [
        item
        for item in items
        if item["type"] != "missing"
        or not any(
            place[:-1] == item["loc"][:-1]
            and get_close_matches(str(place[-1]), [str(item["loc"][-1])], 1, 0.5)
            for place in unknown
        )
    ]
    found = [_sentence(item, document, top, sections) for item in items]
    return [ConfigurationError(text) for _, text in sorted(found, key=lambda pair: pair[0])]


def _sentence(
    item: Any, document: Document, top: type[BaseModel], sections: Mapping[str, type[BaseModel]]
) -> tuple[int, str]:
    location: Location = item["loc"]
    key = location[-1] if location else ""
    if item["type"] == "extra_forbidden":
        above = (str(part) for part in reversed(location[:-1]))
        owner = next((sections[part] for part in above if part in sections), top)
        names = [field.alias or name for name, field in owner.model_fields.items()]
        message = f"unknown key {key!r}; {nearest(key, names)}"
    elif item["type"] == "missing":
        message = f"{key!r} is missing; add it"
    else:
        dotted = ".".join(str(part) for part in location)
        text = item["msg"].removeprefix("Value error, ")
        message = f"{dotted}: {text}" if dotted else text
    return document.line(location), str(document.error(location, message))
