"""The scan: how likely an hour is to hold a window as full as this one, under the baseline."""

import numpy as np
import numpy.typing as npt
import scipy  # type: ignore[import-untyped]

from models.cold_starts.clusters import Clustering
from models.cold_starts.series import WINDOW_MINUTES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LEAST_STARTS = 3
MOST_STARTS = 40
"""Numbers of starts up to which the chances of windows are added up."""
BEYOND_DOUBT = 1e-7
"""Smaller p-values need not be exact."""
_CHUNK = 10_000


def expected_in_windows(rates: Floats, into_hour: Floats) -> Floats:
    """Return starts x windows: expected starts in the windows that end with each start.

    Args:
        rates: starts x 3: expected starts an hour in its hour and in the two before it.
        into_hour: how far into its hour each start is, 0 to 1.
    """
    width = np.array(WINDOW_MINUTES)[None, :] / 60.0
    x = into_hour[:, None]
    here = np.minimum(x, width)
    before = np.clip(width - x, 0.0, 1.0)
    expected: Floats = rates[:, :1] * here + rates[:, 1:2] * before
    return expected + rates[:, 2:] * np.maximum(width - x - 1.0, 0.0)


def least_chances(counts: Ints, rate: Floats, expected: Floats) -> Floats:
    """Return, per start, the least chance over windows were starts not clustered and rates sure: no p-value is less.

    Args:
        counts: starts x windows.
        rate: expected starts in the hour of each start.
        expected: starts x windows.
    """
    chance = np.ones(counts.shape)
    full = counts >= LEAST_STARTS
    chance[full] = scipy.special.gammainc(counts[full] - 1.0, expected[full])
    least: Floats = rate * chance.min(axis=1)
    return least


def chances(counts: Ints, rate: Floats, usual: Clustering) -> Floats:
    """Bound the chance that the hour holds any start whose window is as full: the expected number of such starts.

    Args:
        counts: starts x windows, or starts x windows x numbers: starts in the window, this one included.
        rate: expected starts in the hour of each start.
        usual: what each start is to see before it, itself not counted (the Palm distribution).
    """
    mean, gamma = usual.mean, usual.mean**2 / usual.spread
    if counts.ndim > mean.ndim:
        mean, gamma = mean[..., None], gamma[..., None]
    others = np.maximum(counts - 1, 1).astype(np.float64)
    # Gamma-mixed Poisson: the upper tail of the negative binomial.
    tail: Floats = scipy.special.betainc(others, gamma, mean / (mean + gamma))
    return np.minimum(rate.reshape(-1, *([1] * (counts.ndim - 1))) * tail, 1.0)


def p_values(counts: Ints, rate: Floats, usual: Clustering, *, of_interest: float) -> tuple[Floats, Ints]:
    """Return the p-value of each start's best window, and which window that is.

    The statistic is the least chance over windows. Its p-value adds up, over windows, the chances of the numbers of
    starts that would be at least as unlikely; of windows with the same such number only the longest counts, as it
    holds what the shorter ones hold. Where it matters not, the least chance times the windows stands for it.
    """
    chance = np.where(counts >= LEAST_STARTS, chances(counts, rate, usual), 1.0)
    least: Floats = chance.min(axis=1)
    p = np.minimum(least * len(WINDOW_MINUTES), 1.0)
    close = np.flatnonzero((least <= of_interest) & (p > BEYOND_DOUBT))
    for low in range(0, len(close), _CHUNK):
        rows = close[low : low + _CHUNK]
        p[rows] = _added_up(least[rows], rate[rows], Clustering(usual.mean[rows], usual.spread[rows]))
    return p, chance.argmin(axis=1)


def _added_up(least: Floats, rate: Floats, usual: Clustering) -> Floats:
    numbers = np.arange(LEAST_STARTS, MOST_STARTS + 1)
    grid = chances(np.broadcast_to(numbers, (*usual.mean.shape, len(numbers))), rate, usual)
    is_rare = grid <= least[:, None, None]
    is_known, first = is_rare.any(axis=2), is_rare.argmax(axis=2)
    # A window whose number is larger than these is as unlikely as the least at most.
    chance = np.where(is_known, np.take_along_axis(grid, first[..., None], axis=2)[..., 0], least[:, None])
    first = np.where(is_known, first, len(numbers))
    is_held = np.zeros(first.shape, dtype=np.bool_)
    is_held[:, :-1] = first[:, :-1] >= np.minimum.accumulate(first[:, :0:-1], axis=1)[:, ::-1]
    is_held &= is_known
    added: Floats = np.where(is_held, 0.0, chance).sum(axis=1)
    return np.minimum(added, 1.0)


def discoveries(p_values: Floats, hours: Ints, tests: Ints, *, rate: float) -> npt.NDArray[np.bool_]:
    """Return which p-values Benjamini and Hochberg's procedure keeps within each hour.

    Args:
        p_values: one per series and hour; series that are left out have p-values of one.
        hours: of each.
        tests: series that the hour has, of each.
        rate: false discoveries among discoveries, at most.
    """
    order = np.lexsort((p_values, hours))
    p, hour = p_values[order], hours[order]
    first = np.searchsorted(hour, hour)
    place = np.arange(len(p)) - first + 1
    passes = p <= rate * place / np.maximum(tests[order], place)
    # The last that passes in an hour takes all smaller ones with it.
    last = np.zeros(len(p), dtype=np.int64)
    np.maximum.at(last, first, np.where(passes, place, 0))
    kept = np.zeros(len(p), dtype=np.bool_)
    kept[order] = place <= last[first]
    return kept
