"""Days whose spend lies outside its range: planted ones are found and explained, and few others."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.finance.anomalies import explained, unusual_days
from models.finance.variance import CELL
from models.money import USD
from models.schemas.mart_spend_anomalies import ANOMALY_CAUSES

LAST = date(2026, 11, 18)  # a Wednesday
DAILY = {"scope_kind": pl.String, "scope": pl.String, "accrued_on": pl.Date, "usd": USD}


def daily(values, *, scope: str = "total", ends_on: date = LAST) -> list[dict[str, Any]]:
    return [
        {
            "scope_kind": "total" if scope == "total" else "provider", "scope": scope,
            "accrued_on": ends_on - timedelta(days=len(values) - 1 - n), "usd": Decimal(f"{value:.4f}"),
        }
        for n, value in enumerate(values)
        if value is not None
    ]  # fmt: skip


def noisy(days: int, seed: int, noise: float = 0.1) -> list[float]:
    rng = np.random.default_rng(seed)
    dates = [LAST - timedelta(days=days - 1 - n) for n in range(days)]
    return [(100.0 if on.weekday() < 5 else 30.0) * (1 + noise * rng.standard_normal()) for on in dates]


def unusual(rows: list[dict[str, Any]], *, days: int = 1) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=DAILY)
    return unusual_days(frame, first=LAST - timedelta(days=days - 1), last=LAST + timedelta(days=1))


WEEK = [30.0, 30.0, 100.0, 100.0, 100.0, 100.0, 100.0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # Ten weeks of the same: a weekday of $140 lies outside of $100 give or take a fifth; $119 does not.
        ([100.0] * 69 + [140.0], (100, 80, 120)),
        ([100.0] * 69 + [119.0], None),
        ([100.0] * 69 + [70.0], (100, 80, 120)),
        # It stopped altogether.
        ([100.0] * 69 + [0.0], (100, 80, 120)),
        # Cents are no anomaly.
        ([0.1] * 69 + [0.9], None),
        # In the first weeks the last week tells, and only a multiple is unusual.
        ([100.0] * 6 + [250.0], (100, 0, 200)),
        ([100.0] * 6 + [190.0], None),
        ([100.0] * 3 + [900.0], None),
        # A spike a week ago moves neither what is expected nor the range.
        ([100.0] * 62 + [900.0] + [100.0] * 6 + [140.0], (100, 80, 120)),
        # Days that have not landed are no days without spend.
        ([100.0] * 40 + [None] * 29 + [140.0], None),
    ],
)
def test_a_day_outside_its_range_is_told(values, expected):
    rows = unusual(daily(values)).to_dicts()
    found = [tuple(float(row[f"{name}_usd"]) for name in ("expected", "low", "high")) for row in rows]
    assert found == ([] if expected is None else [expected])


def test_planted_days_are_found_and_few_others():
    found = false = 0
    for seed in range(20):
        values = noisy(120, seed)
        values[-3] *= 2  # a Monday
        on = LAST - timedelta(days=2)
        dates = unusual(daily(values), days=30).get_column("accrued_on").to_list()
        found += on in dates
        false += len(set(dates) - {on})
    assert found == 20
    assert false <= 12  # of 580 days


def test_an_anomaly_is_explained_by_the_bridge_from_a_usual_day():
    spike = unusual(daily([100.0] * 69 + [180.0]))
    against = LAST - timedelta(days=7)
    assert spike.get_column("against_on").to_list() == [against]
    head = {"accrued_on": LAST, "against_on": against, "scope_kind": "total", "scope": "total"}
    cell = dict.fromkeys(CELL) | {"provider": "openai"}

    def used(side: int, model: str, tokens: str, usd: str) -> dict[str, Any]:
        return head | cell | {
            "side": side, "model": model, "meter": "gpu", "quantity": Decimal(tokens), "usd": Decimal(usd),
        }  # fmt: skip

    text = {
        "scope_kind": pl.String,
        "scope": pl.String,
        "accrued_on": pl.Date,
        "against_on": pl.Date,
        "side": pl.Int64,
    }
    text |= dict.fromkeys(CELL, pl.String)
    usage = pl.DataFrame(
        [used(0, "gpt", "1000000", "80"), used(1, "gpt", "1000000", "80"), used(1, "opus", "100000", "50")],
        schema=text | {"meter": pl.String, "quantity": pl.Decimal(38, 6), "usd": USD},
    )
    idle = [
        head | cell | {"side": side, "cause": "idle", "usd": Decimal(usd)}
        for side, usd in ((0, "20"), (1, "50"))
    ]
    others = pl.DataFrame(idle, schema=text | {"cause": pl.String, "usd": USD})
    (row,) = explained(spike, usage, others).to_dicts()

    causes = {name: float(row[f"{name}_usd"]) for name in ANOMALY_CAUSES if row[f"{name}_usd"]}
    # A tenth more tokens grow gpt by $8 of volume, and the new model takes that share away again.
    assert causes == {"volume": 8, "mix": -8, "new": 50, "idle": 30}
    assert sum(causes.values()) == row["spend_usd"] - row["against_usd"] == 80
    assert (row["main_cause"], row["main_provider"], row["main_model"]) == ("new", "openai", "opus")
    assert row["excess_usd"] == 80
