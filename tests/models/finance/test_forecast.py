"""What a month will have cost: on series whose future is known, with scenarios worked by hand."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from models.errors import ConfigurationError
from models.finance.budgets import load_budgets
from models.finance.forecast import spend_forecast
from models.finance.scenarios import scenario_factors
from models.money import USD

NOV = date(2026, 11, 1)
FACTORS = {"scenario": pl.String, "scope_kind": pl.String, "scope": pl.String, "factor": pl.Float64}


def foretell(series, *, as_of: date, factors=(), month: date = NOV):
    days = [as_of - timedelta(days=len(series) - 1 - n) for n in range(len(series))]
    daily = pl.DataFrame(
        {
            "scope_kind": "total",
            "scope": "total",
            "accrued_on": days,
            "usd": [Decimal(f"{v:.6f}") for v in series],
        },
        schema_overrides={"usd": USD},
    )
    table = pl.DataFrame(list(factors), schema=FACTORS, orient="row")
    return spend_forecast(daily, table, month_on=month, as_of=as_of)


def weekly(days: int, *, ends_on: date, growth: float = 0.0, noise: float = 0.0, seed: int = 7):
    """Return $10 on weekdays and $4 on weekends, growing by a share a week."""
    rng = np.random.default_rng(seed)
    dates = [ends_on - timedelta(days=days - 1 - n) for n in range(days)]
    base = np.array([10.0 if on.weekday() < 5 else 4.0 for on in dates])
    return base * (1 + growth) ** (np.arange(days) / 7) * (1 + noise * rng.standard_normal(days))


def test_a_week_that_repeats_is_foretold_exactly_by_the_baseline():
    rows = foretell(weekly(100, ends_on=date(2026, 11, 10)), as_of=date(2026, 11, 10)).to_dicts()
    # November 2026 has 21 weekdays and 9 days of weekends, December 23 and 8, January 21 and 10, February 20 and 8.
    assert [float(row["forecast_usd"]) for row in rows] == [246, 262, 250, 232]
    assert {row["method"] for row in rows} == {"seasonal_naive"}
    assert {(row["back_test_error_ratio"], row["back_test_count"]) for row in rows} == {(0.0, 8)}
    assert rows[0]["actual_usd"] == 7 * 10 + 3 * 4  # the 1st, 7th and 8th are on weekends
    assert rows[0]["low_usd"] == rows[0]["high_usd"] == 246
    assert [row["actual_usd"] for row in rows[1:]] == [0, 0, 0]


def test_another_method_is_taken_only_where_it_beats_the_baseline():
    growing = foretell(
        weekly(120, ends_on=date(2026, 11, 10), growth=0.05), as_of=date(2026, 11, 10)
    ).to_dicts()
    assert growing[0]["method"] == "weekday_trend"
    assert growing[0]["back_test_error_ratio"] < growing[0]["baseline_error_ratio"]
    noisy = foretell(weekly(120, ends_on=date(2026, 11, 10), noise=0.3), as_of=date(2026, 11, 10)).to_dicts()
    assert noisy[0]["method"] == "weekday_means"
    assert noisy[0]["back_test_error_ratio"] < noisy[0]["baseline_error_ratio"]
    for row in [*growing, *noisy]:
        assert row["low_usd"] < row["forecast_usd"] < row["high_usd"]


def test_the_range_holds_what_comes_about_eight_times_of_ten():
    inside = []
    for seed in range(60):
        series = weekly(150, ends_on=date(2026, 11, 30), noise=0.3, seed=seed)
        row = foretell(series[:-20], as_of=date(2026, 11, 10)).row(0, named=True)
        inside.append(float(row["low_usd"]) <= series[-30:].sum() <= float(row["high_usd"]))
    assert 0.7 <= np.mean(inside) <= 0.95


def test_a_short_history_has_no_range_and_says_so():
    (row, *_) = foretell([10.0, 20.0], as_of=date(2026, 11, 2)).to_dicts()
    assert (row["method"], row["forecast_usd"], row["low_usd"], row["back_test_error_ratio"], row["history_days"]) == (
        "daily_mean", 30 + 28 * 15, None, None, 2,
    )  # fmt: skip


def test_a_scenario_changes_what_is_still_to_come():
    factors = [("growth", "total", "total", 1.5), ("unknown", "total", "total", None)]
    rows = foretell([10.0] * 30, as_of=date(2026, 11, 10), factors=factors)
    november = {row["scenario"]: row for row in rows.filter(pl.col("target_on") == NOV).to_dicts()}
    assert november["as_is"]["forecast_usd"] == 300
    assert november["growth"]["forecast_usd"] == 100 + 200 * 1.5
    assert november["unknown"]["forecast_usd"] is None


SCENARIOS = """\
version: 1
scenarios:
  - {name: growth, growth_percent: 20}
  - {name: growth, provider: openai, price_percent: -50}
  - {name: switch, provider: openai, model: big, to_provider: openai, to_model: mini, share_percent: 50}
  - {name: nowhere, model: big, to_provider: openai, to_model: unheard-of}
"""


def test_factors_of_scenarios_by_hand():
    recent = pl.DataFrame(
        [
            # 10 M plain, 10 M cached, 1 M out for $60; elsewhere $40 of GPUs, idle included.
            ("total", "total", "openai", "big", Decimal(60), 1e7, 1e7, 1e6),
            ("total", "total", "lambda", "llama", Decimal(40), 1e6, 0.0, 1e6),
        ],
        schema={
            "scope_kind": pl.String, "scope": pl.String, "provider": pl.String, "model": pl.String, "usd": USD,
            "plain_tokens": pl.Float64, "cached_tokens": pl.Float64, "output_tokens": pl.Float64,
        },
        orient="row",
    )  # fmt: skip
    prices = pl.DataFrame(
        {
            "to_provider": ["openai"],
            "to_model": ["mini"],
            "plain_rate": [0.3],
            "cached_rate": [0.1],
            "output_rate": [2.0],
        }
    )
    scenarios = load_budgets(SCENARIOS, path="budgets.yml")["ref.scenarios"]
    factors = dict(scenario_factors(recent, scenarios, prices).select("scenario", "factor").iter_rows())
    # Growth of a fifth everywhere, and openai at half: (60 x 0.6 + 40 x 1.2) / 100.
    assert factors["growth"] == pytest.approx(0.84)
    # The same tokens cost 10 x 0.3 + 10 x 0.1 + 1 x 2 = $6 there; half of them move: (30 + 3 + 40) / 100.
    assert factors["switch"] == pytest.approx(0.73)
    assert factors["nowhere"] is None


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("{name: a}", "a scenario changes growth_percent, price_percent or the model"),
        ("{name: a, to_model: b}", "a switch needs to_provider and to_model"),
        ("{name: a, growth_percent: 1, share_percent: 5}", "share_percent goes with"),
        ("{name: as_is, growth_percent: 1}", "as_is is the forecast without a scenario"),
        ("{name: a, grwth_percent: 1}", "did you mean 'growth_percent'?"),
    ],
)
def test_a_wrong_scenario_is_a_sentence_with_its_line(entry, sentence):
    with pytest.raises(ConfigurationError, match=r"budgets\.yml, line 3: ") as error:
        load_budgets(f"version: 1\nscenarios:\n  - {entry}\n", path="budgets.yml")
    assert sentence in str(error.value)
