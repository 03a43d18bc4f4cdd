"""Two exports of one bill are never added up: one counts, the other is named as a view of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from models.finance.bill_views import other_views
from models.finance.invoices import PLACE, bill_deliveries, lines_in_force
from models.schemas import table
from tests.models.logs.reading import read_records

D = Decimal
DAYS = range(1, 5)


def azure(day: int, cost: str, **more: str) -> dict[str, str]:
    return {
        "Date": f"10/{day:02}/2026", "BillingPeriodStartDate": "10/01/2026", "BillingPeriodEndDate": "10/31/2026",
        "BillingProfileId": "/providers/billing/ABCD-1", "SubscriptionId": "s-1", "MeterCategory": "Foundry Models",
        "MeterSubCategory": "Azure OpenAI", "MeterName": "gpt-4o-mini-0718-Inp-glbl Tokens", "UnitOfMeasure": "1K",
        "Quantity": "1200", "CostInBillingCurrency": cost, "BillingCurrency": "USD", "ChargeType": "Usage",
        "ConsumedService": "Microsoft.CognitiveServices", "PricingModel": "OnDemand", **more,
    }  # fmt: skip


RESERVED = {
    "MeterCategory": "Virtual Machines", "MeterName": "ND96isr H100 v5", "PricingModel": "Reservation",
    "ReservationId": "r-1", "UnitOfMeasure": "1 Hour", "Quantity": "24", "ConsumedService": "Microsoft.Compute",
}  # fmt: skip
ACTUAL = [*(azure(day, f"0.{day}") for day in DAYS), azure(1, "0", **RESERVED),
          azure(1, "9000", **RESERVED | {"ChargeType": "Purchase"})]  # fmt: skip
AMORTISED = [*(azure(day, f"0.{day}") for day in DAYS), azure(1, "2000", **RESERVED),
             azure(1, "500", **RESERVED | {"ChargeType": "UnusedReservation"})]  # fmt: skip


def cur(day: int, cost: str, account: str = "111") -> dict[str, str]:
    return {
        "bill_payer_account_id": account, "line_item_line_item_type": "Usage",
        "line_item_product_code": "AmazonBedrock",
        "line_item_usage_type": "USE1-Claude4.6Sonnet-output-tokens", "line_item_unblended_cost": cost,
        "line_item_currency_code": "USD", "line_item_usage_start_date": f"2026-10-{day:02}T00:00:00Z",
    }  # fmt: skip


def focus(
    day: int, cost: str, account: str | None = "111", issuer: str = "AWS", **more: str
) -> dict[str, str | None]:
    return {
        "BillingAccountId": account, "InvoiceIssuerName": issuer, "ServiceProviderName": issuer,
        "ServiceName": "Amazon Bedrock", "ChargeCategory": "Usage", "BilledCost": cost, "BillingCurrency": "USD",
        "ChargePeriodStart": f"2026-10-{day:02}T00:00:00Z", "SkuMeter": "output", **more,
    }  # fmt: skip


def google(day: int, cost: float, resource: str | None = None) -> dict[str, object]:
    return {
        "billing_account_id": "01ABCD", "service": {"description": "Vertex AI"}, "invoice": {"month": "202610"},
        "sku": {"description": "Gemini 2.5 Flash GA Text Output - Predictions"}, "cost": cost, "currency": "USD",
        "usage_start_time": f"2026-10-{day:02}T10:00:00Z", "resource": resource and {"global_name": resource},
    }  # fmt: skip


def openai(day: int, cost: float, project: str | None = None) -> dict[str, object]:
    start = 1790812800 + 86_400 * (day - 1)
    result = {"object": "organization.costs.result", "amount": {"value": cost, "currency": "usd"},
              "line_item": "gpt-4o, input", "project_id": project}  # fmt: skip
    return {"start_time": start, "end_time": start + 86_400, "results": [result]}


def by_hand(cost: str, **more: str) -> dict[str, str]:
    return {
        "invoice_issuer_name": "OpenAI", "invoice_id": "INV-7", "charge_period_start": "2026-10-01",
        "billed_cost": cost, "currency": "USD", **more,
    }  # fmt: skip


TAX = by_hand("2.50", charge_category="Tax")

Files = list[tuple[str, str, list]]


def landed(files: Files) -> pl.DataFrame:
    """Read files as landings do, in order: (source, kind, records)."""
    parts = []
    for number, (source, kind, records) in enumerate(files):
        read = read_records(kind, records)
        assert read["quarantine_reason"].null_count() == len(read)
        parts.append(
            read.with_columns(
                source=pl.lit(source), source_kind=pl.lit(kind), file_hash=pl.lit(f"file{number}"),
                ingested_at=pl.lit(datetime(2026, 11, 2, tzinfo=UTC) + timedelta(microseconds=number)),
            )
        )  # fmt: skip
    schema = table("raw.invoice_lines")
    return pl.concat(schema.conform(part.lazy(), fill=True).collect() for part in parts)


ON_DEMAND, SOME_DAYS = [azure(day, f"0.{day}") for day in DAYS], [azure(day, f"0.{day}") for day in (1, 2)]
CUR = [cur(day, f"1.{day}") for day in DAYS]
CASES: dict[str, tuple[Files, list[int], str]] = {
    # name: files, the lines of each that count, and the dollars that do.
    "azure: actual and amortised in one folder": (
        [("a", "azure_cost_export", AMORTISED), ("a", "azure_cost_export", ACTUAL)], [0, 6], "9001"),
    "azure: a source each": (
        [("b", "azure_cost_export", ACTUAL), ("a", "azure_cost_export", AMORTISED)], [6, 0], "9001"),
    "azure: actual and amortised of nothing but commitments": (
        [("a", "azure_cost_export", AMORTISED[-1:]), ("a", "azure_cost_export", ACTUAL[-1:])], [0, 1], "9000"),
    "azure: amortised alone, exported anew each day": (
        [("a", "azure_cost_export", SOME_DAYS), ("a", "azure_cost_export", AMORTISED)], [0, 6], "1"),
    "azure: amortised alone": ([("a", "azure_cost_export", AMORTISED)], [6], "1"),
    "azure: a month to date exported anew each day": (
        [("a", "azure_cost_export", SOME_DAYS), ("a", "azure_cost_export", ON_DEMAND)], [0, 4], "1"),
    "azure: two halves of a month": (
        [("a", "azure_cost_export", SOME_DAYS), ("a", "azure_cost_export", ON_DEMAND[2:])], [2, 2], "1"),
    "azure: two subscriptions with the same figures": (
        [("a", "azure_cost_export", ON_DEMAND),
         ("a", "azure_cost_export", [line | {"SubscriptionId": "s-2"} for line in ON_DEMAND])], [4, 4], "2"),
    "azure: FOCUS beside the export, whose account it spells otherwise": (
        [("f", "focus", [focus(day, f"0.{day}0", "/providers/x/billingProfiles/abcd-1", "Microsoft") for day in DAYS]),
         ("a", "azure_cost_export", ON_DEMAND)], [0, 4], "1"),
    "aws: CUR beside FOCUS": (
        [("f", "focus", [focus(day, f"1.{day}") for day in DAYS]), ("c", "aws_cur", CUR)], [0, 4], "5"),
    "aws: the one that reaches further counts": (
        [("f", "focus", [focus(day, f"1.{day}") for day in DAYS]), ("c", "aws_cur", CUR[:2])], [4, 0], "5"),
    "aws: two accounts": (
        [("f", "focus", [focus(day, f"1.{day}", "222") for day in DAYS]), ("c", "aws_cur", CUR)], [4, 4], "10"),
    "google: standard beside detailed": (
        [("g", "gcp_billing_export", [google(day, day) for day in DAYS]),
         ("d", "gcp_billing_export", [google(day, day / 2, f"r{half}") for day in DAYS for half in (1, 2)])],
        [0, 8], "10"),
    "openai: its invoice by hand beside its costs, whose tax counts": (
        [("i", "invoice_lines", [by_hand("10.00"), TAX]), ("o", "openai_costs", [openai(day, day) for day in DAYS])],
        [1, 4], "12.5"),
    "openai: FOCUS beside its costs": (
        [("f", "focus", [focus(day, str(day), None, "OpenAI") for day in DAYS]),
         ("o", "openai_costs", [openai(day, day) for day in DAYS])], [0, 4], "10"),
    "openai: the tax alone by hand": (
        [("i", "invoice_lines", [TAX]), ("o", "openai_costs", [openai(day, day) for day in DAYS])], [1, 4], "12.5"),
    "openai: two organisations": (
        [("o", "openai_costs", [openai(day, day) for day in DAYS]),
         ("p", "openai_costs", [openai(day, day + 1) for day in DAYS])], [4, 4], "24"),
    "openai: two projects with the same figures": (
        [("o", "openai_costs", [openai(day, day, "p1") for day in DAYS]),
         ("p", "openai_costs", [openai(day, day, "p2") for day in DAYS])], [4, 4], "20"),
    "two sources over one folder": (
        [("o", "openai_costs", [openai(day, day) for day in DAYS]),
         ("p", "openai_costs", [openai(day, day) for day in DAYS])], [0, 4], "10"),
    "a line twice in one file is the tie-out's to name": ([("c", "aws_cur", CUR + CUR)], [8], "10"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_same_dollars_count_once(name: str) -> None:
    files, counts, usd = CASES[name]
    lines = landed(files)
    views = other_views(lines)
    counted = lines.join(views, on=list(PLACE), how="anti")
    assert [len(counted.filter(pl.col("file_hash") == f"file{n}")) for n in range(len(files))] == counts
    assert counted["billed_cost"].sum() == D(usd)
    assert len(views) == len(lines) - len(counted)
    assert views["counted_by"].null_count() == 0


def test_an_amortised_export_that_comes_later_does_not_replace_the_actual_one():
    for files in ([ACTUAL, AMORTISED], [AMORTISED, ACTUAL], [ACTUAL, AMORTISED, ACTUAL[1:]]):
        lines = landed([("a", "azure_cost_export", records) for records in files])
        later = pl.col("file_hash").str.slice(4).cast(pl.Int64)
        lines = lines.with_columns(pl.col("ingested_at") + pl.duration(days=later))
        force = lines_in_force(lines)
        views = other_views(force)
        counted = force.join(views, on=list(PLACE), how="anti")
        # What is payable is the last actual export's, in whatever order the two come.
        latest = max(place for place, records in enumerate(files) if records is not AMORTISED)
        assert counted["file_hash"].unique().to_list() == [f"file{latest}"]
        told = bill_deliveries(lines, force, views)
        assert told.filter("is_in_force")["delivery"].to_list() == [latest + 1]
        assert told["counted_by"].drop_nulls().to_list() == ["a (azure_cost_export)"]


def test_sources_that_say_what_part_they_bill_are_no_views_of_others():
    files, counts, _ = CASES["two sources over one folder"]
    assert other_views(landed(files), apart=frozenset({"p"})).is_empty()
    assert other_views(landed(files))["counted_by"].unique().to_list() == ["p (openai_costs)"]
    assert counts == [0, 4]
