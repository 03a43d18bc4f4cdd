"""Which price cards an attempt could have used instead. Small: cells and cards, never attempts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from models.periods import INSTANT
from models.routing.policy import DEFAULT_CLAUSE
from models.schemas.vocabulary import TOKEN_CLASSES

UNCACHED = {
    "cache_read": "input_uncached",
    "cache_write_5m": "input_uncached",
    "cache_write_1h": "input_uncached",
    "cache_read_audio": "audio_input",
    "cache_read_image": "image_input",
}
"""What a cache class costs where the prefix is not cached: the plain rate of its kind."""
DEFAULT_TIERS = ("default", "standard", "on_demand", "auto", "")
"""Spellings of the tier that a provider serves unless asked for another."""
CELL = ("route", "task_class", "provider", "region", "model", "model_family", "chip", "tier", "epoch")
"""Attempts that share these share clause, flags and alternatives."""
CARD_SCHEMA = pl.Schema(
    {
        "cell": pl.Int64,
        "is_same_family": pl.Boolean,
        "alternative_provider": pl.String,
        "alternative_region": pl.String,
        "alternative_model": pl.String,
        "alternative_chip": pl.String,
        "above": pl.Int64,
        "up_to": pl.Int64,
        **{f"rate_{name}": pl.Int64 for name in TOKEN_CLASSES},
    }
)
VERDICT_SCHEMA = pl.Schema(
    {
        "cell": pl.Int64,
        "clause": pl.String,
        "policy_version": pl.String,
        "policy_violation": pl.String,
        "wrong_region": pl.String,
        "underpowered": pl.String,
        "has_floor": pl.Boolean,
    }
)
_Row = Mapping[str, Any]


@dataclass(frozen=True)
class Offer:
    """The rates of one model at one provider and region on one tier, for a range of input sizes."""

    provider: str
    region: str | None
    model: str
    family: str
    chip: str | None
    tier: str
    valid_from: datetime
    valid_to: datetime | None
    above: int | None
    up_to: int | None
    rates: Mapping[str, int | None]

    def holds_at(self, instant: datetime) -> bool:
        """Whether the rates apply at an instant."""
        return self.valid_from <= instant and (self.valid_to is None or instant < self.valid_to)


def offers(book: pl.DataFrame, models: pl.DataFrame, *, as_known_at: datetime) -> list[Offer]:
    """Return what every provider offered, as known at an instant.

    Only list prices that hold at all hours count: an off-peak rate is no alternative yet. Beyond the
    threshold of a graduated long-context rule a model is no alternative either. A rate ends where the next
    one known by then begins.

    Args:
        book: ref.token_prices.
        models: ref.models.
        as_known_at: rows learned later do not count.
    """
    at = pl.lit(as_known_at, dtype=INSTANT)
    known = book.filter(
        pl.col("known_from") <= at,
        pl.col("known_to").is_null() | (pl.col("known_to") > at),
        pl.col("unit") == "token",
        pl.col("layer") == "list",
        pl.col("schedule").is_null(),
    )
    chips = {
        (provider, model): chip
        for provider, model, chip in models.select("provider", "model", "chip").unique().iter_rows()
    }
    timelines: dict[tuple[Any, ...], set[datetime]] = {}
    cards: dict[tuple[Any, ...], dict[int | None, dict[str, Any]]] = {}
    for row in known.iter_rows(named=True):
        place = (row["provider"], row["model"], row["region"])
        timelines.setdefault(place, set()).add(row["valid_from"])
        card = cards.setdefault((*place, row["service_tier"], row["valid_from"]), {}).setdefault(
            row["above_input_tokens"],
            {"family": row["model_family"], "mode": row["long_context_mode"], "rates": {}},
        )
        card["rates"][row["meter"]] = row["picodollars_per_unit"]
    found: list[Offer] = []
    for (provider, model, region, tier, valid_from), by_threshold in cards.items():
        later = [start for start in timelines[provider, model, region] if start > valid_from]
        thresholds = sorted(by_threshold, key=lambda above: -1 if above is None else above)
        for above, up_to in zip(thresholds, [*thresholds[1:], None], strict=True):
            card = by_threshold[above]
            if card["mode"] == "graduated":
                continue
            found.append(
                Offer(
                    provider=provider,
                    region=region,
                    model=model,
                    family=card["family"] or model,
                    chip=chips.get((provider, model)),
                    tier="default" if tier in DEFAULT_TIERS else tier,
                    valid_from=valid_from,
                    valid_to=min(later, default=None),
                    above=above,
                    up_to=up_to,
                    rates=card["rates"],
                )
            )
    return found


def judge_cells(
    cells: pl.DataFrame, clauses: pl.DataFrame, *, offered: Iterable[Offer], quality: Mapping[str, float]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Judge each cell by its clause and list its eligible alternatives.

    Args:
        cells: one row per cell: `cell`, the columns of CELL, and `epoch_at`, an instant of its epoch.
        clauses: ref.routing_policy.
        offered: what could be bought.
        quality: scores of families or models.

    Returns:
        Verdicts (VERDICT_SCHEMA; a flag is its evidence in words or NULL) and cards (CARD_SCHEMA), each
        cell's cards numbered by their order.
    """
    policy = clauses.to_dicts()
    by_family: dict[str, list[Offer]] = {}
    for offer in offered:
        by_family.setdefault(offer.family, []).append(offer)
    verdicts: list[dict[str, Any]] = []
    cards: list[dict[str, Any]] = []
    for cell in cells.iter_rows(named=True):
        clause = _clause_of(cell, policy)
        flags = _flags(cell, clause, quality)
        verdicts.append(
            flags
            | {
                "cell": cell["cell"],
                "clause": clause["clause"],
                "policy_version": clause["policy_version"],
                "has_floor": clause["quality_floor"] is not None,
            }
        )
        cards.extend(_cards(cell, clause, by_family, quality))
    return pl.DataFrame(verdicts, schema=VERDICT_SCHEMA), pl.DataFrame(cards, schema=CARD_SCHEMA)


def _clause_of(cell: _Row, policy: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the most specific clause that holds: route and class, route, every route, default."""
    best, best_rank = policy[0], (-1, -1, -1)
    for clause in policy:
        holds = clause["valid_from"] <= cell["epoch_at"] and (
            clause["valid_to"] is None or cell["epoch_at"] < clause["valid_to"]
        )
        fits = all(clause[name] is None or clause[name] == cell[name] for name in ("route", "task_class"))
        rank = (
            int(clause["route"] is not None),
            int(clause["task_class"] is not None),
            int(clause["clause"] != DEFAULT_CLAUSE),
        )
        if holds and fits and rank > best_rank:
            best, best_rank = clause, rank
    return best


def _score(quality: Mapping[str, float], family: str, model: str) -> float | None:
    return quality.get(model, quality.get(family))


def _is_listed(clause: _Row, family: str, model: str) -> bool:
    listed = clause["models"]
    return listed is None or family in listed or model in listed


def _flags(cell: _Row, clause: _Row, quality: Mapping[str, float]) -> dict[str, str | None]:
    """Return the evidence of each broken rule; an unknown region or chip breaks none."""
    name = clause["clause"]
    violation = wrong_region = underpowered = None

    def outside(value: str | None, allowed: list[str] | None) -> bool:
        return allowed is not None and value is not None and value not in allowed

    if outside(cell["provider"], clause["providers"]):
        violation = f"{cell['provider']} is not a provider of {name} ({', '.join(clause['providers'])})"
    elif not _is_listed(clause, cell["model_family"], cell["model"]):
        violation = f"{cell['model']} is not a model of {name} ({', '.join(clause['models'])})"
    elif outside(cell["chip"], clause["chips"]):
        violation = f"{cell['chip']} is not a chip of {name} ({', '.join(clause['chips'])})"
    if outside(cell["region"], clause["regions"]):
        wrong_region = f"{cell['region']} is not a region of {name} ({', '.join(clause['regions'])})"
    score = _score(quality, cell["model_family"], cell["model"])
    floor = clause["quality_floor"]
    if floor is not None and score is not None and score < floor:
        underpowered = f"{cell['model']} scores {score:g}, below the floor of {floor:g} of {name}"
    return {"policy_violation": violation, "wrong_region": wrong_region, "underpowered": underpowered}


def _cards(
    cell: _Row, clause: _Row, by_family: Mapping[str, list[Offer]], quality: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    """Yield the eligible alternatives of a cell.

    The same family always is one, if listed. Other families are only where the clause has a floor that they
    reach (it declares what is good enough), or where the family taken is itself not listed.
    """
    floor = clause["quality_floor"]
    if floor is None and _is_listed(clause, cell["model_family"], cell["model"]):
        pool = by_family.get(cell["model_family"], [])
    elif clause["models"] is not None:
        listed = {*clause["models"]}
        pool = [o for group in by_family.values() for o in group if {o.family, o.model} & listed]
    else:
        pool = [o for family, group in by_family.items() if family in quality for o in group]
        pool += [
            o
            for family, group in by_family.items()
            if family not in quality
            for o in group
            if o.model in quality
        ]
    live = [offer for offer in pool if offer.tier == cell["tier"] and offer.holds_at(cell["epoch_at"])]
    own_regions = {(o.provider, o.model, o.region) for o in live}
    for offer in live:
        if clause["providers"] is not None and offer.provider not in clause["providers"]:
            continue
        if clause["chips"] is not None and offer.chip not in clause["chips"]:
            continue
        score = _score(quality, offer.family, offer.model)
        if floor is not None and (score is None or score < floor):
            continue
        is_same_family = offer.family == cell["model_family"]
        for region in _regions(offer, clause["regions"], own_regions):
            is_same_place = offer.provider == cell["provider"] and (
                region == cell["region"]
                or (region is None and (offer.provider, cell["model"], cell["region"]) not in own_regions)
            )
            if is_same_family and is_same_place:
                continue
            as_observed = offer.provider == cell["provider"] and offer.model == cell["model"]
            yield {
                "cell": cell["cell"],
                "is_same_family": is_same_family,
                "alternative_provider": offer.provider,
                "alternative_region": region,
                "alternative_model": offer.model,
                "alternative_chip": offer.chip,
                "above": offer.above,
                "up_to": offer.up_to,
                **{f"rate_{name}": _rate(offer, name, as_observed=as_observed) for name in TOKEN_CLASSES},
            }


def _regions(
    offer: Offer, allowed: list[str] | None, own_regions: set[tuple[str, str, str | None]]
) -> list[str | None]:
    """Return where an offer can be bought under the clause; NULL = any region without a price of its own."""
    if allowed is None:
        return [offer.region]
    if offer.region is not None:
        return [offer.region] if offer.region in allowed else []
    return [*(region for region in allowed if (offer.provider, offer.model, region) not in own_regions)][:1]


def _rate(offer: Offer, name: str, *, as_observed: bool) -> int | None:
    """Return the rate of a class; no cache is assumed at another provider or model."""
    if name in UNCACHED:
        stated = offer.rates.get(name) if as_observed else None
        return offer.rates.get(UNCACHED[name]) if stated is None else stated
    return offer.rates.get(name)
