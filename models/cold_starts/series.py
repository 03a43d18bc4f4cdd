"""Starts as series: one per provider x region x chip x deployment, in order of time, counted over trailing windows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

SERIES = ("provider", "region", "chip", "deployment")
WINDOW_MINUTES = (1, 2, 5, 10, 20, 30, 60, 120)
"""Lengths of the windows that are scanned; each ends at a start."""
LEAST_CONFIDENCE = 0.5
"""Inferred starts below this confidence do not count."""
MINUTE = 60_000_000
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StartSeries:
    """Starts in order of series and time.

    Attributes:
        names: one row per series: its dimensions.
        series: place in `names` of each start.
        at: microseconds since 1970 at which each start was asked for.
        counts: starts x windows: starts of the series in the window that ends with this start, itself included.
        rows: the starts themselves, in the same order.
    """

    names: pl.DataFrame
    series: Ints
    at: Ints
    counts: Ints
    rows: pl.DataFrame


def start_series(starts: pl.DataFrame) -> StartSeries:
    """Number the series of `mart.cold_starts` and count starts over the trailing windows."""
    rows = starts.filter(
        ~pl.col("is_inferred") | (pl.col("confidence_ratio").fill_null(0.0) >= LEAST_CONFIDENCE)
    )
    names = rows.select(SERIES).unique().sort(SERIES).with_row_index("series")
    rows = rows.join(names, on=SERIES).sort("series", "requested_at", "replica_id")
    series = rows["series"].cast(pl.Int64).to_numpy()
    at = rows["requested_at"].dt.timestamp("us").to_numpy()
    return StartSeries(names=names, series=series, at=at, counts=window_counts(series, at), rows=rows)


def window_counts(series: Ints, at: Ints) -> Ints:
    """Return starts x windows: how many starts of the same series lie in (at - window, at], up to this one.

    Of starts at one instant only the earlier rows count, so that the last of them sees them all.
    """
    if len(at) == 0:
        return np.zeros((0, len(WINDOW_MINUTES)), dtype=np.int64)
    place = np.arange(1, len(at) + 1, dtype=np.int64)
    # Series are laid end to end on one axis, further apart than the longest window.
    offset = at - at.min()
    axis = series * (offset.max() + 2 * WINDOW_MINUTES[-1] * MINUTE) + offset
    return np.stack(
        [place - np.searchsorted(axis, axis - minutes * MINUTE, side="right") for minutes in WINDOW_MINUTES],
        axis=1,
    )
