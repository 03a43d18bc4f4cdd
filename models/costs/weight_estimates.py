"""What a prefilled token weighs beside a decoded one, estimated from an engine's counters with an error bar.

An engine that is busy all the time between two scrapes trades prefill against decode: with P uncached input and D
output tokens in t seconds, t = a P + b D. The weight of an input token is a / b, as 14.8k / 32.2k is on the public
DeepSeek day. Least squares without intercept, each interval weighted by 1 / t, need sums alone:

    weight = (sum(DD/t) sum(P) - sum(PD/t) sum(D)) / (sum(PP/t) sum(D) - sum(PD/t) sum(P))

A speed that varies from interval to interval scales a and b alike and leaves the weight as it is, as long as it does
not depend on the mix. Intervals near each other are alike, so the error is that of a jackknife that leaves out one half
hour of one engine at a time (Tukey 1958; the ratio's curvature and unequal variances need no formula of their own).
"""

import json
from datetime import date, datetime, timedelta
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.costs.weights import Weights
from models.schemas import table

WINDOW_DAYS = 7
"""Business days that an estimate rests on, its own the last."""
FEWEST_BLOCKS = 12
"""Half hours of an engine below which nothing is estimated."""
LEAST_SHARE = 0.05
"""Part of the fitted time that either phase must have had: of engines that do one alone the other's price is noise."""
_SUMS = ("prefilled", "decoded", "prefilled_squared", "decoded_squared", "product")
Floats = npt.NDArray[np.float64]


def prefill_weights(
    blocks: pl.DataFrame, *, on: date, weights: Weights, day_ends_at: datetime
) -> pl.DataFrame:
    """Return the rows of mart.prefill_weights of one business day.

    Args:
        blocks: the sums by half hour of `prefill_blocks.sql`, of at least the window's days.
        on: the business day.
        weights: what weighs tokens now, to stand beside the estimate.
        day_ends_at: end of the day; the weights in force just before are meant.
    """
    within = blocks.filter(pl.col("accrued_on").is_between(on - timedelta(days=WINDOW_DAYS - 1), on))
    rows = []
    for (model, chip), group in within.group_by("model", "chip", maintain_order=True):
        in_force = weights.of(
            str(model), None if chip is None else str(chip), day_ends_at - timedelta.resolution
        )
        ratio = in_force.input / in_force.output if in_force.output else None
        row = {
            "accrued_on": on,
            "model": model,
            "chip": chip,
            "interval_count": int(group.get_column("interval_count").sum()),
            "block_count": group.height,
            "busy_seconds": group.get_column("seconds").sum(),
            "in_force_weight": ratio,
            "in_force_from": in_force.origin,
        } | _estimate(group.select(_SUMS).to_numpy().astype(np.float64), ratio)
        rows.append(row | {"weights_entry": _entry(row, on + timedelta(days=2))})
    return table("mart.prefill_weights").frame(rows)


def _estimate(sums: Floats, in_force: float | None) -> dict[str, Any]:
    """Fit blocks x sums; without a reason why not, the interval lies wholly above zero."""
    count = len(sums)
    if count < FEWEST_BLOCKS:
        return {"not_estimated_reason": "too_few_samples"}
    whole = sums.sum(axis=0)
    costs = _seconds_per_token(whole[None, :])[0]
    left_out = _seconds_per_token(whole[None, :] - sums)
    with np.errstate(all="ignore"):
        weight, others = costs[0] / costs[1], left_out[:, 0] / left_out[:, 1]
        error = float(np.sqrt((count - 1) / count * ((others - others.mean()) ** 2).sum()))
    reach = _t_quantile(count - 1) * error
    is_sensible = bool(np.isfinite(left_out).all() and (left_out > 0).all() and (costs > 0).all())
    if not is_sensible or not reach < weight:
        return {"not_estimated_reason": "too_uncertain"}
    share = float(costs[0] * whole[0] / (costs[0] * whole[0] + costs[1] * whole[1]))
    if not LEAST_SHARE <= share <= 1 - LEAST_SHARE:
        return {"not_estimated_reason": "one_phase"}
    low, high = float(weight) - reach, float(weight) + reach
    return {
        "estimated_weight": float(weight),
        "standard_error": error,
        "low_weight": low,
        "high_weight": high,
        "is_in_force_within": None if in_force is None else low <= in_force <= high,
        "prefill_tokens_per_second": float(1 / costs[0]),
        "decode_tokens_per_second": float(1 / costs[1]),
    }


def _seconds_per_token(sums: Floats) -> Floats:
    """Return engine seconds per prefilled and per decoded token of each row of sums; not finite where undetermined."""
    prefilled, decoded, prefilled_squared, decoded_squared, product = sums.T
    determinant = prefilled_squared * decoded_squared - product**2
    # A mix that never varies leaves rounding errors alone.
    determinant = np.where(determinant > 1e-9 * prefilled_squared * decoded_squared, determinant, np.nan)
    costs = np.stack(
        [
            decoded_squared * prefilled - product * decoded,
            prefilled_squared * decoded - product * prefilled,
        ],
        axis=1,
    )
    return costs / determinant[:, None]


def _t_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t by Cornish and Fisher's expansion, to 0.001 from 10 degrees on."""
    z = NormalDist().inv_cdf(0.975)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _entry(row: dict[str, Any], valid_from: date) -> str | None:
    """Return the line of `weights.yml` that adopts an estimate from a date on."""
    if "estimated_weight" not in row:
        return None
    facts = {
        "model": json.dumps(row["model"]),
        "chip": row["chip"] and json.dumps(row["chip"]),
        "input": f"{row['estimated_weight']:.4f}",
        "valid_from": valid_from.isoformat(),
        "measured_on": row["accrued_on"].isoformat(),
        "source": "engine counters",
        "note": f"standard error {row['standard_error']:.4f} over {row['interval_count']} intervals",
    }
    return "- {" + ", ".join(f"{name}: {value}" for name, value in facts.items() if value is not None) + "}"
