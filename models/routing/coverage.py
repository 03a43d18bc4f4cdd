"""How many attempts could be judged for each kind, and why the others could not."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.judged import JudgedAttempts
from models.schemas import table
from models.schemas.vocabulary import MISTAKE_KINDS

_REASONS = {
    "policy_violation": "failed",
    "wrong_region": "failed, or the log names no region",
    "underpowered": "failed, or the model has no quality score",
    "fallback_storm": "failed, or the log does not mark fallbacks",
    "idle_capacity": "failed, not priced by token, or no owned pool is known",
    "stale_price": "failed, or not priced by token",
    "overpowered": "failed, not priced by token, or the clause has no quality floor",
    "wrong_chip": "failed, or not on an owned pool",
    "dearer_provider": "failed, or not priced by token",
    "cache_affinity_lost": "failed, not priced by token, or the log names neither session nor prefix",
    "hedge_lost": "failed, or the log does not say which attempts are of one request",
}


def coverage(judged: JudgedAttempts, attempts: pl.DataFrame, *, has_owned: bool) -> pl.DataFrame:
    """Return mart.routing_coverage_daily.

    Args:
        judged: successful attempts.
        attempts: all attempts of the judged days.
        has_owned: whether owned pools were known.
    """
    keys = ["accrued_on", "route"]
    counted = attempts.group_by(keys).agg(pl.len().cast(pl.Int64).alias("attempt_count"))
    places = pl.DataFrame(judged.cell_rows, schema={"accrued_on": pl.Date, "route": pl.String})
    rows: list[pl.DataFrame] = []
    counts = _evaluated(judged, has_owned=has_owned)
    for kind in MISTAKE_KINDS:
        seen = (
            places.with_columns(pl.Series("evaluated_count", counts[kind], dtype=pl.Int64))
            .group_by(keys)
            .agg(pl.col("evaluated_count").sum())
        )
        is_partial = pl.col("evaluated_count") < pl.col("attempt_count")
        rows.append(
            counted.with_columns(pl.col("route").cast(pl.String))
            .join(seen, on=keys, how="left", nulls_equal=True)
            .with_columns(pl.lit(kind).alias("kind"), pl.col("evaluated_count").fill_null(0))
            .with_columns(pl.when(is_partial).then(pl.lit(_REASONS[kind])).alias("reason"))
        )
    return table("mart.routing_coverage_daily").conform(pl.concat(rows).lazy()).sort(*keys, "kind").collect()


def _evaluated(judged: JudgedAttempts, *, has_owned: bool) -> dict[str, npt.NDArray[np.int64]]:
    """Return how many attempts of each cell could be judged, by kind."""
    cell_count = len(judged.cell_rows)

    def count(test: pl.Expr | None = None) -> npt.NDArray[np.int64]:
        chosen = judged.is_within
        if test is not None:
            chosen = chosen & judged.attempts.select(test.fill_null(value=False)).to_series().to_numpy()
        return np.bincount(judged.cells[chosen] if not chosen.all() else judged.cells, minlength=cell_count)

    def flags(values: Iterable[bool]) -> npt.NDArray[np.bool_]:
        return np.fromiter(values, dtype=np.bool_, count=cell_count)

    is_priced = (pl.col("cost_basis") == "token") & (pl.col("price_state") == "priced")
    named = [
        pl.col(name).is_not_null()
        for name in ("session_id", "prefix_hash")
        if name in judged.attempts.columns
    ]
    every, priced, nobody = count(), count(is_priced), np.zeros(cell_count, dtype=np.int64)
    return {
        "policy_violation": every,
        "wrong_region": every * flags(not ruling.is_region_unknown for ruling in judged.rulings),
        "underpowered": every * flags(not ruling.is_score_unknown for ruling in judged.rulings),
        "fallback_storm": count(pl.col("is_fallback").is_not_null()),
        "idle_capacity": priced if has_owned else nobody,
        "stale_price": priced,
        "overpowered": priced
        * flags(ruling.clause["quality_floor"] is not None for ruling in judged.rulings),
        "wrong_chip": count((pl.col("cost_basis") == "gpu") & pl.col("cost").is_not_null())
        if has_owned
        else nobody,
        "dearer_provider": priced,
        "cache_affinity_lost": count(is_priced & pl.any_horizontal(named)) if named else nobody,
        "hedge_lost": count(pl.col("logical_request_id").is_not_null())
        if "logical_request_id" in judged.attempts.columns
        else nobody,
    }
