"""A bill against the ledger: planted differences are found with their dollars, and nothing is left over."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from models.finance.invoices import invoice_lines
from models.prices.chips import billed_machines
from models.schemas import table
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
        # One line for the whole provider, as for consumption units: 5,000 at a cent.
        (
            [
                line(
                    usd="50",
                    quantity="5000",
                    consumed_unit="consumption_units",
                    canonical_model=None,
                    token_class=None,
                )
            ],
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


def test_a_rate_of_another_currency_than_the_bills_moves_nothing():
    """GBP 16 at 1.25 for what EUR 18 at 1.12 is in the ledger: the euro's rate says nothing of pounds."""
    for price_currency, found in (
        ("EUR", {"rate": D("-0.16")}),
        ("GBP", {"fx": D("2.08"), "rate": D("-2.24")}),
    ):
        (row,) = reconcile(
            [line(quantity="10e6", billed_cost=D(16), usd=D(20), currency="GBP")],
            [held(usd="20.16", quantity="10e6", fx_usd_per_unit=D("1.12"), price_currency=price_currency)],
        ).to_dicts()
        assert terms(row) == found
    # One for one is an exchange rate as well.
    (row,) = reconcile(
        [line(quantity="10e6", billed_cost=D(18), usd=D(18), currency="EUR")],
        [held(usd="20.16", quantity="10e6", fx_usd_per_unit=D("1.12"))],
    ).to_dicts()
    assert terms(row) == {"fx": D("-2.16")}


def test_a_line_without_an_exchange_rate_is_not_known():
    (row,) = reconcile([line(quantity="1", billed_cost=D(18), usd=None, currency="EUR")], []).to_dicts()
    assert (row["invoiced_usd"], row["difference_usd"]) == (None, None)


def test_what_another_bill_bills_of_a_period_is_timing_on_both():
    """2 million of October's 10 million stand on November's bill, as Google's last hours of a month do."""
    late = line(
        usd="4", quantity="2e6", billing_period_start=NOVEMBER, billing_period_end=NOVEMBER + timedelta(days=30),
        billed_on=NOVEMBER.date(), charge_period_start=NOVEMBER - timedelta(hours=3),
    )  # fmt: skip
    october = reconcile([line(usd="16", quantity="8e6")], [held(usd="20", quantity="10e6")], elsewhere=[late])
    november = reconcile([late], [held(billing_period_start=NOVEMBER)])
    assert terms(october.row(0, named=True)) == {"timing": D(-4)}
    assert terms(november.row(0, named=True)) == {"timing": D(4)}


@pytest.mark.parametrize(
    ("usd", "quantity", "cause"),
    [
        # Priced by the thousand where the million was meant, and the other way round.
        ("20000", "10e6", "unit"),
        ("0.02", "10e6", "unit"),
        ("20", "10e3", "unit"),
        ("40", "20e6", "double_line"),
        ("25", "10e6", "rate"),
        ("24", "12e6", "quantity"),
        ("20", "10e6", None),
    ],
)
def test_a_difference_says_what_it_looks_like(usd, quantity, cause):
    (row,) = reconcile([line(usd=usd, quantity=quantity)], [held(usd="20", quantity="10e6")]).to_dicts()
    assert (row["cause"], row["unexplained_usd"]) == (cause, 0)


def test_a_bill_for_accelerators_ties_to_the_hours_of_their_pools():
    """8 H100 on demand at $4: 30 hours billed, of which 2 a minimum and 3 unheld; a reserved one at $2 bought ahead."""
    machine = {"canonical_model": None, "token_class": None, "provider": "aws", "consumed_unit": "seconds"}
    pool = {"model": None, "provider": "aws", "meter": "H100", "region": "us-east-1"}
    rows = reconcile(
        [
            line(usd="132", quantity=str(33 * 3600), chip="H100", service_tier="on_demand", **machine),
            # The fee of a reservation, and the hours that it covers at nothing.
            line(1, usd="1488", chip="H100", service_tier="reserved", charge_category="Purchase", **machine),
            line(2, usd="0", quantity=str(700 * 3600), chip="H100", service_tier="reserved", **machine),
            # Disks are no accelerators, whoever else has no line.
            line(3, usd="7", meter="EBS:VolumeUsage.gp3", **machine | {"consumed_unit": None}),
        ],
        [
            held(usd="120", quantity=str(30 * 3600), service_tier="on_demand", **pool)
            | {"minimum_usd": D(8), "unheld_usd": D(12)},
            held(usd="1488", quantity=str(744 * 3600), service_tier="reserved", **pool)
            | {"unused_commitment_usd": D(88)},
        ],
    )
    told = {row["meter"] + " " + (row["service_tier"] or "-"): row for row in rows.to_dicts()}
    assert terms(told["H100 default"]) == {"quantity": D(12)}
    assert (told["H100 default"]["ledger_minimum_usd"], told["H100 default"]["ledger_unheld_usd"]) == (8, 12)
    reserved = told["H100 reserved"]
    assert (reserved["difference_usd"], reserved["ledger_unused_commitment_usd"]) == (0, 88)
    assert reserved["quantity_usd"] + reserved["rate_usd"] == 0
    assert terms(told["EBS:VolumeUsage.gp3 -"]) == {"unexplained": D(7)}


def test_two_exchange_rates_of_the_ledger_weigh_by_their_dollars():
    """$11 at 1.10 are EUR 10, $36 at 1.20 EUR 30: EUR 40 cost $47, whichever part comes first."""
    parts = [
        held(usd="11", quantity="1e6", fx_usd_per_unit=D("1.10")),
        held(usd="36", quantity="3e6", fx_usd_per_unit=D("1.20"), region="eu"),
    ]
    for ledger in (parts, parts[::-1]):
        (row,) = reconcile(
            [line(quantity="4e6", billed_cost=D(40), usd=D(44), currency="EUR")], ledger
        ).to_dicts()
        assert terms(row) == {"fx": D(-3)}


def test_models_are_known_by_the_words_of_bills():
    names = pl.DataFrame(
        [("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"), ("aws.bedrock", "amazon.nova-micro-v1:0"),
         ("azure.ai.openai", "gpt-4o-2024-08-06"), ("azure.ai.openai", "gpt-4o-2024-11-20"),
         ("gcp.vertex_ai", "gemini-2.5-flash"), ("gcp.vertex_ai", "gemini-2.5-flash-lite")],
        schema=["provider", "alias"], orient="row",
    )  # fmt: skip
    known = (
        table("ref.models")
        .conform(
            names.lazy().with_columns(
                model="alias", valid_from=pl.lit(datetime(2025, 1, 1, tzinfo=UTC)), sheet_path=pl.lit("x")
            ),
            fill=True,
        )
        .collect()
    )
    written = [
        ("aws.bedrock", "Claude4.5Sonnet"),
        ("aws.bedrock", "NovaMicro"),
        ("azure.ai.openai", "gpt 4o 0806"),
        ("azure.ai.openai", "gpt 4o"),
        ("gcp.vertex_ai", "Gemini 2.5 Flash"),
        ("gcp.vertex_ai", "Gemini 5.2 Flash"),
    ]
    lines = table("core.invoice_lines").frame(
        line(number, provider=provider, model=model, canonical_model=None)
        for number, (provider, model) in enumerate(written)
    )
    rows = invoice_lines(
        lines.drop("canonical_model", "unit_price", "usd", "fx_usd_per_unit", "fx_on", "billed_on"),
        names=known,
        fx=table("ref.fx_rates").empty(),
    )
    # Two models are `gpt 4o`, and none is `5.2`.
    assert rows["canonical_model"].to_list() == [
        "anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-micro-v1:0", "gpt-4o-2024-08-06", None,
        "gemini-2.5-flash", None,
    ]  # fmt: skip


def test_an_hour_of_a_machine_is_that_many_hours_of_its_chips():
    lines = table("core.invoice_lines").frame(
        line(number, provider=provider, chip=chip, quantity="3600", consumed_unit="seconds")
        for number, (provider, chip) in enumerate(
            [("aws", "p5.48xlarge"), ("azure", "Standard_ND96isr_H100_v5"), ("runpod", "NVIDIA H200")]
        )
    )
    rows = invoice_lines(
        lines.drop("canonical_model", "unit_price", "usd", "fx_usd_per_unit", "fx_on", "billed_on"),
        names=table("ref.models").empty(),
        fx=table("ref.fx_rates").empty(),
        chips=billed_machines(),
    )
    assert rows.select("chip", "consumed_quantity").rows() == [
        ("H100", 28_800),
        ("H100", 28_800),
        ("H200", 3600),
    ]


def test_one_spelling_of_a_bill_takes_what_the_book_holds_by_place_and_version():
    """https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html: `us.`, `global.`."""
    places = ("anthropic.", "us.anthropic.", "global.anthropic.")
    ledger = [
        held(usd="30", quantity="10e6", model=f"{place}claude-sonnet-4-5-20250929-v1:0") for place in places
    ] + [
        held(usd="7", quantity="1e6", model="anthropic.claude-3-5-sonnet-20240620-v1:0"),
        held(usd="3", quantity="1e6", model="anthropic.claude-3-5-sonnet-20241022-v2:0"),
    ]
    billed = [
        line(1, quantity="30e6", usd="90", canonical_model=None, model="Claude4.5Sonnet"),
        # A spelling with a date takes its own version alone.
        line(2, quantity="1e6", usd="7", canonical_model="anthropic.claude-3-5-sonnet-20240620-v1:0"),
        line(3, quantity="1e6", usd="3", canonical_model=None, model="claude-3-5-sonnet-20241022"),
    ]
    rows = {row["model"]: row for row in reconcile(billed, ledger).to_dicts()}
    assert {name: (row["difference_usd"], row["ledger_usd"]) for name, row in rows.items()} == {
        "Claude4.5Sonnet": (0, 90),
        "anthropic.claude-3-5-sonnet-20240620-v1:0": (0, 7),
        "claude-3-5-sonnet-20241022": (0, 3),
    }
