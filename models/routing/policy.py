"""The routing policy that a person writes, checked and as rows. Not how attempts are judged."""

import hashlib
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from typing import Annotated, Any, Literal

import polars as pl
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from models.errors import ConfigurationError
from models.schemas import table

DEFAULT_CLAUSE = "default"
"""Clause of attempts that no policy names: the same model family, at any provider."""
EVERY_ROUTE = "*"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Location = tuple[Any, ...]


def _instant(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError("write a date such as 2026-01-01 or an instant such as 2026-01-01T16:30:00Z")


Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskClass(_Strict):
    """What one class of work may use; what is absent is taken from its route."""

    models: Names | None = None
    providers: Names | None = None
    regions: Names | None = None
    chips: Names | None = None
    quality_floor: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Route(TaskClass):
    """What a route may use, by class of work where stated."""

    task_classes: dict[str, TaskClass] = {}


class Policy(_Strict):
    """A policy file: its clauses hold from `valid_from`."""

    version: Literal[1]
    valid_from: Annotated[datetime, BeforeValidator(_instant)] = _EPOCH
    routes: dict[str, Route] = {}
    quality: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}


def load_policy(text: str, *, path: str) -> pl.DataFrame:
    """Return the clauses of a policy as ref.routing_policy, most general first.

    A task class inherits what it does not state from its route. The clause `default` (any provider, the same
    model family) is always there, for routes and times that no other clause covers; empty text is only that.

    Args:
        text: YAML of the policy file; empty when the project has none.
        path: the file, for messages.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    policy, lines = _load(text, path)
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    rows: list[dict[str, Any]] = [
        {"policy_version": version, "clause": DEFAULT_CLAUSE, "valid_from": _EPOCH},
    ]
    for name, route in policy.routes.items():
        common = {
            "policy_version": version,
            "route": None if name == EVERY_ROUTE else name,
            "valid_from": policy.valid_from,
        }
        shared = route.model_dump(exclude={"task_classes"})
        where: _Location = ("routes", name)
        rows.append(common | shared | {"clause": ".".join(where), "policy_line": lines[where]})
        for task_class, stated in route.task_classes.items():
            where = ("routes", name, "task_classes", task_class)
            rows.append(
                common
                | shared
                | stated.model_dump(exclude_none=True)
                | {"clause": ".".join(where), "task_class": task_class, "policy_line": lines[where]}
            )
    for row in rows:
        row.update({key: list(value) for key, value in row.items() if isinstance(value, tuple)})
    return table("ref.routing_policy").frame(rows)


def quality_scores(text: str, *, path: str) -> dict[str, float]:
    """Return the quality score of each model family (or model) that the policy scores.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    return dict(_load(text, path)[0].quality)


def _load(text: str, path: str) -> tuple[Policy, dict[_Location, int]]:
    lines: dict[_Location, int] = {}
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return Policy(version=1), lines
        _index(root, (), lines, path)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise ConfigurationError(f"{path}{where}: not valid YAML ({problem}); mend the syntax") from error
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}, line 1: a policy is a mapping; write version, routes and quality")
    try:
        return Policy.model_validate(value), lines
    except ValidationError as error:
        raise _readable(error, lines, path) from error


def _index(node: yaml.Node, location: _Location, lines: dict[_Location, int], path: str) -> None:
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


def _readable(error: ValidationError, lines: dict[_Location, int], path: str) -> ConfigurationError:
    first: Any = error.errors()[0]
    location = tuple(part for part in first["loc"] if part != "[key]")
    known = location
    while known and known not in lines:
        known = known[:-1]
    place = f"{path}, line {lines.get(known, 1)}"
    key = location[-1] if location else ""
    if first["type"] == "extra_forbidden":
        owners: dict[int, type[BaseModel]] = {1: Policy, 3: Route}
        owner = owners.get(len(location), TaskClass)
        valid = list(owner.model_fields)
        close = get_close_matches(str(key), valid, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"valid keys: {', '.join(valid)}"
        return ConfigurationError(f"{place}: unknown key {key!r}; {hint}")
    if first["type"] == "missing":
        return ConfigurationError(f"{place}: {key!r} is missing; add it")
    dotted = ".".join(str(part) for part in location)
    return ConfigurationError(f"{place}: {dotted}: {first['msg'].removeprefix('Value error, ')}; mend it")
