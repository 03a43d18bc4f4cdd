"""Split amounts over payers by weight, in whole picodollars, so that the parts are the whole."""

import polars as pl

from models.money import half_even

_SCALE = 10**15
"""Weights become whole numbers of this fraction of their sum: products stay within 128 bits."""


def split(pots: pl.DataFrame, weights: pl.DataFrame, *, by: list[str]) -> pl.DataFrame:
    """Return one row per pot and payer; the amounts of a pot sum to it exactly.

    In the order of the payers, weights are cumulated, the amount so far is rounded half-even, and differences are
    taken. A pot whose weights are all 0, or that has none, keeps its amount on one row without a payer.

    Args:
        pots: `pot` (a number of its own), `amount` (Int128).
        weights: `pot`, the columns `by`, `weight` (Int128, not negative).
        by: what a payer is.

    Returns:
        `pot`, the columns `by`, `amount`.
    """
    running = (
        pots.select("pot", "amount")
        .join(weights.filter(pl.col("weight") > 0).select("pot", *by, "weight"), on="pot")
        .sort("pot", *by, nulls_last=True)
        .with_columns(
            pl.col("weight").cum_sum().over("pot").alias("so_far"),
            pl.col("weight").sum().over("pot").alias("whole"),
        )
        .with_columns(half_even(pl.col("so_far") * _SCALE, pl.col("whole")).alias("part"))
        .with_columns(half_even(pl.col("amount") * pl.col("part"), _SCALE).alias("share"))
        .with_columns(pl.col("share") - pl.col("share").shift(1).over("pot").fill_null(0))
    )
    shared = running.select("pot", *by, pl.col("share").cast(pl.Int128).alias("amount"))
    rest = pots.select("pot", "amount").join(shared.select("pot").unique(), on="pot", how="anti")
    return pl.concat([shared, rest], how="diagonal_relaxed").select("pot", *by, "amount")
