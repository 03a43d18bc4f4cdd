"""mart.spend_forecast: what a month will have cost, with a range and the error that the method had before.

The baseline repeats the last week. Another method is taken only where it beat the baseline in the back-test, which
foretells stretches that are known by now from the days before them.
"""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.schemas import table

Series = npt.NDArray[np.float64]
_WEEK = 7
_FEWEST_DAYS = 14
_LONG_HISTORY = 70
_STEPS = 8
"""Times that a method is put to the test at most."""
_LEARNED = 28
"""Days that the contenders learn from."""
_TARGETS = 4
_EIGHT_OF_TEN = 1.2816
"""Standard deviations around the middle that hold 80 % of a normal distribution."""
_DAMPING = 0.8
_MOST_GROWTH = 1.25
"""Growth of a week that a trend is believed at most."""


def _seasonal_naive(known: Series, days: int) -> Series:
    return np.resize(known[-_WEEK:], days)


def _weekday_means(known: Series, days: int) -> Series:
    weeks = known[-_LEARNED:]
    weeks = weeks[len(weeks) % _WEEK :].reshape(-1, _WEEK)
    means: Series = weeks.mean(axis=0)
    return np.resize(means, days)


def _weekday_trend(known: Series, days: int) -> Series:
    late, early = known[-_FEWEST_DAYS:].sum(), known[-_LEARNED:-_FEWEST_DAYS].sum()
    if early <= 0 or late <= 0 or len(known) < _LEARNED:
        return _weekday_means(known, days)
    # The halves of the learned days lie two weeks apart; their middle lies two weeks before tomorrow.
    growth = float(np.clip((late / early) ** 0.5, 1 / _MOST_GROWTH, _MOST_GROWTH))
    weeks = np.arange(days) // _WEEK + 1
    reach = 2 + (1 - _DAMPING**weeks) / (1 - _DAMPING)
    return _weekday_means(known, days) * growth**reach


_METHODS: dict[str, Callable[[Series, int], Series]] = {
    "seasonal_naive": _seasonal_naive,
    "weekday_means": _weekday_means,
    "weekday_trend": _weekday_trend,
}


def spend_forecast(
    daily: pl.DataFrame, factors: pl.DataFrame, *, month_on: date, as_of: date
) -> pl.DataFrame:
    """Return the rows of `mart.spend_forecast` that are made in a month.

    Args:
        daily: `scope_kind, scope, accrued_on, usd` of every day with spend.
        factors: `scenario, scope_kind, scope, factor`: by what a scenario multiplies what is still to come; NULL where
            a price is not known.
        month_on: first day of the month.
        as_of: the last day that is known, in that month.
    """
    targets = _targets(month_on)
    rows: list[dict[str, Any]] = []
    for (kind, scope), days in daily.filter(pl.col("accrued_on") <= as_of).group_by(
        "scope_kind", "scope", maintain_order=True
    ):
        scenarios = factors.filter(scope_kind=kind, scope=scope).select("scenario", "factor").rows()
        made = _forecast_spend(_filled(days, as_of))
        for target, following in targets:
            there = days.filter(pl.col("accrued_on") >= target, pl.col("accrued_on") < following)
            spent = Decimal(there["usd"].sum() or 0)
            to_come = made["days"][max((target - as_of).days - 1, 0) : max((following - as_of).days - 1, 0)]
            for scenario, factor in [("as_is", 1.0), *scenarios]:
                head = {
                    "month_on": month_on, "as_of_on": as_of, "scope_kind": kind, "scope": scope, "target_on": target,
                    "scenario": scenario,
                }  # fmt: skip
                rows.append(head | _amounts(made, spent, to_come, factor))
    schema = table("mart.spend_forecast")
    return schema.frame(rows).sort(schema.key)


def _targets(month_on: date) -> list[tuple[date, date]]:
    found = []
    start = month_on
    for _ in range(_TARGETS):
        end = (start + timedelta(days=31)).replace(day=1)
        found.append((start, end))
        start = end
    return found


def _filled(days: pl.DataFrame, as_of: date) -> Series:
    """Return the spend of every day from the first with any; a day without a row had none."""
    first: date = days["accrued_on"].min()  # type: ignore[assignment]
    known = np.zeros((as_of - first).days + 1)
    places = (days["accrued_on"] - first).dt.total_days().to_numpy()
    known[places] = days["usd"].cast(pl.Float64).to_numpy()
    return known


def _forecast_spend(known: Series) -> dict[str, Any]:
    """Choose a method by its back-test, and foretell as far as the last target may reach."""
    ahead = 31 * _TARGETS + 1
    made: dict[str, Any] = {
        "history_days": len(known),
        "back_test_count": 0,
        "spread": None,
        "relative": None,
    }
    if len(known) < _FEWEST_DAYS:
        mean = float(known.mean()) if len(known) else 0.0
        return made | {"method": "daily_mean", "days": np.full(ahead, mean), "error": None, "baseline": None}
    errors, relative, count = _back_test(known)
    best = (
        min(errors, key=lambda name: (errors[name], name != "seasonal_naive")) if errors else "seasonal_naive"
    )
    apart = known[_WEEK:] - known[:-_WEEK]
    return made | {
        "method": best,
        "days": np.maximum(_METHODS[best](known, ahead), 0),
        "error": errors.get(best),
        "baseline": errors.get("seasonal_naive"),
        "back_test_count": count,
        "spread": float(apart[-_LEARNED * 2 :].std()),
        "relative": relative.get(best),
    }


def _back_test(known: Series) -> tuple[dict[str, float], dict[str, float], int]:
    """Return of each method the mean error of a stretch's total and its root mean square, both over the mean spend."""
    days = _LEARNED if len(known) >= _LONG_HISTORY else _WEEK
    origins = [
        end
        for step in range(_STEPS)
        if (end := len(known) - days - _WEEK * step) >= min(_LEARNED, _FEWEST_DAYS)
    ]
    actual = np.array([known[end : end + days].sum() for end in origins])
    if not origins or actual.mean() <= 0:
        return {}, {}, 0
    errors, relative = {}, {}
    for name, method in _METHODS.items():
        forecast = np.array([method(known[:end], days).sum() for end in origins])
        errors[name] = float(np.abs(forecast - actual).mean() / actual.mean())
        relative[name] = float(np.sqrt(((forecast - actual) ** 2).mean()) / actual.mean())
    return errors, relative, len(origins)


def _amounts(made: dict[str, Any], spent: Decimal, to_come: Series, factor: float | None) -> dict[str, Any]:
    """Return the figures of one target: what is spent, and what is to come times the scenario's factor."""
    found = {
        "actual_usd": spent, "method": made["method"], "back_test_error_ratio": made["error"],
        "baseline_error_ratio": made["baseline"], "back_test_count": made["back_test_count"],
        "history_days": made["history_days"],
    }  # fmt: skip
    if factor is None:
        return found
    rest = float(to_come.sum()) * factor
    found["forecast_usd"] = spent + _usd(rest)
    if made["spread"] is not None:
        # Noise of the days to come and of those that are repeated; the back-test has errors of whole stretches.
        learned = _WEEK if made["method"] == "seasonal_naive" else _LEARNED
        count = len(to_come)
        strays = made["spread"] / np.sqrt(2) * np.sqrt(count + count * count / learned) * factor
        wide = _EIGHT_OF_TEN * max(float(strays), (made["relative"] or 0) * rest)
        found |= {"low_usd": spent + _usd(max(rest - wide, 0)), "high_usd": spent + _usd(rest + wide)}
    return found


def _usd(value: float) -> Decimal:
    return Decimal(f"{value:.6f}")
