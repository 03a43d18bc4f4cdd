"""Routing mistakes: attempts that broke the policy or that an eligible alternative would have served cheaper."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing import kinds as of
from models.routing.attempts import attempts_of
from models.routing.cells import cells_of
from models.routing.cheapest import NONE, Cards, Ints, cheapest
from models.routing.coverage import coverage
from models.routing.listing import daily, listed
from models.routing.menus import Menus, latencies
from models.routing.offers import Market, family_names, offers
from models.routing.owned import Owned, pool_offers
from models.routing.policy import EPOCH, RoutingPolicy
from models.routing.rules import Rules
from models.routing.sessions import cache_lifetimes, sessions_of
from models.routing.stale import stale_prices
from models.routing.storms import storms
from models.routing.work import work_of
from models.schemas.vocabulary import OUTPUT_TOKEN_COLUMNS


@dataclass(frozen=True)
class Surroundings:
    """What the judge knows beside attempts and prices; without it the kinds that need it are not evaluated.

    Attributes:
        owned: the owned pools, for idle_capacity and wrong_chip.
        latency: measured latency: `provider, model, attempt_count, first_token_seconds, seconds_per_output_token`.
        fallback_history: hourly `route, attempt_count, fallback_count` of trailing days, those judged excluded.
    """

    owned: Owned | None = None
    latency: pl.DataFrame | None = None
    fallback_history: pl.DataFrame | None = None


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
    surroundings: Surroundings | None = None,
) -> Judgement:
    """Judge attempts by the policy and by the cheapest eligible alternative at their instant.

    Regret = max(0, cost - alternative) with the same work: tokens by class, converted where another family's
    tokenizer and verbosity are stated, on the same service tier, meters that are not tokens equal on both sides.
    An alternative must be eligible under the clause and the tenant's rights, hold a price at that instant for every
    class used, have been up, and be no slower where latency is known (the clause's target decides, if it has one).
    Cached tokens cost what `models.routing.work` says. A pool that idled costs nothing while its spare capacity
    lasts; one that must grow costs its trailing available rate.

    Every attempt that succeeded is judged by the rules of the policy, priced ones by cost as well; the rest is
    `not_evaluated`. Each attempt's regret goes to its first kind by precedence, the others to `also_kinds`.

    Args:
        costs: core.request_costs of whole business days; rows outside the days to be judged are context.
        policy: the policy and its quality scores (`read_policy`).
        book: ref.token_prices.
        models: ref.models.
        as_known_at: prices learned later do not count.
        from_on: first day to be judged; None = all.
        to_on: end of those days, exclusive.
        surroundings: pools, latency and the history of fallbacks.
    """
    known = surroundings or Surroundings()
    names = models.collect()
    offered = offers(book.collect(), names, as_known_at=as_known_at)
    if known.owned is not None:
        offered += pool_offers(known.owned, family_names(offered, names), valid_from=EPOCH)
    attempts = attempts_of(costs, policy.task_rules)
    is_ok = attempts.get_column("status") == "ok"
    storm = storms(attempts, known.fallback_history)
    judged = _judged(
        attempts if is_ok.all() else attempts.filter(is_ok),
        rules=Rules(policy, Market(offered)),
        latency=known.latency,
        days=(from_on, to_on),
    )
    priced, token_cost = _token_costs(judged.attempts)
    menus = {
        cell: judged.menus.of(row, ruling)
        for cell, (row, ruling) in enumerate(zip(judged.cell_rows, judged.rulings, strict=True))
        if row["cost_basis"] == "token"
    }
    work = judged.work
    same, other = (
        cheapest(
            work.tokens, work.total_input, judged.cells, {cell: pair[side] for cell, pair in menus.items()}
        )
        for side in (0, 1)
    )
    by_price = of.price_kinds(judged, token_cost, same, other)
    best, card = _best(same, other)
    is_dearer = np.flatnonzero(by_price["overpowered"] | by_price["dearer_provider"])
    found = [
        *of.broken_rules(judged),
        of.escalated(judged),
        _stormed(judged, storm, is_ok),
        stale_prices(judged, is_dearer, card),
        of.cache_affinity_lost(judged, token_cost, priced),
        *(
            of.findings(np.flatnonzero(is_flagged), kind, confidence=confidence)
            for (kind, is_flagged), confidence in zip(by_price.items(), (0.7, 1.0), strict=True)
        ),
    ]
    if known.owned is not None:
        idle, left = of.idle_capacity(judged, known.owned, priced & (token_cost > 0))
        is_pooled = (judged.attempts.get_column("cost_basis") == "gpu") & judged.attempts.get_column(
            "cost"
        ).is_not_null()
        found += [idle, of.wrong_chip(judged, known.owned, left, is_pooled.to_numpy())]
    rows = listed(judged, pl.concat(found), token_cost, best, card)
    is_within = _within(attempts, from_on, to_on)
    outside = attempts if is_within.all() else attempts.filter(pl.Series(is_within))
    return Judgement(
        mistakes=rows.filter("is_listed"),
        regret=daily(rows, outside, priced_only=known.owned is None),
        coverage=coverage(judged, outside, has_owned=known.owned is not None),
    )


def _within(attempts: pl.DataFrame, from_on: date | None, to_on: date | None) -> npt.NDArray[np.bool_]:
    on = attempts.get_column("accrued_on")
    found = np.ones(attempts.height, dtype=np.bool_)
    if from_on is not None:
        found &= (on >= from_on).to_numpy()
    if to_on is not None:
        found &= (on < to_on).to_numpy()
    return found


def _judged(
    attempts: pl.DataFrame,
    *,
    rules: Rules,
    latency: pl.DataFrame | None,
    days: tuple[date | None, date | None],
) -> of.Judged:
    """Number the cells, rule on each, and lay out the work."""
    at = attempts.get_column("started_at")
    instants = sorted({*rules.market.instants, *rules.instants})
    starts = pl.Series("epoch", instants, dtype=at.dtype)
    attempts = attempts.with_columns(starts.search_sorted(at, side="right").cast(pl.Int64).alias("epoch"))
    cells, cell_frame = cells_of(attempts)
    output = attempts.select(pl.sum_horizontal(pl.col(name).fill_null(0) for name in OUTPUT_TOKEN_COLUMNS))
    counts = np.bincount(cells, minlength=cell_frame.height)
    means = np.bincount(cells, weights=output.to_series().to_numpy(), minlength=cell_frame.height) / counts
    rows = cell_frame.with_columns(
        at[cell_frame.get_column("row")].alias("epoch_at"), pl.Series("mean_output", means)
    ).to_dicts()
    for row in rows:
        if row["epoch"] > 0:
            row["epoch_at"] = instants[row["epoch"] - 1]
    sessions = sessions_of(attempts)
    lifetimes, other = cache_lifetimes()
    work = work_of(attempts, None if sessions is None else sessions.gaps, [*lifetimes.values(), other])
    return of.Judged(
        attempts=attempts,
        is_within=_within(attempts, *days),
        cells=cells,
        cell_rows=rows,
        rulings=[rules.ruling(row) for row in rows],
        work=work,
        menus=Menus(rules, work, latencies(latency)),
        sessions=sessions,
    )


def _token_costs(attempts: pl.DataFrame) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Return which attempts are token-priced, and what their tokens cost (NONE where they are not)."""
    is_priced = attempts.select(
        ((pl.col("cost_basis") == "token") & (pl.col("price_state") == "priced")).fill_null(value=False)
    ).to_series()
    tokens = attempts.select(pl.col("cost").fill_null(0) - pl.col("meters")).to_series().to_numpy()
    priced = is_priced.to_numpy()
    return priced, np.where(priced, np.maximum(tokens, 0), NONE)


def _best(same: tuple[Ints, Cards], other: tuple[Ints, Cards]) -> tuple[Ints, Cards]:
    """Return the cheaper of the two best cards; of equals that of the same family."""
    is_other = (other[0] >= 0) & ((same[0] < 0) | (other[0] < same[0]))
    return np.where(is_other, other[0], same[0]), np.where(is_other, other[1], same[1])


def _stormed(judged: of.Judged, storm: pl.DataFrame, is_ok: pl.Series) -> pl.DataFrame:
    """Turn storms among all attempts into findings among the successful ones."""
    position = is_ok.cast(pl.Int64).cum_sum() - 1
    hit = storm.filter(is_ok[storm.get_column("row")])
    rows = position[hit.get_column("row")].to_numpy().astype(np.intp)
    kept = pl.Series(judged.is_within[rows])
    return of.findings(
        rows[kept.to_numpy()],
        "fallback_storm",
        evidence=hit.filter(kept).get_column("evidence"),
        confidence=0.95,
    )
