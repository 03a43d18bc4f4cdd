"""The routing policy that a person writes, checked and as rows. Not how attempts are judged."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field

from models.documents import Document, Instant, Strict, read_documents
from models.routing.quality import Score, Scored, scores
from models.schemas import table
from models.yaml_values import Location

DEFAULT_CLAUSE = "default"
"""Clause of attempts that no policy names: the same model family, at any provider."""
EVERY_ROUTE = "*"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(gt=0, le=1)]


class Limits(Strict):
    """When the check `routing_mistakes` warns and fails, by route and day."""

    warn_above_usd: Usd | None = None
    fail_above_usd: Usd | None = None
    fail_above_ratio: Annotated[float, Field(ge=0, le=1)] | None = None


class Rights(Strict):
    """What may be used; absent = any."""

    models: Names | None = None
    providers: Names | None = None
    regions: Names | None = None
    chips: Names | None = None


class TaskClass(Rights):
    """What one class of work may use; what is absent is taken from its route."""

    quality_floor: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    latency_target_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    cache_affinity: bool | None = None
    materiality_usd: Usd | None = None
    check: Limits | None = None


class Route(TaskClass):
    """What a route may use, by class of work where stated."""

    task_classes: dict[str, TaskClass] = Field(default={})


class Tenant(Rights):
    """What a tenant may use, on any route; `routes` lists those that it may call at all."""

    routes: Names | None = None


class TaskRule(Strict):
    """A guess of the class of attempts whose log names none, by their sizes and use of tools."""

    task_class: Annotated[str, Field(min_length=1)]
    input_tokens_at_most: Annotated[int, Field(ge=0)] | None = None
    output_tokens_at_most: Annotated[int, Field(ge=0)] | None = None
    uses_tools: bool | None = None
    confidence: Ratio


class Policy(Strict):
    """One document: its clauses hold from `valid_from`, until those of the next."""

    version: Literal[1]
    valid_from: Instant = EPOCH
    known_from: Instant | None = None
    materiality_usd: Usd | None = None
    check: Limits | None = None
    guess_task_class: tuple[TaskRule, ...] = ()
    tenants: dict[str, Tenant] = Field(default={})
    routes: dict[str, Route] = Field(default={})
    quality: dict[str, Scored] = Field(default={})


@dataclass(frozen=True)
class RoutingPolicy:
    """A policy file with its quality scores.

    Attributes:
        clauses: ref.routing_policy, most general first.
        task_rules: guesses of the class of work, in order, by the instant from which they hold.
        quality: scores of model families or models.
    """

    clauses: pl.DataFrame
    task_rules: Mapping[datetime, tuple[TaskRule, ...]]
    quality: Mapping[str, Score]


def read_policy(
    text: str,
    *,
    path: str,
    quality_text: str = "",
    quality_path: str = "",
    as_known_at: datetime | None = None,
) -> RoutingPolicy:
    """Return a policy file's clauses, rules and scores.

    A task class inherits what it does not state from its route. A document ends the one before it; of two with
    one `valid_from` the later known counts. The clause `default` (any provider, the same model family) is always
    there, for routes and times that no other clause covers; empty text is only that.

    Args:
        text: YAML of the policy file; empty when the project has none.
        path: the file, for messages.
        quality_text: YAML of a file of quality scores; the policy's own scores win over it.
        quality_path: that file, for messages.
        as_known_at: documents learned later do not count; None counts all.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    read = [(document, document.parse(Policy)) for document in read_documents(text, path=path)]
    for (_, before), (document, after) in pairwise(read):
        if (after.valid_from, _known_from(after)) <= (before.valid_from, _known_from(before)):
            raise document.error(
                ("valid_from",),
                "documents are not in order; put the newest last, with a later `valid_from` (or, for a correction, "
                "a later `known_from`)",
            )
    known = [item for item in read if as_known_at is None or _known_from(item[1]) <= as_known_at]
    in_force = {policy.valid_from: (document, policy) for document, policy in known}
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    rows: list[dict[str, Any]] = [
        {"policy_version": version, "clause": DEFAULT_CLAUSE, "valid_from": EPOCH, "known_from": EPOCH}
    ]
    starts = sorted(in_force)
    for position, start in enumerate(starts):
        following = starts[position + 1] if position + 1 < len(starts) else None
        document, policy = in_force[start]
        common = {
            "policy_version": version,
            "valid_from": start,
            "valid_to": following,
            "known_from": _known_from(policy),
        }
        rows += [common | row for row in _rows(document, policy)]
    # A document that holds from the beginning states the default itself.
    rows = [row for row in rows[:1] if not any(_is_default(other) for other in rows[1:])] + rows[1:]
    found = dict(scores(quality_text, path=quality_path))
    for start in starts:
        found |= {name: scored.as_score() for name, scored in in_force[start][1].quality.items()}
    rules = {start: in_force[start][1].guess_task_class for start in starts}
    return RoutingPolicy(table("ref.routing_policy").frame(rows), rules, found)


def load_policy(text: str, *, path: str) -> pl.DataFrame:
    """Return ref.routing_policy: the clauses of every document.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    return read_policy(text, path=path).clauses


def _is_default(row: Mapping[str, Any]) -> bool:
    return (row["clause"], row["valid_from"], row["known_from"]) == (DEFAULT_CLAUSE, EPOCH, EPOCH)


def _known_from(policy: Policy) -> datetime:
    return policy.known_from or policy.valid_from


def _rows(document: Document, policy: Policy) -> list[dict[str, Any]]:
    general = _flat(Route(materiality_usd=policy.materiality_usd, check=policy.check))
    rows: list[dict[str, Any]] = []

    def add(where: Location, stated: Mapping[str, Any], **names: str | None) -> None:
        clause = {"clause": ".".join(where), "policy_line": document.line(where)}
        rows.append({**stated, **names, **clause})

    if policy.materiality_usd is not None or policy.check is not None:
        add((DEFAULT_CLAUSE,), general)
    for name, route in policy.routes.items():
        shared = general | _flat(route)
        names = {"route": None if name == EVERY_ROUTE else name}
        add(("routes", name), shared, **names)
        for task_class, stated in route.task_classes.items():
            where = ("routes", name, "task_classes", task_class)
            add(where, shared | _flat(stated), **names, task_class=task_class)
    for name, tenant in policy.tenants.items():
        add(("tenants", name), _flat(tenant), tenant=name)
    return rows


def _flat(stated: Rights) -> dict[str, Any]:
    """Return the stated columns of a clause."""
    found = stated.model_dump(exclude_none=True, exclude={"task_classes", "check"})
    limits = getattr(stated, "check", None)
    if limits is not None:
        found |= limits.model_dump(exclude_none=True)
    if "cache_affinity" in found:
        found["has_cache_affinity"] = found.pop("cache_affinity")
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
