"""The journal of a month: every cost on an account, both sides equal to the last digit, in any currency."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ConfigurationError, DataError
from models.finance.journal import journal, load_journal
from models.money import USD
from models.schemas.cost_kinds import COST_KINDS

OCTOBER = date(2026, 10, 1)
CHARGE = {"cost_centre": pl.String, "cost_kind": pl.String, "usd": USD}
DEBT = {"invoice_issuer_name": pl.String, "usd": USD}
ACCOUNTS = """\
version: 1
entity: ACME-US
cost_centre: CC-0
costs:
  - {account: 6100}
  - {account: 6110, kinds: [idle, cold_start], memo: GPU overhead}
  - {account: 6900, kinds: [idle], cost_centre: CC-9}
debts:
  - {account: 2100}
  - {account: 2150, issuer: OpenAI, memo: OpenAI accrual}
"""


def book(charges, debts, text=ACCOUNTS, **more):
    return journal(
        pl.DataFrame(charges, schema=CHARGE, orient="row"),
        pl.DataFrame(debts, schema=DEBT, orient="row"),
        load_journal(text, path="journal.yml"),
        month_on=OCTOBER,
        **more,
    )


CHARGES = [
    ("CC-1", "usage", Decimal("100.004")), ("CC-1", "idle", Decimal("50.004")), (None, "cold_start", Decimal("0.004")),
    ("CC-9", "idle", Decimal(7)), ("CC-1", "credit", Decimal(-10)),
]  # fmt: skip
DEBTS = [("OpenAI", Decimal("90.004")), ("CoreWeave", Decimal("57.008")), (None, Decimal(0))]


def test_a_journal_has_an_account_for_every_cost_and_balances():
    rows = book(CHARGES, DEBTS).select("account", "cost_centre", "debit", "credit", "memo").rows()
    # So far: -10.00, 90.00, 90.01, 140.01, 147.01; the cent that the parts lack falls in the line that completes it.
    assert [(a, c, f"{d}", f"{k}", m) for a, c, d, k, m in rows] == [
        ("6100", "CC-1", "0.00", "10.00", "credit"),
        ("6100", "CC-1", "100.00", "0.00", "usage"),
        ("6110", "CC-0", "0.01", "0.00", "GPU overhead"),
        ("6110", "CC-1", "50.00", "0.00", "GPU overhead"),
        ("6900", "CC-9", "7.00", "0.00", "idle"),
        ("2100", None, "0.00", "57.01", "CoreWeave"),
        ("2150", None, "0.00", "90.00", "OpenAI accrual"),
    ]


def test_what_has_no_account_is_shown():
    rows = book(CHARGES, DEBTS, text="")
    assert set(rows.get_column("account")) == {"(no account)"}
    assert rows.get_column("debit").sum() == rows.get_column("credit").sum() == Decimal("157.01")


def test_another_currency_is_at_the_rate_of_the_month():
    rows = book(CHARGES, DEBTS, currency="EUR", usd_per_unit=Decimal("1.25"))
    assert set(rows.get_column("currency")) == {"EUR"}
    net = rows.get_column("debit").sum() - Decimal(8)  # the credit of $10
    assert net == Decimal("117.61")  # 147.012 / 1.25
    assert rows.get_column("credit").sum() == rows.get_column("debit").sum()


def test_charges_that_are_not_owed_are_no_journal():
    with pytest.raises(DataError, match=r"2026-10 does not balance: payers are charged \$1"):
        book([*CHARGES, ("CC-1", "usage", Decimal(1))], DEBTS)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ACCOUNTS.replace("entity: ACME-US\n", ""), "'entity' is missing"),
        (ACCOUNTS.replace("idle, cold_start", "idel"), "line 6: costs.1.kinds.0: 'idel' is no kind of cost"),
        (ACCOUNTS.replace("issuer:", "isuer:"), "line 10: unknown key 'isuer'; did you mean 'issuer'?"),
        ("version: 1\nentity: A\ncosts: []\ndebts: []\n", "line 3: costs"),
    ],
)
def test_a_wrong_entry_is_a_sentence_with_its_line(text, sentence):
    with pytest.raises(ConfigurationError, match=r"journal\.yml, line") as error:
        load_journal(text, path="journal.yml")
    assert sentence in str(error.value)


USD_AMOUNT = st.decimals(-(10**8), 10**8, places=12)


@settings(max_examples=60, deadline=None)
@given(
    charges=st.lists(
        st.tuples(st.sampled_from(["CC-1", "CC-9", None]), st.sampled_from(COST_KINDS), USD_AMOUNT),
        max_size=12,
    ),
    shares=st.lists(USD_AMOUNT, max_size=3),
    rate=st.decimals("0.000001", "1000", places=6),
    decimals=st.integers(0, 6),
)
def test_every_journal_balances_to_zero(charges, shares, rate, decimals):
    whole = sum((usd for *_, usd in charges), Decimal(0))
    rest = whole - sum(shares, Decimal(0))
    debts = [*zip(["OpenAI", "Azure", None], shares, strict=False), ("Groq", rest)]
    text = ACCOUNTS.replace("cost_centre: CC-0", f"decimals: {decimals}")
    rows = book(charges, debts, text=text, currency="EUR", usd_per_unit=rate)
    debit, credit = rows.get_column("debit").sum(), rows.get_column("credit").sum()
    assert debit == credit
    costs = rows.filter(pl.col("account").str.starts_with("6"))
    net = costs.get_column("debit").sum() - costs.get_column("credit").sum()
    assert abs(net * rate - whole) <= rate * Decimal(1).scaleb(-decimals) / 2
