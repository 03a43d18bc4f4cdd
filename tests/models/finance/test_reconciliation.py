"""A bill against the ledger: planted differences are found with their dollars, and nothing is left over."""

from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest

from tests.models.finance.bills import NOVEMBER, held, line, reconcile, terms

D = Decimal


@pytest.mark.parametrize(
    ("lines", "ledger", "found"),
    [
        # 10 million tokens at $2 a million on both sides.
        ([line(usd="20", quantity="10e6")], [held(usd="20", quantity="10e6")], {}),
        # 2 million more were billed than any log tells of: counted otherwise, at the ledger's $2.
        ([line(usd="24", quantity="12e6")], [held(usd="20", quantity="10e6")], {"quantity": D(4)}),
        # The same usage at $2.50.
        ([line(usd="25", quantity="10e6")], [held(usd="20", quantity="10e6")], {"rate": D(5)}),
        # Both: 2 million more at $2 are $4, and 12 million at 50 cents more are $6.
        (
            [line(usd="30", quantity="12e6")],
            [held(usd="20", quantity="10e6")],
            {"quantity": D(4), "rate": D(6)},
        ),
        # A million tokens of the ledger have no price.
        (
            [line(usd="22", quantity="11e6")],
            [held(usd="20", quantity="10e6", unpriced="1e6")],
            {"coverage": D(2)},
        ),
        # A line that stands twice.
        (
            [line(usd="20", quantity="10e6"), line(1, usd="20", quantity="10e6")],
            [held(usd="20", quantity="10e6")],
            {"quantity": D(20)},
        ),
        # A fifth of the bill is of September.
        (
            [
                line(usd="20", quantity="10e6"),
                line(1, usd="5", quantity="2.5e6", charge_period_start=NOVEMBER - timedelta(days=40)),
            ],
            [held(usd="20", quantity="10e6")],
            {"timing": D(5)},
        ),
        # Without a quantity nobody can tell why.
        ([line(usd="21")], [held(usd="20", quantity="10e6")], {"unexplained": D(1)}),
        # Output of the ledger is text and reasoning; the bill has one line for both.
        (
            [line(usd="90", quantity="9e6", token_class="output_text")],
            [
                held(usd="60", quantity="6e6", meter="output_text"),
                held(usd="30", quantity="3e6", meter="reasoning"),
            ],
            {},
        ),
        # The log names no region; the bill's does.
        ([line(usd="20", quantity="10e6", region="us-east-1")], [held(usd="20", quantity="10e6")], {}),
        # One line for the whole provider, as for consumption units.
        (
            [line(usd="50", canonical_model=None, token_class=None)],
            [held(usd="20", quantity="10e6"), held(usd="30", quantity="3e6", meter="output_text")],
            {},
        ),
    ],
)
def test_a_planted_difference_is_found_with_its_dollars(lines, ledger, found):
    (row,) = reconcile(lines, ledger).to_dicts()
    assert terms(row) == found


def test_what_the_bill_lacks_stands_on_a_row_of_its_own():
    rows = reconcile(
        [line(usd="20", quantity="10e6")],
        [held(usd="20", quantity="10e6"), held(usd="7", quantity="1e6", model="gpt-y")],
    ).to_dicts()
    assert [(row["model"], row["line_count"], terms(row)) for row in rows] == [
        ("gpt-x", 1, {}), ("gpt-y", 0, {"quantity": D(-7)}),
    ]  # fmt: skip


def test_usage_that_counters_saw_and_no_log_tells_of_is_coverage_at_the_book_price():
    rates = pl.DataFrame(
        {"provider": ["example"], "model": ["gpt-x"], "meter": ["input_uncached"],
         "book_usd_per_unit": [D("0.000002")]},
        schema_overrides={"book_usd_per_unit": pl.Decimal(38, 12)},
    )  # fmt: skip
    (row,) = reconcile(
        [line(usd="25", quantity="10e6")], [], rates=rates, gaps=[held(quantity="9e6")]
    ).to_dicts()
    # At the book's $2: 9 million that the counter saw, 1 million that it did not, and 50 cents a million more.
    assert terms(row) == {"coverage": D(18), "quantity": D(2), "rate": D(5)}


def test_taxes_fees_credits_and_refunds_are_terms_of_their_own():
    rows = reconcile(
        [
            line(usd="20", quantity="10e6"),
            line(1, usd="3.8", charge_category="Tax", provider=None, canonical_model=None, token_class=None),
            line(
                2, usd="-5", charge_category="Credit", provider=None, canonical_model=None, token_class=None
            ),
            line(3, usd="-2", charge_class="Correction"),
            line(
                4, usd="10", charge_category="Purchase", provider=None, canonical_model=None, token_class=None
            ),
        ],
        [held(usd="20", quantity="10e6")],
    )
    sums = rows.select(pl.col("^(fee|credit|difference)_usd$").sum()).row(0, named=True)
    assert sums == {"fee_usd": D("13.8"), "credit_usd": D(-7), "difference_usd": D("6.8")}
    assert rows.get_column("invoiced_usd").sum() == D("26.8")


def test_a_bill_in_another_currency_differs_by_the_exchange_rate_and_by_the_price():
    """EUR 18 for 10 million: $19.80 at the bill's 1.10, $20.16 at the ledger's 1.12, whose $20 are $0.16 less."""
    (row,) = reconcile(
        [line(quantity="10e6", billed_cost=D(18), usd=D("19.8"), currency="EUR")],
        [held(usd="20", quantity="10e6", fx_usd_per_unit=D("1.12"))],
    ).to_dicts()
    assert terms(row) == {"fx": D("-0.36"), "rate": D("0.16")}


def test_a_line_without_an_exchange_rate_is_not_known():
    (row,) = reconcile([line(quantity="1", billed_cost=D(18), usd=None, currency="EUR")], []).to_dicts()
    assert (row["invoiced_usd"], row["difference_usd"]) == (None, None)
