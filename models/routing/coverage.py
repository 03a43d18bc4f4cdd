"""How many attempts could be judged for each kind, and why the others could not."""

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.kinds import Judged
from models.schemas import table
from models.schemas.vocabulary import MISTAKE_KINDS


def coverage(judged: Judged, attempts: pl.DataFrame, *, has_owned: bool) -> pl.DataFrame:
    """Return mart.routing_coverage_daily.

    Args:
        judged: successful attempts.
        attempts: all attempts of the judged days.
        has_owned: whether owned pools were known.
    """
    keys = ["accrued_on", "route"]
    all_counts = attempts.group_by(keys).agg(pl.len().cast(pl.Int64).alias("attempt_count"))
    within = np.flatnonzero(judged.is_within)
    cells = judged.cells[within]
    facts = judged.attempts.select(
        is_priced=((pl.col("cost_basis") == "token") & (pl.col("price_state") == "priced")).fill_null(
            value=False
        ),
        is_pooled=((pl.col("cost_basis") == "gpu") & pl.col("cost").is_not_null()).fill_null(value=False),
        has_session=pl.col("session_id").is_not_null() | pl.col("prefix_hash").is_not_null(),
        has_fallback=pl.col("is_fallback").is_not_null(),
    )[within]
    is_priced, is_pooled = facts["is_priced"].to_numpy(), facts["is_pooled"].to_numpy()
    by_cell = {
        "region": _flags(not ruling.is_region_unknown for ruling in judged.rulings),
        "score": _flags(not ruling.is_score_unknown for ruling in judged.rulings),
        "floor": _flags(ruling.clause["quality_floor"] is not None for ruling in judged.rulings),
    }
    every = np.ones(len(within), dtype=np.bool_)
    evaluated: dict[str, tuple[npt.NDArray[np.bool_], str]] = {
        "policy_violation": (every, "failed"),
        "wrong_region": (by_cell["region"][cells], "failed, or the log names no region"),
        "underpowered": (by_cell["score"][cells], "failed, or the model has no quality score"),
        "fallback_storm": (facts["has_fallback"].to_numpy(), "failed, or the log does not mark fallbacks"),
        "idle_capacity": (is_priced & has_owned, "failed, not priced by token, or no owned pool is known"),
        "stale_price": (is_priced, "failed, or not priced by token"),
        "overpowered": (
            is_priced & by_cell["floor"][cells],
            "failed, not priced by token, or the clause has no floor",
        ),
        "wrong_chip": (is_pooled & has_owned, "failed, or not on an owned pool"),
        "dearer_provider": (is_priced, "failed, or not priced by token"),
        "cache_affinity_lost": (
            is_priced & facts["has_session"].to_numpy(),
            "failed, not priced by token, or the log names neither session nor prefix",
        ),
    }
    places = pl.DataFrame(
        judged.cell_rows, schema={"accrued_on": pl.Date, "route": pl.String}
    ).with_row_index("cell")
    rows: list[pl.DataFrame] = []
    for kind in MISTAKE_KINDS:
        is_evaluated, reason = evaluated[kind]
        counts = np.bincount(cells[is_evaluated], minlength=len(judged.cell_rows))
        seen = (
            places.with_columns(pl.Series("evaluated_count", counts, dtype=pl.Int64))
            .group_by(keys)
            .agg(pl.col("evaluated_count").sum())
        )
        rows.append(
            all_counts.join(seen, on=keys, how="left", nulls_equal=True).with_columns(
                pl.lit(kind).alias("kind"),
                pl.col("evaluated_count").fill_null(0),
            ).with_columns(
                pl.when(pl.col("evaluated_count") < pl.col("attempt_count")).then(pl.lit(reason)).alias("reason")
            )
        )  # fmt: skip
    return table("mart.routing_coverage_daily").conform(pl.concat(rows).lazy()).sort(*keys, "kind").collect()


def _flags(values: object) -> npt.NDArray[np.bool_]:
    return np.array(list(values), dtype=np.bool_)  # type: ignore[call-overload]
