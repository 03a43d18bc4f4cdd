"""Routing mistakes: attempts that broke the policy or that an eligible alternative would have served cheaper."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
import polars as pl

from models.routing import kinds as of
from models.routing.attempts import attempts_of, identities
from models.routing.chains import chained, lost_races
from models.routing.cheapest import NONE, Cards, Ints, cheapest
from models.routing.coverage import coverage
from models.routing.judged import JudgedAttempts, judge, within
from models.routing.listing import CONFIDENCE, daily, listed
from models.routing.offers import Market, offers
from models.routing.owned import OwnedPools, pool_offers
from models.routing.policy import EPOCH, RoutingPolicy
from models.routing.pool_kinds import idle_capacity, wrong_chip
from models.routing.rules import Rules
from models.routing.stale import stale_prices
from models.routing.storms import storms
from models.routing.warm import cache_affinity_lost
from models.schemas import table


@dataclass(frozen=True)
class JudgeContext:
    """What the judge knows beside attempts and prices; without it the kinds that need it are not evaluated.

    Attributes:
        owned: the owned pools, for idle_capacity and wrong_chip.
        latency: measured latency: `provider, model, attempt_count, first_token_seconds, seconds_per_output_token`.
        fallback_history: `route, attempt_count, fallback_count` of the five-minute windows of trailing days, those
            judged excluded.
        links: `source, request_id, finished_at, retry_of` of attempts that share their logical request, for
            hedge_lost and for what was asked again.
    """

    owned: OwnedPools | None = None
    latency: pl.DataFrame | None = None
    fallback_history: pl.DataFrame | None = None
    links: pl.DataFrame | None = None


class Judgement(NamedTuple):
    """Rows of mart.routing_mistakes, mart.routing_regret_daily and mart.routing_coverage_daily."""

    mistakes: pl.DataFrame
    regret: pl.DataFrame
    coverage: pl.DataFrame


def routing_mistakes(
    costs: pl.LazyFrame,
    *,
    policy: RoutingPolicy,
    book: pl.LazyFrame,
    models: pl.LazyFrame,
    as_known_at: datetime,
    from_on: date | None = None,
    to_on: date | None = None,
    surroundings: JudgeContext | None = None,
    market: Market | None = None,
) -> Judgement:
    """Judge attempts by the policy and by the cheapest eligible alternative at their instant.

    Regret = max(0, cost - alternative) with the same work: tokens by class, converted where another family's
    tokenizer and verbosity are stated, on the same service tier, meters that are not tokens equal on both sides.
    An alternative must be eligible under the clause and the tenant's rights, hold a price at that instant for every
    class used, have been up, and be no slower where latency is known (the clause's target decides, if it has one).
    Cached tokens cost what `models.routing.work` says. A pool that idled costs nothing while its spare capacity
    lasts; one that must grow costs its trailing available rate.

    Every attempt that succeeded is judged by the rules of the policy, priced ones by cost as well, and so is one
    that lost a race, by the rules alone: what it cost was wasted whatever the place. The rest is `not_evaluated`.
    Each attempt's regret goes to its first kind by precedence, the others to `also_kinds`.

    Args:
        costs: core.request_costs of whole business days; rows outside the days to be judged are context.
        policy: the policy and its quality scores (`read_policy`).
        book: ref.token_prices.
        models: ref.models.
        as_known_at: prices learned later do not count.
        from_on: first day to be judged; None = all.
        to_on: end of those days, exclusive.
        surroundings: pools, latency and the history of fallbacks.
        market: the offers of `book` where they are at hand from another day.
    """
    known = surroundings or JudgeContext()
    market = market or Market(offers(book.collect(), models.collect(), as_known_at=as_known_at))
    if known.owned is not None and (pools := pool_offers(known.owned, valid_from=EPOCH)):
        market = Market((*market.offers, *pools))
    attempts = attempts_of(costs, policy.task_rules)
    chain = chained(costs, attempts, known.links)
    lost = None if chain is None else lost_races(chain)
    is_lost = np.zeros(attempts.height, dtype=np.bool_)
    if lost is not None:
        is_lost[lost.get_column("row").to_numpy()] = True
    is_judged = (attempts.get_column("status") == "ok") | pl.Series(is_lost)
    row_of = pl.select(
        pl.when(is_judged).then(is_judged.cast(pl.Int64).cum_sum() - 1).otherwise(-1)
    ).to_series()
    judged = judge(
        attempts if is_judged.all() else attempts.filter(is_judged),
        rules=Rules(policy, market),
        latency=known.latency,
        days=(from_on, to_on),
    )
    is_thrown_away = is_lost[is_judged.to_numpy()]
    token_cost = np.where(is_thrown_away, NONE, _token_costs(judged.attempts))
    best, card, found = _by_price(judged, token_cost)
    best = np.where(is_thrown_away, NONE, best)
    found += [
        *of.broken_rules(judged),
        of.escalated(judged, chain, row_of),
        _stormed(judged, storms(attempts, known.fallback_history), row_of),
        cache_affinity_lost(judged, token_cost),
    ]
    if known.owned is not None:
        idle, left = idle_capacity(judged, known.owned, token_cost > 0)
        found += [idle, wrong_chip(judged, known.owned, left)]
    if lost is not None:
        found.append(of.hedged(judged, lost, row_of))
    rows = listed(judged, pl.concat(found), token_cost, best, card)
    rows = rows.join(identities(costs, rows.get_column("position")), on="position", maintain_order="left")
    is_within = within(attempts, from_on, to_on)
    attempts = attempts if is_within.all() else attempts.filter(pl.Series(is_within))
    return Judgement(
        mistakes=table("mart.routing_mistakes").conform(rows.lazy().filter("is_listed")).collect(),
        regret=daily(rows, attempts, has_owned=known.owned is not None),
        coverage=coverage(judged, attempts, has_owned=known.owned is not None),
    )


def _token_costs(attempts: pl.DataFrame) -> Ints:
    """Return what the tokens of each attempt cost, in picodollars; NONE where it is not priced by token."""
    is_priced = (pl.col("cost_basis") == "token") & (pl.col("price_state") == "priced")
    tokens = pl.max_horizontal(pl.col("cost") - pl.col("meters"), 0)
    return (
        attempts.select(pl.when(is_priced).then(tokens).otherwise(NONE).fill_null(NONE))
        .to_series()
        .to_numpy()
    )


def _by_price(judged: JudgedAttempts, token_cost: Ints) -> tuple[Ints, Cards, list[pl.DataFrame]]:
    """Return each attempt's cheapest card and the kinds that follow from it."""
    menus = {
        cell: judged.menus.of(row, ruling)
        for cell, (row, ruling) in enumerate(zip(judged.cell_rows, judged.rulings, strict=True))
        if row["cost_basis"] == "token"
    }
    work = judged.work
    same, other = (
        cheapest(
            work.tokens, work.total_input, judged.cells, {cell: menu[side] for cell, menu in menus.items()}
        )
        for side in (0, 1)
    )
    by_price = of.price_kinds(judged, token_cost, same, other)
    # Of equals the card of the same family is the alternative.
    is_other = (other[0] >= 0) & ((same[0] < 0) | (other[0] < same[0]))
    best, card = (np.where(is_other, other[part], same[part]) for part in (0, 1))
    is_dearer = np.flatnonzero(by_price["overpowered"] | by_price["dearer_provider"])
    found = [
        of.findings(np.flatnonzero(is_flagged), kind, confidence=CONFIDENCE[kind])
        for kind, is_flagged in by_price.items()
    ]
    return best, card, [*found, stale_prices(judged, is_dearer, card)]


def _stormed(judged: JudgedAttempts, storm: pl.DataFrame, row_of: pl.Series) -> pl.DataFrame:
    """Turn storms among all attempts into findings among those to be judged."""
    hit = storm.filter(row_of.gather(storm.get_column("row")) >= 0)
    rows = row_of.gather(hit.get_column("row")).to_numpy().astype(np.intp)
    is_kept = judged.is_within[rows]
    evidence = hit.get_column("evidence").filter(pl.Series(is_kept))
    return of.findings(
        rows[is_kept], "fallback_storm", evidence=evidence, confidence=CONFIDENCE["fallback_storm"]
    )
