"""Attempts with everything that is known of them: cells, rulings, work, menus and sessions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.cells import cells_of
from models.routing.cheapest import Ints
from models.routing.menus import Menus, latencies
from models.routing.offers import Market
from models.routing.rules import Rules, Ruling
from models.routing.sessions import Sessions, cache_lifetimes, sessions_of
from models.routing.work import Work, work_of
from models.tiers import DEFAULT_TIER, is_default_tier

Rows = npt.NDArray[np.intp]
Days = tuple[date | None, date | None]


@dataclass(frozen=True)
class JudgedAttempts:
    """Successful attempts with everything that is known of them.

    Attributes:
        attempts: rows of `attempts_of`, successful ones.
        is_within: whether a row is to be judged, or only context.
        cells, cell_rows: the cell of every row; one mapping per cell.
        rulings: by cell.
        work: tokens of every row.
        menus: the menus of cells.
        sessions: what came before in the session; None where the log does not say.
    """

    attempts: pl.DataFrame
    is_within: npt.NDArray[np.bool_]
    cells: Ints
    cell_rows: list[dict[str, Any]]
    rulings: list[Ruling]
    work: Work
    menus: Menus
    sessions: Sessions | None

    @property
    def market(self) -> Market:
        return self.menus.market

    def rows_where(self, is_flagged: Iterable[bool], *, within: npt.NDArray[np.bool_] | None = None) -> Rows:
        """Return the rows to be judged whose cell is flagged."""
        flags = np.fromiter(is_flagged, dtype=np.bool_, count=len(self.cell_rows))
        if not flags.any():
            return np.empty(0, dtype=np.intp)
        return np.flatnonzero(flags[self.cells] & (self.is_within if within is None else within))


def within(attempts: pl.DataFrame, from_on: date | None, to_on: date | None) -> npt.NDArray[np.bool_]:
    """Return which attempts lie in [from_on, to_on) of business days; None is no bound."""
    on = attempts.get_column("accrued_on")
    found = np.ones(attempts.height, dtype=np.bool_)
    if from_on is not None:
        found &= (on >= from_on).to_numpy()
    if to_on is not None:
        found &= (on < to_on).to_numpy()
    return found


def judge(
    attempts: pl.DataFrame, *, rules: Rules, latency: pl.DataFrame | None, days: Days
) -> JudgedAttempts:
    """Number the cells of successful attempts, rule on each, and lay out the work.

    Args:
        attempts: successful rows of `attempts_of`.
        rules: the policy over the market.
        latency: measured latency of places; None = unknown.
        days: business days to be judged, half-open.
    """
    at = attempts.get_column("started_at")
    instants = sorted({*rules.market.instants, *rules.instants})
    starts = pl.Series("epoch", instants, dtype=at.dtype)
    attempts = attempts.with_columns(starts.search_sorted(at, side="right").cast(pl.Int32).alias("epoch"))
    cells, cell_frame = cells_of(attempts)
    sessions = sessions_of(attempts)
    lifetimes, other = cache_lifetimes()
    work = work_of(attempts, None if sessions is None else sessions.gaps, [*lifetimes.values(), other])
    output = work.tokens[~work.is_input].sum(axis=0, dtype=np.int64)
    counts = np.bincount(cells, minlength=cell_frame.height)
    means = np.bincount(cells, weights=output, minlength=cell_frame.height) / np.maximum(counts, 1)
    rows = cell_frame.with_columns(
        at[cell_frame.get_column("row")].alias("epoch_at"), pl.Series("mean_output", means)
    ).to_dicts()
    for row in rows:
        row["epoch_at"] = instants[row["epoch"] - 1] if row["epoch"] else row["epoch_at"]
        row["model_family"] = row["model_family"] or row["model"]
        row["tier"] = DEFAULT_TIER if is_default_tier(row["service_tier"]) else row["service_tier"]
    return JudgedAttempts(
        attempts=attempts,
        is_within=within(attempts, *days),
        cells=cells,
        cell_rows=rows,
        rulings=[rules.ruling(row) for row in rows],
        work=work,
        menus=Menus(rules, work, latencies(latency)),
        sessions=sessions,
    )
