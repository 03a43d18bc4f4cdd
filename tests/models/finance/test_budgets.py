"""How far a budget is spent, how fast, and when it runs out: by hand."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from models.errors import ConfigurationError
from models.finance.budgets import budget_status, load_budgets
from models.money import USD
from models.schemas.ref_budgets import BUDGET_SCOPE

OCT, NOV = date(2026, 10, 1), date(2026, 11, 1)
SPEND: dict[str, Any] = {
    "accrued_on": pl.Date, "cost_kind": pl.String, **dict.fromkeys(BUDGET_SCOPE, pl.String), "usd": USD,
    "unpriced_tokens": pl.Int64,
}  # fmt: skip


def spent(first: date, *usd: str, **facts: Any) -> list[dict[str, Any]]:
    return [
        dict.fromkeys(SPEND) | {"accrued_on": first + timedelta(days=n), "usd": Decimal(one), "cost_kind": "usage"}
        | {"unpriced_tokens": 0} | facts
        for n, one in enumerate(usd)
    ]  # fmt: skip


def status(budgets: str, spend: list[dict[str, Any]], *, as_of: date, months: list[date] | None = None):
    return budget_status(
        pl.DataFrame(spend, schema=SPEND),
        load_budgets(f"version: 1\nbudgets:\n  - {budgets}\n", path="budgets.yml")["ref.budgets"],
        months=months or [NOV],
        as_of=as_of,
    ).to_dicts()


def test_a_budget_says_how_far_it_is_spent_and_when_it_runs_out():
    # $10 a day for five days, then $20 a day: the last seven days burn $120 / 7 a day.
    days = spent(NOV, *["10"] * 5, *["20"] * 5, tenant="acme")
    others = spent(NOV, "500", tenant="bmce") + spent(OCT, "900", tenant="acme")
    (row,) = status("{name: acme, usd: 300, tenant: acme}", days + others, as_of=date(2026, 11, 10))

    assert (row["spent_usd"], row["month_to_date_usd"], row["remaining_usd"]) == (150, 150, 150)
    assert row["burn_usd_per_day"] == Decimal("17.142857142857")
    # $150 left at $17.14 last 8.75 days: spent on the ninth day after the 10th.
    assert row["run_out_on"] == date(2026, 11, 19)
    assert row["projected_usd"] == 150 + 20 * Decimal("17.142857142857")
    assert row["thresholds_percent"] == [50, 80, 100]
    # Half of it, $150, was reached with the last day.
    assert row["reached_on"] == [date(2026, 11, 10), None, None]
    assert (row["reached_percent"], row["spent_ratio"]) == (50, 0.5)


@pytest.mark.parametrize(
    ("budget", "spend", "as_of", "expected"),
    [
        # Spent: the day is known, whatever the rate is.
        ("usd: 25", spent(NOV, "10", "10", "10"), date(2026, 11, 20),
         {"run_out_on": date(2026, 11, 3), "reached_percent": 100, "burn_usd_per_day": 0, "projected_usd": 30}),
        # Nothing burns: it never runs out.
        ("usd: 25", spent(NOV, "10"), date(2026, 11, 20), {"run_out_on": None, "reached_percent": None}),
        # Ten a day for $295 left of $305: the 30th day after the first is in December.
        ("usd: 305", spent(NOV, "10"), NOV, {"run_out_on": None, "projected_usd": 300}),
        ("usd: 300", spent(NOV, "10"), NOV, {"run_out_on": date(2026, 11, 30)}),
        # A quarter holds October.
        ("usd: 100, period: quarter, thresholds_percent: [90]", spent(OCT, "60") + spent(NOV, "30"), NOV,
         {"spent_usd": 90, "month_to_date_usd": 30, "period_from": OCT, "period_to": date(2027, 1, 1),
          "reached_on": [NOV], "reached_percent": 90}),
        ("usd: 100, period: year", spent(date(2026, 1, 1), "7") + spent(NOV, "3"), NOV, {"spent_usd": 10}),
        # Only some kinds of cost; what has no price is counted.
        ("usd: 10, kinds: [idle]", spent(NOV, "5") + spent(NOV, "2", cost_kind="idle", unpriced_tokens=7), NOV,
         {"spent_usd": 2, "unpriced_tokens": 7}),
        # The warehouse begins on the 2nd: the 1st is not a day without spend.
        ("usd: 900", spent(date(2026, 11, 2), "10", "10"), date(2026, 11, 3),
         {"burn_usd_per_day": 10, "projected_usd": 290}),
        ("usd: 10", [], NOV, {"spent_usd": 0, "burn_usd_per_day": 0, "run_out_on": None}),
    ],
)  # fmt: skip
def test_cases_of_a_budget(budget, spend, as_of, expected):
    (row,) = status(f"{{name: b, {budget}}}", spend, as_of=as_of)
    assert {name: row[name] for name in expected} == expected


def test_a_later_entry_of_a_name_holds_from_its_date_on_and_a_past_month_stands_at_its_end():
    two = "{name: b, usd: 100}\n  - {name: b, usd: 200, valid_from: 2026-11-01}"
    rows = status(
        two,
        spent(OCT, "50") + spent(NOV, "50"),
        months=[OCT, NOV, date(2026, 12, 1)],
        as_of=date(2026, 11, 2),
    )
    assert [(row["budget_usd"], row["as_of_on"], row["spent_usd"]) for row in rows] == [
        (100, date(2026, 10, 31), 50),
        (200, date(2026, 11, 2), 50),
    ]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("{name: b}", "'usd' is missing"),
        ("{name: b, usd: 5, tennant: a}", "unknown key 'tennant'; did you mean 'tenant'?"),
        ("{name: b, usd: 0}", "greater than 0"),
        ("{name: b, usd: 5, period: week}", "'month', 'quarter' or 'year'"),
        ("{name: b, usd: 5, kinds: [cache]}", "'cache' is no kind of cost"),
    ],
)
def test_a_wrong_budget_is_a_sentence_with_its_line(entry, sentence):
    with pytest.raises(ConfigurationError, match=r"budgets\.yml, line 3: ") as error:
        status(entry, [], as_of=NOV)
    assert sentence in str(error.value)
