"""Alarms: hours in which a series started replicas faster than its baseline allows for."""

from datetime import datetime
from decimal import Decimal

import numpy as np
import polars as pl
from scipy import special  # type: ignore[import-untyped]

from models.cold_starts.series import MINUTE, WINDOW_MINUTES, StartSeries

LEAST_STARTS = 3
P_VALUE_AT_MOST = 1.4e-5
"""A false alarm in a hundred series-months of 730 hours."""
FALSE_DISCOVERY_RATE = 0.05
FLOOR_USD = Decimal("0.10")
"""Bursts that cost less are no alarm, unless requests waited or their starts have no price."""
BASELINE_DAYS = 28
_HOUR = 60 * MINUTE


def burst_alarms(found: StartSeries, *, from_at: datetime, to_at: datetime) -> pl.DataFrame:
    """Return the alarmed starts in [from_at, to_at).

    Returns:
        `series, hour, onset_at, ended_at` (us), `p_value, expected_count, history_days`.
    """
    series, at, counts = found.series, found.at, found.counts
    low, high = (int(bound.timestamp() * 1e6) for bound in (from_at, to_at))
    pick = np.flatnonzero((at >= low) & (at < high) & (counts[:, -1] >= LEAST_STARTS))
    first = int(at.min()) if len(at) else low
    hour = at[pick] // _HOUR
    since = np.maximum((hour - BASELINE_DAYS * 24) * _HOUR, first)
    axis_step = int(at.max() - at.min()) + 1 if len(at) else 1
    axis = series * axis_step + (at - first)
    edge = series[pick] * axis_step
    seen = np.searchsorted(axis, edge + np.maximum(hour * _HOUR - first, 0)) - np.searchsorted(
        axis, edge + np.maximum(since - first, 0)
    )
    hours = np.maximum(hour * _HOUR - since, 0) / _HOUR
    rate = (seen + 1.0) / (hours + 24.0)
    shape = 1.0
    widths = np.array(WINDOW_MINUTES) / 60.0
    mean = rate[:, None] * widths[None, :] * (shape + 1) / shape
    others = counts[pick] - 1
    tail = special.betainc(np.maximum(others, 1).astype(float), shape + 1.0, mean / (mean + shape + 1.0))
    p = np.where(counts[pick] >= LEAST_STARTS, rate[:, None] * tail * len(WINDOW_MINUTES), 1.0)
    best = p.argmin(axis=1)
    value = p[np.arange(len(pick)), best]
    keep = value <= P_VALUE_AT_MOST
    size = counts[pick, best]
    return pl.DataFrame(
        {
            "series": series[pick][keep],
            "hour": hour[keep],
            "onset_at": at[pick - size + 1][keep],
            "ended_at": at[pick][keep],
            "p_value": value[keep],
            "expected_count": (rate * widths[best])[keep],
            "history_days": (hours / 24)[keep],
        }
    )  # fmt: skip
