"""Whatever a bill says: its rows sum to what is payable, and the terms to what parts it from the ledger."""

from decimal import Decimal, localcontext

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.schemas.invoice_columns import CHARGE_CATEGORIES
from tests.models.finance.bills import OCTOBER, day, held, line, reconcile

MODELS = st.sampled_from(["gpt-x", "gpt-y", None])
METERS = st.sampled_from(["input_uncached", "cache_read", "output_text", "reasoning", None])
REGIONS = st.sampled_from(["us-east-1", "eu-west-1", None])
DOLLARS = st.decimals(-(10**6), 10**6, places=12)
QUANTITIES = st.integers(0, 10**12)
LINES = st.builds(
    lambda number, usd, quantity, **facts: line(number, usd=str(usd), quantity=quantity, **facts),
    st.integers(0, 10**6),
    DOLLARS,
    st.none() | QUANTITIES.map(str),
    canonical_model=MODELS,
    token_class=METERS,
    region=REGIONS,
    charge_category=st.sampled_from(CHARGE_CATEGORIES),
    charge_class=st.sampled_from([None, None, "Correction"]),
    charge_period_start=st.integers(-5, 40).map(day),
    invoice_id=st.sampled_from(["INV-1", None]),
)
HELD = st.builds(
    lambda usd, quantity, unpriced, **facts: held(
        usd=str(usd), quantity=str(quantity), unpriced=str(unpriced), **facts
    ),
    st.decimals(0, 10**6, places=12),
    QUANTITIES,
    QUANTITIES,
    model=st.sampled_from(["gpt-x", "gpt-y", "gpt-z"]),
    meter=st.sampled_from(["input_uncached", "cache_read", "output_text", "reasoning", "cache_write_1h"]),
    region=REGIONS,
)


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(LINES, min_size=1, max_size=12), ledger=st.lists(HELD, max_size=12))
def test_parts_sum_to_the_bill_and_to_the_ledger(lines, ledger):
    rows = reconcile(lines, ledger)  # holds the identity of every row

    assert rows.get_column("invoiced_usd").sum() == sum(row["usd"] for row in lines)
    assert rows.get_column("ledger_usd").sum() == sum((row["usd"] for row in ledger), Decimal(0))
    assert rows.get_column("line_count").sum() == len(lines)
    assert rows.filter(pl.col("billing_period_start") != OCTOBER).is_empty()


@settings(max_examples=40, deadline=None)
@given(ledger=st.lists(HELD, min_size=1, max_size=12))
def test_a_bill_that_says_what_the_ledger_holds_differs_in_nothing(ledger):
    priced = [row | {"unpriced_quantity": Decimal(0)} for row in ledger if row["quantity"]]
    lines = [
        line(number, usd=str(row["usd"]), quantity=str(row["quantity"]), canonical_model=row["model"],
             token_class=row["meter"], region=row["region"], service_tier="standard")
        for number, row in enumerate(priced)
    ]  # fmt: skip
    if lines:
        rows = reconcile(lines, priced)
        assert rows.get_column("difference_usd").sum() == 0


RATES = st.decimals("0.0062", "1.4", places=12)


@settings(max_examples=60, deadline=None)
@given(
    spent=st.lists(st.tuples(st.decimals("0.01", 10**5, places=9), RATES), min_size=1, max_size=8),
    billed_at=RATES,
)
def test_what_the_exchange_rate_parts_is_the_currencys_to_the_picodollar(spent, billed_at):
    """A bill for the same amounts in euros, at another rate: nothing of the difference is one of price."""

    def dollars(euros: Decimal, rate: Decimal) -> Decimal:
        return (euros * rate).quantize(Decimal("1e-12"))

    with localcontext(prec=60):
        euros = sum((amount for amount, _ in spent), Decimal(0))
        ledger = [
            held(usd=str(dollars(amount, rate)), quantity="1000", fx_usd_per_unit=rate, region=str(number))
            for number, (amount, rate) in enumerate(spent)
        ]
        usd = dollars(euros, billed_at)
        (row,) = reconcile(
            [line(quantity=str(1000 * len(spent)), billed_cost=euros, usd=str(usd), currency="EUR")], ledger
        ).to_dicts()
        apart = usd - sum((part["usd"] for part in ledger), Decimal(0))
        # Every row of the ledger was rounded to a picodollar once, and its euros are found again from that.
        rounding = (
            Decimal("1e-12")
            * (1 + 2 * len(spent))
            * (1 + max(rate for _, rate in spent) / min(r for _, r in spent))
        )
        assert abs(row["fx_usd"] - apart) <= rounding
        assert row["fx_usd"] + row["rate_usd"] == row["difference_usd"] == apart
