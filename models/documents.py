"""YAML files that people write: several documents, the line of every key, errors in one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from models.errors import ConfigurationError

Location = tuple[Any, ...]
Model = TypeVar("Model", bound=BaseModel)


def _instant(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError("write a date such as 2026-01-01 or an instant such as 2026-01-01T16:30:00Z")


Instant = Annotated[datetime, BeforeValidator(_instant)]


class Strict(BaseModel):
    """A mapping without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
        location = tuple(part for part in first["loc"] if part != "[key]")
        key = location[-1] if location else ""
        if first["type"] == "extra_forbidden":
            valid = list(_owner(model, location[:-1]).model_fields)
            close = get_close_matches(str(key), valid, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"valid keys: {', '.join(valid)}"
            return self.error(location, f"unknown key {key!r}; {hint}")
        if first["type"] == "missing":
            return self.error(location, f"{key!r} is missing; add it")
        dotted = ".".join(str(part) for part in location)
        return self.error(location, f"{dotted}: {first['msg'].removeprefix('Value error, ')}; mend it")


def _owner(model: type[BaseModel], location: Location) -> type[BaseModel]:
    """Return the model that owns the keys at a location."""
    owner = model
    for part in location:
        field = owner.model_fields.get(str(part))
        found = None if field is None else _model_in(field.annotation)
        owner = found or owner
    return owner


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)


def read_documents(text: str, *, path: str) -> list[Document]:
    """Parse the documents of a file, which `---` parts; empty ones are left out.

    Raises:
        ConfigurationError: broken syntax or a key written twice, with file and line.
    """
    documents: list[Document] = []
    try:
        for root in yaml.compose_all(text, Loader=yaml.SafeLoader):
            lines: dict[Location, int] = {(): root.start_mark.line + 1}
            _index(root, (), lines, path)
            documents.append(Document(path, yaml.SafeLoader("").construct_document(root), lines))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise ConfigurationError(f"{path}{where}: not valid YAML ({problem}); mend the syntax") from error
    return [document for document in documents if document.value is not None]


def _index(node: yaml.Node, location: Location, lines: dict[Location, int], path: str) -> None:
    """Note the 1-based line of every key; a key written twice is an error."""
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            here = (*location, key.value)
            line = key.start_mark.line + 1
            if here in lines:
                raise ConfigurationError(
                    f"{path}, line {line}: key {key.value!r} is written twice; keep one of them"
                )
            lines[here] = line
            _index(child, here, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for position, child in enumerate(node.value):
            lines[*location, position] = child.start_mark.line + 1
            _index(child, (*location, position), lines, path)
