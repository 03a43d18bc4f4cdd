"""What a policy allows: the clause of a cell, the rules that it breaks, and which offers are eligible instead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from models.routing.offers import Market, Mask, Offer, Place
from models.routing.policy import DEFAULT_CLAUSE, RoutingPolicy
from models.routing.quality import Score, score_of

Cell = Mapping[str, Any]
Clause = Mapping[str, Any]
RULE_KINDS = ("policy_violation", "wrong_region", "underpowered")
"""Kinds that break a rule of the policy: flagged whatever the regret."""


@dataclass(frozen=True)
class Breach:
    """A broken rule: the clause that states it, and the fact in words."""

    clause: Clause
    evidence: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Ruling:
    """What the policy says of a cell.

    Attributes:
        clause: the most specific clause of route and class of work.
        rights: the clause of its tenant; None where the policy names none.
        breaches: by kind.
        is_region_unknown: whether a rule on regions could not be judged, as the log names none.
        is_score_unknown: whether a floor could not be judged, as the model taken has no score.
    """

    clause: Clause
    rights: Clause | None
    breaches: Mapping[str, Breach]
    is_region_unknown: bool
    is_score_unknown: bool


class Rules:
    """A policy laid over a market."""

    def __init__(self, policy: RoutingPolicy, market: Market) -> None:
        self.quality = policy.quality
        self.market = market
        clauses = policy.clauses.to_dicts()
        self.instants = sorted(
            {row[name] for row in clauses for name in ("valid_from", "valid_to") if row[name]}
        )
        self._clauses = [row for row in clauses if row["tenant"] is None]
        self._rights = [row for row in clauses if row["tenant"] is not None]
        self._eligible: dict[tuple[Any, ...], Mask] = {}

    def ruling(self, cell: Cell) -> Ruling:
        """Judge a cell: `route, task_class, tenant, provider, region, model, model_family, chip, epoch_at`."""
        at: datetime = cell["epoch_at"]
        clause = self._clause(cell, at)
        held = (row for row in self._rights if row["tenant"] == cell["tenant"] and _holds(row, at))
        rights = next(held, None)
        breaches = {}
        for kind, judge in (("policy_violation", self._violation), ("wrong_region", _wrong_region)):
            found = (judge(cell, each) for each in (rights, clause) if each is not None)
            breach = next((each for each in found if each is not None), None)
            if breach is not None:
                breaches[kind] = breach
        score = score_of(self.quality, cell["model_family"], cell["model"])
        floor = clause["quality_floor"]
        if floor is not None and score is not None and score.score < floor:
            breaches["underpowered"] = _underpowered(cell, clause, score)
        has_regions = any(each is not None and each["regions"] is not None for each in (rights, clause))
        return Ruling(
            clause,
            rights,
            breaches,
            is_region_unknown=has_regions and cell["region"] is None,
            is_score_unknown=floor is not None and score is None,
        )

    def eligible(self, cell: Cell, ruling: Ruling) -> Mask:
        """Return which offers the cell could have used, its own place included.

        The same family always is one, if listed. Other families are only where the clause has a floor that they
        reach (it declares what is good enough), or where the family taken is itself not listed.
        """
        clause, rights = ruling.clause, ruling.rights
        key = (
            clause["clause"], None if rights is None else rights["clause"], cell["model_family"], cell["model"],
            cell["tier"], cell["epoch_at"], cell["down"],
        )  # fmt: skip
        if key not in self._eligible:
            found = self._work(cell, clause) & self.market.where("tier", cell["tier"])
            found &= self.market.live(cell["epoch_at"])
            for each in (clause, rights):
                if each is not None:
                    found = found & self._allowed(each)
            for provider, model in down_places(cell["down"]):
                found = found & ~(self.market.where("provider", provider) & self.market.where("model", model))
            self._eligible[key] = found
        return self._eligible[key]

    def own_place(self, cell: Cell) -> Mask:
        """Return which offers are the place that was taken: its family at its provider and region."""
        market = self.market
        place = (cell["provider"], cell["model"], cell["region"])
        is_there = market.where("region", cell["region"])
        if place not in market.regional:
            is_there = is_there | market.where("region", None)
        return (
            market.where("provider", cell["provider"])
            & market.where("family", cell["model_family"])
            & is_there
        )

    def region_of(self, offer: Offer, ruling: Ruling) -> str | None:
        """Return where an offer would be bought; None = any region without a price of its own."""
        allowed = self._regions(ruling)
        if offer.region is not None or allowed is None:
            return offer.region
        return next(iter(self._regions_left(offer, allowed)), None)

    def _clause(self, cell: Cell, at: datetime) -> Clause:
        """Return the most specific clause that holds: route and class, route, every route, default."""
        best, best_rank = self._clauses[0], (-1, -1, -1, -1)
        for clause in self._clauses:
            if not _holds(clause, at):
                continue
            if any(
                clause[name] is not None and clause[name] != cell[name] for name in ("route", "task_class")
            ):
                continue
            rank = (
                int(clause["route"] is not None),
                int(clause["task_class"] is not None),
                int(clause["clause"] != DEFAULT_CLAUSE),
                int(clause["policy_line"] is not None),
            )
            if rank > best_rank:
                best, best_rank = clause, rank
        return best

    def _violation(self, cell: Cell, clause: Clause) -> Breach | None:
        name = clause["clause"]
        if clause["routes"] is not None and cell["route"] not in clause["routes"]:
            return Breach(clause, f"{cell['route']} is not a route of {name} ({', '.join(clause['routes'])})")
        for column, plural in (("provider", "providers"), ("chip", "chips")):
            allowed = clause[plural]
            if allowed is not None and cell[column] is not None and cell[column] not in allowed:
                return Breach(clause, f"{cell[column]} is not a {column} of {name} ({', '.join(allowed)})")
        if not is_listed(clause, cell["model_family"], cell["model"]):
            return Breach(clause, f"{cell['model']} is not a model of {name} ({', '.join(clause['models'])})")
        return None

    def _work(self, cell: Cell, clause: Clause) -> Mask:
        """Return which offers could do the work well enough."""
        family, model, floor = cell["model_family"], cell["model"], clause["quality_floor"]
        if floor is None and is_listed(clause, family, model):
            return self.market.where("family", family)
        if clause["models"] is not None:
            found = self.market.among("family", clause["models"]) | self.market.among(
                "model", clause["models"]
            )
        else:
            found = self.market.among("family", self.quality) | self.market.among("model", self.quality)
        if floor is None:
            return found
        scores = [score_of(self.quality, offer.family, offer.model) for offer in self.market.offers]
        return found & np.array(
            [score is not None and score.score >= floor for score in scores], dtype=np.bool_
        )

    def _allowed(self, clause: Clause) -> Mask:
        """Return which offers a clause's providers, models, regions and chips leave."""
        key = ("allowed", clause["clause"], clause["valid_from"], clause["known_from"])
        if key not in self._eligible:
            market = self.market
            found = np.ones(len(market.offers), dtype=np.bool_)
            for column, plural in (("provider", "providers"), ("chip", "chips")):
                if clause[plural] is not None:
                    found &= market.among(column, clause[plural])
            if clause["models"] is not None:
                found &= market.among("family", clause["models"]) | market.among("model", clause["models"])
            allowed = clause["regions"]
            if allowed is not None:
                found &= np.array(
                    [
                        bool(self._regions_left(offer, allowed))
                        if offer.region is None
                        else region_is_in(offer.region, allowed)
                        for offer in market.offers
                    ],
                    dtype=np.bool_,
                )
            self._eligible[key] = found
        return self._eligible[key]

    def _regions(self, ruling: Ruling) -> list[str] | None:
        """Return the regions that both clause and tenant allow."""
        stated = [each["regions"] for each in (ruling.clause, ruling.rights) if each is not None]
        lists = [regions for regions in stated if regions is not None]
        if not lists:
            return None
        return [region for region in lists[0] if all(region_is_in(region, other) for other in lists[1:])]

    def _regions_left(self, offer: Offer, allowed: Sequence[str]) -> list[str]:
        regional = self.market.regional
        return [region for region in allowed if (offer.provider, offer.model, region) not in regional]


def is_listed(clause: Clause, family: str | None, model: str | None) -> bool:
    """Return whether a clause allows a model, by its name or its family."""
    listed = clause["models"]
    return listed is None or family in listed or model in listed


def region_is_in(region: str, allowed: Sequence[str]) -> bool:
    """Return whether a region is one of those allowed; `eu-*` allows all that begin so."""
    return any(fnmatchcase(region, pattern) for pattern in allowed)


def down_places(down: str | None) -> list[Place]:
    """Read the places that were down from their key in a cell."""
    if not down:
        return []
    return [(provider, model) for provider, _, model in (one.partition("\t") for one in down.split("\n"))]


def _holds(clause: Clause, at: datetime) -> bool:
    return bool(clause["valid_from"] <= at and (clause["valid_to"] is None or at < clause["valid_to"]))


def _wrong_region(cell: Cell, clause: Clause) -> Breach | None:
    allowed, region = clause["regions"], cell["region"]
    if allowed is None or region is None or region_is_in(region, allowed):
        return None
    return Breach(clause, f"{region} is not a region of {clause['clause']} ({', '.join(allowed)})")


def _underpowered(cell: Cell, clause: Clause, score: Score) -> Breach:
    floor = clause["quality_floor"]
    evidence = f"{cell['model']} scores {score.score:g}, below the floor of {floor:g} of {clause['clause']}"
    return Breach(clause, evidence, 0.9 if score.score + score.error < floor else 0.6)
