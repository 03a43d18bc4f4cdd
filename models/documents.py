"""Files that people write: the one reader of them all, with the line of every key and errors in one sentence."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from models.errors import ConfigurationError
from models.toml_values import toml_values
from models.yaml_values import Location, yaml_values

Model = TypeVar("Model", bound=BaseModel)


def _instant(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    if isinstance(value, str):  # quoted
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    raise ValueError("write a date such as 2026-01-01 or an instant such as 2026-01-01T16:30:00Z")


Instant = Annotated[datetime, BeforeValidator(_instant)]
"""A date (its first instant in UTC) or an instant, quoted or not."""


def in_order(valid_from: datetime | None, valid_to: datetime | None) -> None:
    """Hold that a time of validity does not end before it begins.

    Raises:
        ValueError: it does.
    """
    if valid_from is not None and valid_to is not None and valid_to <= valid_from:
        raise ValueError("valid_to lies before valid_from")


class Strict(BaseModel):
    """A mapping whose unknown keys are errors; fields may be written by their alias."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


@dataclass(frozen=True)
class Document:
    """One document of a file: its value and the 1-based line of every path of keys."""

    path: str
    value: Any
    lines: Mapping[Location, int]

    def line(self, location: Location) -> int:
        """Return the line of the nearest enclosing key that the document has."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def place(self, location: Location) -> dict[str, Any]:
        """Return where an entry stands, as tables of what people write have it: `sheet_path`, `sheet_line`."""
        return {"sheet_path": self.path, "sheet_line": self.line(location)}

    def error(self, location: Location, message: str) -> ConfigurationError:
        """Build an error that names file and line."""
        return ConfigurationError(f"{self.path}, line {self.line(location)}: {message}")

    def parse(self, model: type[Model]) -> Model:
        """Check the value against a model.

        Raises:
            ConfigurationError: the first thing that is wrong, with file, line, key and remedy.
        """
        if not isinstance(self.value, dict):
            raise self.error((), f"the file is a mapping; write {', '.join(list(model.model_fields)[:4])}")
        try:
            return model.model_validate(self.value)
        except ValidationError as error:
            raise self._readable(error, model) from error

    def _readable(self, error: ValidationError, model: type[BaseModel]) -> ConfigurationError:
        found: list[Any] = list(error.errors())
        # A key that is written wrong says more than the one that it leaves missing.
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
        location = self._written(first["loc"])
        key = location[-1] if location else ""
        if first["type"] == "extra_forbidden":
            fields = _owner(model, first["loc"][:-1]).model_fields
            valid = [field.alias or name for name, field in fields.items()]
            return self.error(location, f"unknown key {key!r}; {nearest(key, valid)}")
        if first["type"] == "missing":
            return self.error(location, f"{key!r} is missing; add it")
        dotted = ".".join(str(part) for part in location)
        message = _OF_PYDANTIC.sub("a mapping of keys", first["msg"].removeprefix("Value error, "))
        return self.error(location, f"{dotted}: {message}; mend it" if dotted else f"{message}; mend it")

    def _written(self, location: Location) -> Location:
        """Return the keys of a place without the names that pydantic gives to the choices of a type."""
        found: list[Any] = []
        value = self.value
        for number, part in enumerate(location):
            is_there = (isinstance(value, dict) and part in value) or (
                isinstance(value, (list, tuple)) and isinstance(part, int) and part < len(value)
            )
            if is_there:
                value = value[part]
                found.append(part)
            elif number == len(location) - 1 and isinstance(value, dict) and part != "[key]":
                found.append(part)
        return tuple(found)


_OF_PYDANTIC = re.compile(r"a valid dictionary or instance of \w+|an instance of \w+")


def _owner(model: type[BaseModel], location: Location) -> type[BaseModel]:
    """Return the model that owns the keys at a location."""
    owner = model
    is_member = False
    for part in location:
        if is_member:  # an index of a list, or a name that a person gave
            is_member = False
            continue
        field = owner.model_fields.get(str(part))
        is_member = field is not None and _holds_members(field.annotation)
        found = None if field is None else _model_in(field.annotation)
        owner = found or owner
    return owner


def _holds_members(annotation: Any) -> bool:
    return get_origin(annotation) in {list, dict, tuple} or any(map(_holds_members, get_args(annotation)))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)


def read_documents(text: str, *, path: str) -> list[Document]:
    """Parse the documents of a file, which `---` parts; empty ones are left out.

    Raises:
        ConfigurationError: broken syntax, a key written twice, or more than the bounds of `models/yaml_values.py`,
            with file and line.
    """
    found = [Document(path, value, lines) for value, lines in yaml_values(text, path=path)]
    return [document for document in found if document.value is not None]


def read_yaml(text: str, *, path: str) -> Document:
    """Parse a file of one document; an empty file has the value None.

    Raises:
        ConfigurationError: as `read_documents`, or there is a second document.
    """
    found = read_documents(text, path=path)
    if len(found) > 1:
        raise found[1].error((), "a second document begins; the file has one, without `---`")
    return found[0] if found else Document(path, None, {})


def read_toml(text: str, *, path: str) -> Document:
    """Parse a TOML file.

    Raises:
        ConfigurationError: broken syntax, nested beyond reason or too large, with file and line.
    """
    value, lines = toml_values(text, path=path)
    return Document(path, value, lines)


def nearest(word: object, valid: Sequence[str]) -> str:
    """Return the tail of an 'unknown name' message: the nearest valid name, or all of them."""
    close = get_close_matches(str(word), valid, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"valid names: {', '.join(valid)}"
