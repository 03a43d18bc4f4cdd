"""Attempts that share everything but their sizes are one cell, so that a policy is read once a cell, not once a row."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

CELL = (
    "accrued_on", "route", "task_class", "tenant", "provider", "region", "model", "model_family", "chip",
    "service_tier", "cost_basis", "is_guessed", "epoch", "down",
)  # fmt: skip
"""Attempts that share these share clause, flags and alternatives."""
Cells = npt.NDArray[np.int64]
_KEYS_AT_MOST = 2**62


def cells_of(attempts: pl.DataFrame, columns: Sequence[str] = CELL) -> tuple[Cells, pl.DataFrame]:
    """Number the cells of attempts.

    Returns:
        The cell of every row, and one row per cell in order: `columns` and `row`, one of its rows.
    """
    key = pl.Series("key", np.zeros(attempts.height, dtype=np.int64))
    width = 1
    for name in columns:
        values = attempts.get_column(name)
        if values.null_count() == len(values):
            continue
        codes, count = _codes(values)
        if width * count >= _KEYS_AT_MOST:
            key, width = _dense(key)
        key = key * count + codes
        width *= count
    key, width = _dense(key)
    rows = (
        pl.DataFrame({"key": key})
        .with_row_index("row")
        .group_by("key")
        .agg(pl.col("row").first())
        .sort("key")
        .get_column("row")
    )
    cells = attempts.select(pl.col(columns).gather(rows)).with_columns(rows.alias("row"))
    return key.to_numpy(), cells.with_columns(pl.col(pl.Categorical).cast(pl.String))


def _codes(values: pl.Series) -> tuple[pl.Series, int]:
    """Return a small number for each value, NULL included, and how many there are."""
    if values.dtype == pl.String:
        values = values.cast(pl.Categorical)
    numbers = values.to_physical().cast(pl.Int64)
    low = numbers.min()
    codes = numbers - (low if isinstance(low, int) else 0)
    highest = codes.max()
    count = (int(highest) if isinstance(highest, int) else -1) + 2
    return codes.fill_null(count - 1), count


def _dense(key: pl.Series) -> tuple[pl.Series, int]:
    known = key.unique().sort()
    return known.search_sorted(key).cast(pl.Int64), max(len(known), 1)
