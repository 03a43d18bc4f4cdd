"""Fallback storms: windows in which far more attempts fell back than the route's own base rate explains."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

FALSE_ALARMS_PER_ROUTE_MONTH = 0.01
"""Storms that a route whose fallbacks follow its base rate raises in a month, at most."""
WINDOWS_MINUTES = (5, 15, 60)
FALLBACKS_AT_LEAST = 5
"""Fewer in a window are no storm, however rare they are."""
_MONTH_MINUTES = 30 * 24 * 60
_PRIOR = (0.5, 49.5)
"""Fallbacks and other attempts that a route without a history is taken to have seen: a base rate of 1 %."""
_CAUTION = 1.5
"""Factor on the fitted spread, whose error would otherwise raise false alarms."""
_LEAST_SPREAD = 0.01
"""Correlation of the fallbacks of a window that is taken as ordinary where the history shows less."""
_HISTORY_AT_LEAST = 500
"""Attempts that make a history; a route with fewer is judged by its own windows as well."""
_EDGE = 0.1
"""Chance at most of what fell back in a window beside a storm, for it to be of the storm."""
_TRIMMED = 0.2
_STORM_SHARE = 0.2

_ROUTE = pl.col("route").cast(pl.String).fill_null("")


@dataclass(frozen=True)
class BaseRate:
    """Usual share of fallbacks, and how much it varies between windows (correlation within a window)."""

    share: float
    spread: float


def alarm_level(minutes: int) -> float:
    """Return the p-value below which a window is a storm: false alarms a month over windows a month, by length."""
    return FALSE_ALARMS_PER_ROUTE_MONTH / len(WINDOWS_MINUTES) * minutes / _MONTH_MINUTES


def base_rate(attempts: npt.NDArray[Any], fallbacks: npt.NDArray[Any]) -> BaseRate:
    """Fit a route's base rate to counts of its past windows: a beta-binomial, by moments.

    Windows that were storms themselves (a fifth fell back, and five times the usual share) are left out, so that
    past storms do not hide new ones. A short history widens the spread.
    """
    counted = attempts > 0
    n, k = attempts[counted].astype(np.float64), fallbacks[counted].astype(np.float64)
    usual = np.sort(k / n)[: max(int(len(n) * (1 - _TRIMMED)), 1)].mean() if len(n) else 0.0
    is_storm = (k >= FALLBACKS_AT_LEAST) & (k / n > max(5 * usual, _STORM_SHARE))
    n, k = n[~is_storm], k[~is_storm]
    share = float((k.sum() + _PRIOR[0]) / (n.sum() + sum(_PRIOR)))
    spread = _LEAST_SPREAD
    room = share * (1 - share) * float((n * (n - 1)).sum())
    if room > 0:
        excess = float(((k - n * share) ** 2).sum()) - share * (1 - share) * float(n.sum())
        spread = max(spread, min(_CAUTION * excess / room, 0.5))
    return BaseRate(share, spread + 1 / float(n.sum() + sum(_PRIOR)))


def tail(seen: int, of: int, rate: BaseRate) -> float:
    """Return the chance of at least `seen` fallbacks among `of` attempts of a window (beta-binomial)."""
    scale = 1 / rate.spread - 1
    a, b = rate.share * scale, (1 - rate.share) * scale
    steps = np.arange(of, dtype=np.float64)
    none = np.log((b + steps) / (a + b + steps)).sum()
    grows = np.log((of - steps) / (steps + 1)) + np.log((a + steps) / (b + of - steps - 1))
    logs = none + np.concatenate([[0.0], np.cumsum(grows)])
    return float(min(np.exp(logs[seen:]).sum(), 1.0))


def storms(attempts: pl.DataFrame, history: pl.DataFrame | None) -> pl.DataFrame:
    """Return the storms of attempts, and the attempts that fell back in them.

    Args:
        attempts: `route, started_at, is_fallback` of every attempt, failed ones included.
        history: `route, attempt_count, fallback_count` of the five-minute windows of trailing days, those judged
            excluded; None = unknown.

    Returns:
        `row` (of attempts, that fell back in a storm), `evidence`; each attempt once, by its shortest window. A longer
        window is judged by what shorter ones leave.
    """
    found: list[pl.DataFrame] = [pl.DataFrame(schema={"row": pl.Int64, "evidence": pl.String})]
    if not attempts.get_column("is_fallback").any():
        return found[0]
    rows = attempts.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
        pl.col("route"),
        pl.col("started_at").dt.timestamp("us").alias("at"),
        pl.col("is_fallback").fill_null(value=False),
    )
    past = _base_rates(rows, history)
    left = rows.with_columns(_ROUTE)
    for minutes in WINDOWS_MINUTES:
        window = pl.col("at") // (minutes * 60_000_000)
        counted = (
            left.group_by("route", window.alias("window"))
            .agg(pl.len().alias("of"), pl.col("is_fallback").sum().alias("seen"))
            .filter(pl.col("seen") > 0)
            .sort("route", "window")
        )
        stormy = _stormy(counted, past, minutes)
        if minutes == WINDOWS_MINUTES[0]:
            stormy |= _edges(counted, past, stormy)
        if stormy:
            windows = pl.DataFrame(
                [
                    {"route": route, "window": number, "evidence": evidence}
                    for (route, number), evidence in stormy.items()
                ]
            )
            marked = left.with_columns(window.alias("window")).join(
                windows, on=["route", "window"], how="left"
            )
            found.append(
                marked.filter("is_fallback", pl.col("evidence").is_not_null()).select("row", "evidence")
            )
            # What a shorter window explains makes no longer one a storm.
            left = marked.filter(pl.col("evidence").is_null()).select(left.columns)
    return pl.concat(found)


def _stormy(counted: pl.DataFrame, past: dict[str, BaseRate], minutes: int) -> dict[tuple[str, int], str]:
    """Return the evidence of the windows that are storms."""
    found = {}
    for window in counted.filter(pl.col("seen") >= FALLBACKS_AT_LEAST).iter_rows(named=True):
        rate = past[window["route"]]
        if window["seen"] <= rate.share * window["of"]:
            continue
        chance = tail(window["seen"], window["of"], rate)
        if chance <= alarm_level(minutes):
            found[window["route"], window["window"]] = (
                f"{window['seen']} of {window['of']} attempts fell back within {minutes} minutes, usually "
                f"{rate.share:.1%} (p = {chance:.1e})"
            )
    return found


def _edges(
    counted: pl.DataFrame, past: dict[str, BaseRate], stormy: dict[tuple[str, int], str]
) -> dict[tuple[str, int], str]:
    """Return the evidence of the windows beside storms in which they begin or end: more fell back than is usual."""
    beside: dict[tuple[str, int], str] = {}
    for (route, number), evidence in stormy.items():
        for near in (number - 1, number + 1):
            beside.setdefault((route, near), f"beside a window in which {evidence}")
    return {
        key: beside[key]
        for window in counted.iter_rows(named=True)
        if (key := (window["route"], window["window"])) in beside
        and key not in stormy
        and tail(window["seen"], window["of"], past[window["route"]]) <= _EDGE
    }


def _base_rates(rows: pl.DataFrame, history: pl.DataFrame | None) -> dict[str, BaseRate]:
    counts = (
        pl.len().cast(pl.Int64).alias("attempt_count"),
        pl.col("is_fallback").sum().cast(pl.Int64).alias("fallback_count"),
    )
    windows = rows.group_by("route", pl.col("at") // (WINDOWS_MINUTES[0] * 60_000_000)).agg(counts)
    columns = ["route", "attempt_count", "fallback_count"]
    nothing = pl.DataFrame(schema={"route": pl.String, columns[1]: pl.Int64, columns[2]: pl.Int64})
    past = (nothing if history is None else history).select(
        _ROUTE, *(pl.col(name).cast(pl.Int64) for name in columns[1:])
    )
    seen = past.group_by("route").agg(pl.col("attempt_count").sum().alias("seen"))
    is_short = pl.col("seen").fill_null(0) < _HISTORY_AT_LEAST
    own = windows.with_columns(_ROUTE).join(seen, on="route", how="left").filter(is_short).select(columns)
    return {
        str(route): base_rate(part["attempt_count"].to_numpy(), part["fallback_count"].to_numpy())
        for (route,), part in pl.concat([past, own]).group_by("route")
    }
