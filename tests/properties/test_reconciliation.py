"""Whatever a bill says: its rows sum to what is payable, and the terms to what parts it from the ledger."""

from decimal import Decimal

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
