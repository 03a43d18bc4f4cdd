"""What a month was accrued at and what its bills ask for: closed months stay, what comes later is booked later."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.finance.accruals import accruals
from models.money import USD
from models.schemas import table
from models.schemas.mart_accruals_monthly import TRUE_UP_CAUSES
from models.schemas.mart_invoice_reconciliation import RECONCILIATION_TERMS

OCT, NOV, DEC = date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)
LEDGER = {"month_on": pl.Date, "provider": pl.String, "usd": USD}
BILLS: dict[str, Any] = {
    "month_on": pl.Date, "invoice_issuer_name": pl.String, "invoiced_usd": USD, "ledger_usd": USD,
    **{f"{name}_usd": USD for name in RECONCILIATION_TERMS},
    "bill_count": pl.Int64, "unknown_count": pl.Int64, "delivered_on": pl.Date,
}  # fmt: skip
CORRECTIONS = {"month_on": pl.Date, "booked_on": pl.Date, "provider": pl.String, "usd": USD}


def bill(
    ledger: str, *, on: date = NOV, issuer: str = "OpenAI", month: date = OCT, **terms: str
) -> dict[str, Any]:
    parts = {f"{name}_usd": Decimal(terms.get(name, "0")) for name in RECONCILIATION_TERMS}
    return {
        "month_on": month, "invoice_issuer_name": issuer, "ledger_usd": Decimal(ledger), **parts,
        "invoiced_usd": Decimal(ledger) + sum(parts.values()), "bill_count": 1, "unknown_count": 0, "delivered_on": on,
    }  # fmt: skip


def accrue(*, ledger="100", bills=(), corrections=(), issuer="OpenAI", kept=None, closed=()):
    before = table("mart.accruals_monthly").empty() if kept is None else kept
    issuers = [{"provider": "openai", "invoice_issuer_name": issuer}] if issuer else []
    return accruals(
        pl.DataFrame([{"month_on": OCT, "provider": "openai", "usd": Decimal(ledger)}], schema=LEDGER),
        pl.DataFrame(list(bills), schema=BILLS),
        pl.DataFrame(
            [
                {"month_on": OCT, "booked_on": on, "provider": "openai", "usd": Decimal(usd)}
                for on, usd in corrections
            ],
            schema=CORRECTIONS,
        ),
        issuers=pl.DataFrame(issuers, schema={"provider": pl.String, "invoice_issuer_name": pl.String}),
        kept=before,
        closed=closed,
    )


def told(rows: pl.DataFrame) -> list[tuple[str, str, dict[str, float]]]:
    """Return of each row its booking month, issuer and amounts that are not 0."""
    return [
        (
            f"{row['booked_on']:%Y-%m}", row["invoice_issuer_name"],
            {name.removesuffix("_usd"): float(value) for name, value in row.items() if name.endswith("_usd") and value},
        )
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip


def test_a_month_is_accrued_on_day_one_and_trued_up_by_cause_when_its_bill_comes():
    assert told(accrue(issuer=None)) == [("2026-10", "openai", {"accrued": 100})]
    before_close = accrue(bills=[bill("100", rate="5", fee="21", credit="-10")])
    trued = {"accrued": 100, "invoiced": 116, "true_up": 16, "rate": 5, "fee": 21, "credit": -10}
    assert told(before_close) == [("2026-10", "OpenAI", trued)]


def test_what_comes_after_the_close_is_booked_in_the_month_in_which_it_comes():
    closed = accrue(issuer=None)  # closed before any bill told who bills openai
    november = accrue(bills=[bill("98", coverage="7")], kept=closed, closed=[OCT], corrections=[(NOV, "4")])
    # The bill's scope holds $98 of the $100; $4 of what it has more is booked as corrections already.
    later = {
        "accrued": 100,
        "corrected": 4,
        "invoiced": 105,
        "true_up": 1,
        "coverage": 7,
        "scope": -2,
        "correction": -4,
    }
    assert told(november) == [
        ("2026-10", "openai", {"accrued": 100}),
        ("2026-11", "OpenAI", later),
        ("2026-11", "openai", {"accrued": -100}),
    ]
    # A late refund, delivered in December: November is closed as well, and nothing of it moves.
    refund = [bill("98", on=date(2026, 12, 9), coverage="7", credit="-3")]
    december = accrue(bills=refund, kept=november, closed=[OCT, NOV], corrections=[(NOV, "4")])
    assert told(december)[:3] == [told(november)[0], *told(november)[1:]]
    assert told(december)[3:] == [("2026-12", "OpenAI", {"invoiced": -3, "true_up": -3, "credit": -3})]
    assert told(
        accrue(bills=refund, kept=december, closed=[OCT, NOV, DEC], corrections=[(NOV, "4")])
    ) == told(december)


def test_a_bill_without_an_exchange_rate_trues_up_nothing_and_says_so():
    (row,) = accrue(bills=[bill("100", rate="5") | {"invoiced_usd": None, "unknown_count": 2}]).iter_rows(
        named=True
    )
    assert (row["invoiced_usd"], row["true_up_usd"], row["unknown_count"]) == (None, 0, 2)


AMOUNT = st.decimals(-(10**9), 10**9, places=12).map(str)
STATE = st.tuples(
    st.none() | st.fixed_dictionaries(dict.fromkeys(RECONCILIATION_TERMS, AMOUNT)),
    AMOUNT,
    st.lists(AMOUNT, max_size=2),
    st.sampled_from(["OpenAI", "Azure", None]),
    st.integers(0, 27),
)


@settings(max_examples=40, deadline=None)
@given(states=st.lists(STATE, min_size=1, max_size=4))
def test_booked_months_sum_to_what_is_known_and_never_move(states):
    kept, closed, corrections = None, [], []
    for number, (terms, ledger, more, issuer, day) in enumerate(states):
        now = date(2026 + (9 + number) // 12, (9 + number) % 12 + 1, 1)
        if closed:
            corrections += [(now, usd) for usd in more]
        bills = (
            [bill(ledger, on=now.replace(day=day + 1), issuer=issuer or "openai", **terms)] if terms else []
        )
        rows = accrue(bills=bills, corrections=corrections, issuer=issuer, kept=kept, closed=closed)

        causes = [f"{name}_usd" for name in TRUE_UP_CAUSES]
        assert rows.select(pl.sum_horizontal(causes).cast(USD) == pl.col("true_up_usd")).to_series().all()
        known = (
            Decimal(bills[0]["invoiced_usd"])
            if bills
            else Decimal(100) + sum(Decimal(u) for _, u in corrections)
        )
        total = (
            rows.select(pl.sum_horizontal("accrued_usd", "corrected_usd", "true_up_usd").cast(USD))
            .to_series()
            .sum()
        )
        assert total == known
        assert rows.get_column("accrued_usd").sum() == 100
        if kept is not None:
            still = rows.filter(pl.col("booked_on").is_in(closed))
            assert still.equals(kept)
        kept, closed = rows, [*closed, now]
