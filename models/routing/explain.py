"""Why a route was right or wrong: one attempt's clause and what every other place would have cost it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.routing.cheapest import NONE, cheapest
from models.routing.judged import JudgedAttempts
from models.routing.menus import Menus
from models.routing.offers import Market, Mask, Offer
from models.routing.policy import RoutingPolicy
from models.routing.quality import Score, score_of
from models.routing.rules import Rules, Ruling, down_places, is_listed, region_is_in


@dataclass(frozen=True)
class Choice:
    """A place that could have served the attempt.

    Attributes:
        picodollars: what the same token work would have cost there; None where it lacks a price for some of it.
        reason: why it is not eligible; None where it is.
    """

    offer: Offer
    region: str | None
    picodollars: int | None
    reason: str | None


def ruling_of(judged: JudgedAttempts, row: int) -> tuple[dict[str, Any], Ruling]:
    """Return the cell of an attempt, and what the policy says of it."""
    cell = int(judged.cells[row])
    return judged.cell_rows[cell], judged.rulings[cell]


def choices(judged: JudgedAttempts, row: int) -> list[Choice]:
    """Return every place that offers the attempt's family, or another that its clause names: eligible ones first.

    Args:
        judged: attempts, the one to be explained among them.
        row: which it is.
    """
    cell, ruling = ruling_of(judged, row)
    market, menus = judged.market, judged.menus
    in_question = market.where("family", cell["model_family"]) | _named(menus.rules, ruling)
    in_question = in_question & market.live(cell["epoch_at"]) & market.where("tier", cell["tier"])
    open_to, own = menus.open_to(cell, ruling), menus.rules.own_place(cell)
    eligible = menus.rules.eligible(cell, ruling)
    work = judged.work.of(np.array([row]))
    found: list[Choice] = []
    for at in np.flatnonzero(in_question):
        offer = market.offers[at]
        card = menus.card(cell, np.array([at]))
        cost, _ = cheapest(work.tokens, work.total_input, np.zeros(1, dtype=np.int64), {0: card})
        reason = (
            None
            if open_to[at]
            else _reason(menus, cell, ruling, offer, is_own=bool(own[at]), is_eligible=bool(eligible[at]))
        )
        amount = None if cost[0] == NONE else int(cost[0])
        found.append(Choice(offer, menus.rules.region_of(offer, ruling), amount, reason))
    is_dear = 2**62
    return sorted(
        found,
        key=lambda each: (
            each.reason is not None,
            each.picodollars if each.picodollars is not None else is_dear,
        ),
    )


def _named(rules: Rules, ruling: Ruling) -> Mask:
    names = ruling.clause["models"] or ([] if ruling.clause["quality_floor"] is None else list(rules.quality))
    return rules.market.among("family", names) | rules.market.among("model", names)


def _reason(
    menus: Menus, cell: dict[str, Any], ruling: Ruling, offer: Offer, *, is_own: bool, is_eligible: bool
) -> str:
    """Return the first fact that makes an offer no alternative."""
    if is_own:
        return "the place that was taken"
    if is_eligible:
        return "slower than the place taken, or than the latency target"
    for clause in (ruling.clause, ruling.rights):
        if clause is None:
            continue
        name = clause["clause"]
        for column in ("provider", "chip"):
            allowed = clause[f"{column}s"]
            if allowed is not None and getattr(offer, column) not in allowed:
                return (
                    f"{getattr(offer, column) or f'its {column} is unknown and'} is not a {column} of {name}"
                )
        if not is_listed(clause, offer.family, offer.model):
            return f"not a model of {name}"
        if clause["regions"] is not None and (
            offer.region is None or not region_is_in(offer.region, clause["regions"])
        ):
            return f"not in a region of {name}"
    floor = ruling.clause["quality_floor"]
    score: Score | None = score_of(menus.rules.quality, offer.family, offer.model)
    if floor is not None and (score is None or score.score < floor):
        return (
            f"no score reaches the floor of {floor:g}"
            if score is None
            else f"scores {score.score:g}, below {floor:g}"
        )
    if (offer.provider, offer.model) in down_places(cell["down"]):
        return "was down"
    return "another family, and the clause has no quality floor that says it is good enough"


def unknown_names(
    policy: RoutingPolicy, market: Market, *, gpu_vendors: Collection[str], chips: Collection[str]
) -> list[str]:
    """Return what a policy names that no sheet knows, as sentences with the clause and its line.

    A model of a clause that names GPU vendors only is the company's own, whose name no sheet needs to know.

    Args:
        policy: the policy.
        market: what the token sheets offer.
        gpu_vendors: providers of the GPU sheets.
        chips: accelerators.
    """
    sellers = {offer.provider for offer in market.offers}
    models = {name for offer in market.offers for name in (offer.model, offer.family)}
    found: list[str] = []
    for clause in policy.clauses.iter_rows(named=True):
        providers, floor = clause["providers"], clause["quality_floor"]
        is_own = providers is not None and not sellers & set(providers)
        unknown = {
            "providers": set(providers or ()) - sellers - set(gpu_vendors),
            "models": set() if is_own else set(clause["models"] or ()) - models,
            "chips": set(clause["chips"] or ()) - set(chips),
        }
        where = f"line {clause['policy_line']}: {clause['clause']}"
        for plural, names in unknown.items():
            if names:
                found.append(f"{where}: no price sheet knows the {plural} {', '.join(sorted(names))}")
        models_here = clause["models"] or ()
        unscored = [
            name for name in models_here if floor is not None and score_of(policy.quality, name, name) is None
        ]
        if unscored:
            found.append(
                f"{where}: no quality score of {', '.join(unscored)}, so they never reach the floor of {floor:g}"
            )
    return found
