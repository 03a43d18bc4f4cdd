"""Lines of bills as their issuers write them: units in ones, classes of token, decimals exact."""

import csv
import gzip
from collections.abc import Iterator
from decimal import Decimal

import polars as pl
import pytest

from models.billing.words import service_tier, single_units, token_class
from tests.models.logs.reading import read_records, shared

D = Decimal


@pytest.mark.parametrize(
    ("written", "quantity", "unit"),
    [
        ("1K tokens", 2000, "tokens"), ("1000 Tokens", 2000, "tokens"), ("1,000 tokens", 2000, "tokens"),
        ("1M Tokens", 2_000_000, "tokens"), ("1 million tokens", 2_000_000, "tokens"), ("MTok", 2_000_000, "tokens"),
        ("1K", 2000, "units"), ("1M", 2_000_000, "units"), ("count", 2, "units"), ("Units", 2, "units"),
        ("requests", 2, "calls"), ("Hrs", 7200, "seconds"), ("1/Hour", 7200, "seconds"),
        ("100 Hours", 720_000, "seconds"),
        ("GPU-Hours", 7200, "seconds"), ("Minutes", 120, "seconds"), ("GB-Hours", 2, None), ("mo", 2, None),
    ],
)  # fmt: skip
def test_units_become_single_ones(written, quantity, unit):
    single, name = single_units(pl.col("q"), pl.col("unit"))
    rows = pl.DataFrame({"q": [D(2)], "unit": [written]}, schema_overrides={"q": pl.Decimal(38, 12)})
    assert rows.select(single.alias("q"), name.alias("unit")).rows() == [(quantity, unit)]


@pytest.mark.parametrize(
    ("meter", "bills", "tier"),
    [
        # AWS: https://docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-understanding-cur-data.html
        ("USE1-Claude4.6Sonnet-input-tokens", "input_uncached", None),
        ("USE1-Claude4.6Opus-cache-read-input-token-count-cross-region-global", "cache_read", None),
        ("USE1-Claude4Sonnet-cache-write-input-token-count-1-hour", "cache_write_1h", None),
        ("USE1-Llama4-Maverick-17B-input-tokens-batch", "input_uncached", "batch"),
        ("USE1-gpt-oss-120b-output-tokens-priority", "output_text", "priority"),
        ("USE1-MP:USE1_CacheReadInputTokenCount-Units", "cache_read", None),
        ("USE1-MP:USE1_CacheWriteInputTokenCount-Units", "cache_write_5m", None),
        ("USE1-MP:USE1_CacheWrite1hInputTokenCount_Global-Units", "cache_write_1h", None),
        ("USE1-MP:USE1_ProvisionedThroughput_1MonthCommit_ModelUnits_Usage-Units", None, "provisioned"),
        # Azure: names of the retail price list, https://prices.azure.com/api/retail/prices
        ("gpt 4o 0806 cached Inp glbl Tokens", "cache_read", None),
        ("5.4 mini Opt Gl 1M Tokens", "output_text", None),
        ("5.4 pp cd inp Dz 1M Tokens", "cache_read", "priority"),
        ("5.6 sol ShortCo Cd Wr Std Gl 1M Tokens", "cache_write_5m", None),
        ("gpt-5-codex-ccchd-inp-glbl Tokens", "cache_read", None),
        ("gpt-4o-0806-FT-Hstng-glbl Unit", None, None),
        # Google: https://cloud.google.com/skus/sku-groups/gen-ai-v2
        ("Gemini 2.5 Flash GA Text Input - Predictions", "input_uncached", None),
        ("Gemini 2.5 Flash GA Thinking Text Output - Predictions", "reasoning", None),
        ("Gemini 2.5 Flash GA Input Text Caching", "cache_read", None),
        ("Gemini 3 Flash Text Input Caching Storage", None, None),
        ("Gemini 2.5 Flash Text Output (Thinking On) - Batch Predictions", "output_text", "batch"),
        ("Gemini 2.5 Flash Audio Input", "audio_input", None),
        # OpenAI's line items and Anthropic's token types
        ("gpt-4o-2024-08-06, cached input", "cache_read", None),
        ("cache_creation.ephemeral_1h_input_tokens", "cache_write_1h", None),
        ("uncached_input_tokens", "input_uncached", None),
        ("Amazon S3 requests", None, None),
    ],
)
def test_a_meters_words_tell_what_it_bills(meter, bills, tier):
    rows = pl.DataFrame({"meter": [meter]})
    told = rows.select(
        token_class(pl.col("meter")).alias("class"), service_tier(pl.col("meter")).alias("tier")
    )
    assert told.rows() == [(bills, tier)]


FOCUS = {
    "BilledCost": "0.36", "EffectiveCost": "3.6e-1", "ListCost": "0.40", "BillingCurrency": "USD",
    "BillingAccountId": "111122223333", "BillingPeriodStart": "2026-10-01T00:00:00Z",
    "BillingPeriodEnd": "2026-11-01T00:00:00Z", "ChargePeriodStart": "2026-10-03T10:00:00Z",
    "ChargePeriodEnd": "2026-10-03T11:00:00Z", "ChargeCategory": "Usage", "InvoiceIssuerName": "AWS Inc.",
    "ServiceProviderName": "AWS", "ServiceName": "Amazon Bedrock", "SkuMeter": "input-tokens",
    "PricingQuantity": "120", "PricingUnit": "1K tokens", "RegionId": "us-east-1",
}  # fmt: skip
CUR = {
    "line_item_line_item_type": "Usage", "line_item_product_code": "AmazonBedrockFoundationModels",
    "line_item_usage_type": "USE1-MP:USE1_OutputTokenCount-Units", "line_item_usage_amount": "2.5",
    "pricing_unit": "Units", "line_item_unblended_cost": "37.5", "line_item_currency_code": "USD",
    "line_item_usage_start_date": "2026-10-03T10:00:00.000Z", "line_item_usage_end_date": "2026-10-03T11:00:00.000Z",
    "bill_billing_period_start_date": "2026-10-01T00:00:00.000Z", "bill_payer_account_id": "111122223333",
    "product_region_code": "us-east-1",
}  # fmt: skip
LEGACY = {
    "lineItem/LineItemType": "Credit", "lineItem/ProductCode": "AmazonBedrock",
    "lineItem/UsageType": "USE1-Claude4.6Sonnet-input-tokens", "lineItem/UsageAmount": "0",
    "lineItem/UnblendedCost": "-12.000001", "lineItem/CurrencyCode": "USD",
    "lineItem/UsageStartDate": "2026-10-03T10:00:00Z", "bill/BillingPeriodStartDate": "2026-10-01T00:00:00Z",
    "bill/InvoiceId": "E1", "pricing/unit": "1K tokens",
}  # fmt: skip
OPENAI = {
    "object": "page",
    "data": [
        {
            "object": "bucket", "start_time": 1790812800, "end_time": 1790899200,
            "results": [
                {
                    "object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"},
                    "line_item": "gpt-5-mini-2025-08-07, cached input", "project_id": "proj_1", "quantity": 2400000,
                },
                {
                    "object": "organization.costs.result", "amount": {"value": 0.75, "currency": "usd"},
                    "line_item": "web search tool calls",
                },
            ],
        }
    ],
}  # fmt: skip
ANTHROPIC = {
    "data": [
        {
            "starting_at": "2026-10-01T00:00:00Z", "ending_at": "2026-10-02T00:00:00Z",
            "results": [
                {
                    "amount": "123.45", "currency": "USD", "description": "Claude Sonnet Usage - Input Tokens",
                    "cost_type": "tokens", "model": "claude-sonnet-4-5-20250929", "service_tier": "standard",
                    "token_type": "cache_creation.ephemeral_1h_input_tokens",
                }
            ],
        }
    ],
    "has_more": False,
}  # fmt: skip
GENERIC = {
    "invoice_issuer_name": "Example Inc.", "billed_cost": "19.80", "currency": "eur",
    "charge_period_start": "2026-10-01", "provider": "example", "model": "gpt-x", "token_class": "output_text",
    "consumed_quantity": "9", "consumed_unit": "1M tokens", "charge_category": "usage",
}  # fmt: skip


AZURE = {
    "Date": "10/03/2026", "BillingPeriodStartDate": "10/01/2026", "BillingPeriodEndDate": "10/31/2026",
    "SubscriptionId": "s-1", "ResourceLocation": "US East", "ConsumedService": "Microsoft.CognitiveServices",
    "MeterCategory": "Foundry Models", "MeterSubCategory": "Azure OpenAI",
    "MeterName": "gpt-4o-mini-0718-Batch-Inp-glbl Tokens", "UnitOfMeasure": "1K", "Quantity": "1200",
    "CostInBillingCurrency": "0.09", "BillingCurrency": "EUR", "ChargeType": "Usage", "PricingModel": "OnDemand",
}  # fmt: skip
MACHINE = {
    "MeterCategory": "Virtual Machines", "MeterName": "ND96isr H100 v5", "ConsumedService": "Microsoft.Compute",
    "UnitOfMeasure": "1 Hour", "Quantity": "24", "CostInBillingCurrency": "2000", "ReservationId": "r-1",
    "AdditionalInfo": '{"ServiceType":"Standard_ND96isr_H100_v5","VCPUs":96}', "PricingModel": "Reservation",
}  # fmt: skip
GOOGLE = {
    "billing_account_id": "01ABCD", "service": {"description": "Vertex AI"},
    "sku": {"description": "Gemini 2.5 Flash GA Text Output - Predictions"}, "invoice": {"month": "202610"},
    "usage_start_time": "2026-10-03T10:00:00Z", "usage_end_time": "2026-10-03T11:00:00Z", "cost_type": "regular",
    "cost": 2.5, "currency": "USD", "usage": {"amount": 1000000, "unit": "requests"},
    "credits": [{"name": "Promotion", "amount": -0.5}, {"name": "Discount", "amount": -0.0001}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "record", "lines"),
    [
        ("focus", FOCUS, [("Usage", "aws.bedrock", None, "input_uncached", D(120_000), "tokens", D("0.36"), "USD")]),
        ("aws_cur", CUR, [("Usage", "aws.bedrock", None, "output_text", D(2_500_000), "tokens", D("37.5"), "USD")]),
        (
            "aws_cur",
            LEGACY,
            [("Credit", "aws.bedrock", "Claude4.6Sonnet", "input_uncached", D(0), "tokens", D("-12.000001"), "USD")],
        ),
        (
            "openai_costs",
            OPENAI,
            [
                ("Usage", "openai", "gpt-5-mini-2025-08-07", "cache_read", D(2_400_000), "tokens", D("0.06"), "USD"),
                ("Usage", "openai", None, "web_search", None, None, D("0.75"), "USD"),
            ],
        ),
        (
            "anthropic_cost_report",
            ANTHROPIC,
            [("Usage", "anthropic", "claude-sonnet-4-5-20250929", "cache_write_1h", None, None, D("1.2345"), "USD")],
        ),
        (
            "azure_cost_export",
            AZURE,
            [("Usage", "azure.ai.openai", "gpt-4o-mini-0718", "input_uncached", D(1_200_000), "tokens", D("0.09"),
              "EUR")],
        ),
        # An amortised export spreads what the actual one bills as a purchase: nothing is payable here.
        (
            "azure_cost_export",
            AZURE | MACHINE,
            [("Usage", "azure", None, None, D(86_400), "seconds", D(0), "EUR")],
        ),
        (
            "azure_cost_export",
            AZURE | {"ChargeType": "Refund", "CostInBillingCurrency": "-5", "Quantity": "0"},
            [("Credit", "azure.ai.openai", "gpt-4o-mini-0718", "input_uncached", D(0), "tokens", D(-5), "EUR")],
        ),
        # Every credit of Google's is a line of its own: 2.50 - 0.50 - 0.0001 are payable.
        (
            "gcp_billing_export",
            GOOGLE,
            [
                ("Usage", "gcp.vertex_ai", "Gemini 2.5 Flash", "output_text", D(1_000_000), "tokens", D("2.5"), "USD"),
                ("Credit", "gcp.vertex_ai", "Gemini 2.5 Flash", "output_text", None, None, D("-0.5"), "USD"),
                ("Credit", "gcp.vertex_ai", "Gemini 2.5 Flash", "output_text", None, None, D("-0.0001"), "USD"),
            ],
        ),
        (
            "gcp_billing_export",
            GOOGLE | {
                "service": {"description": "Compute Engine"}, "credits": [],
                "usage": {"amount": 7200, "unit": "seconds"},
                "sku": {"description": "Nvidia H100 80GB GPU running in Iowa"},
            },
            [("Usage", "gcp", None, None, D(7200), "seconds", D("2.5"), "USD")],
        ),
        # https://openrouter.ai/docs: what a key of one's own costs is on another bill.
        (
            "openrouter_activity",
            {
                "date": "2026-10-03", "model": "openai/gpt-x", "model_permaslug": "openai/gpt-x-2", "usage": 0.015,
                "byok_usage_inference": 0.012, "prompt_tokens": 50, "completion_tokens": 125, "reasoning_tokens": 25,
            },
            [("Usage", "openrouter", "openai/gpt-x", None, D(175), "tokens", D("0.015"), "USD")],
        ),
        (
            "together_billing",
            {
                "start_time": "2026-10-03T00:00:00Z", "end_time": "2026-10-04T00:00:00Z",
                "line_items": [
                    {"product_name": "Serverless Inference - Output Tokens", "quantity": "2000000", "cost": "1.76",
                     "pricing_dimensions": {"model": "m"}},
                    {"product_name": "Dedicated Endpoints - GPU Hours", "quantity": "2.5", "cost": "8.25",
                     "pricing_dimensions": {"hardware": "H100"}},
                ],
            },
            [
                ("Usage", "together", "m", "output_text", D(2_000_000), "tokens", D("1.76"), "USD"),
                ("Usage", "together", None, None, D(9000), "seconds", D("8.25"), "USD"),
            ],
        ),
        # Money in units and nanos: units alone are 3.
        (
            "fireworks_costs",
            {
                "startTime": "2026-10-03T00:00:00Z", "model": "accounts/fireworks/models/m",
                "subtotal": {"currencyCode": "USD", "units": "3", "nanos": 250000001},
            },
            [("Usage", "fireworks", "accounts/fireworks/models/m", None, None, None, D("3.250000001"), "USD")],
        ),
        # The days of a resource, not its sum; credits of a section are a line.
        (
            "baseten_usage",
            {
                "dedicated_usage": {
                    "subtotal": 12.5, "credits_used": 2.5, "total": 10,
                    "breakdown": [{
                        "billable_resource": {"id": "d", "instance_type": "H100"}, "subtotal": 12.5, "minutes": 150,
                        "daily": [{"date": "2026-10-03", "subtotal": 10, "minutes": 120},
                                  {"date": "2026-10-04", "subtotal": 2.5, "minutes": 30}],
                    }],
                },
            },
            [
                ("Usage", "baseten", None, None, D(7200), "seconds", D(10), "USD"),
                ("Usage", "baseten", None, None, D(1800), "seconds", D("2.5"), "USD"),
                ("Credit", "baseten", None, None, None, None, D("-2.5"), "USD"),
            ],
        ),
        # modal/cli/billing.py: `modal billing report --json --show-resources`
        (
            "modal_billing",
            {"object_id": "ap-1", "description": "llm", "environment": "main", "interval_start": "2026-10-01",
             "resource": "Nvidia H100", "cost": "94.7808"},
            [("Usage", "modal", None, None, None, None, D("94.7808"), "USD")],
        ),
        (
            "runpod_billing",
            {"time": "2026-10-03T00:00:00Z", "amount": 0.42, "timeBilledMs": 120500, "gpuTypeId": "NVIDIA H200",
             "podId": "p"},
            [("Usage", "runpod", None, None, D("120.5"), "seconds", D("0.42"), "USD")],
        ),
        # The model's own words bill nothing: https://focus.finops.org, ai_prompt_caching.
        (
            "focus",
            FOCUS | {
                "SkuMeter": "Input Tokens", "ServiceName": "Solora", "ServiceProviderName": "Solora AI",
                "ChargeDescription": "Input tokens for Solora Reasoning Pro", "BilledCost": "$1,500.00 ",
                "SkuPriceDetails": '{"ModelId": "solora-reasoning-pro"}', "BillingPeriodStart": "10/1/26",
                "BillingPeriodEnd": "11/1/26", "ChargePeriodStart": "10/3/26", "ChargePeriodEnd": "10/4/26",
            },
            [("Usage", "Solora AI", "solora-reasoning-pro", "input_uncached", D(120_000), "tokens", D(1500), "USD")],
        ),
        (
            "focus",
            FOCUS | {"PricingUnit": "1000000 Token-Hours", "SkuMeter": "Context Cache Storage", "BilledCost": "-2"},
            [("Usage", "aws.bedrock", None, None, D(120_000_000), "token_hours", D(-2), "USD")],
        ),
        (
            "invoice_lines",
            GENERIC,
            [("Usage", "example", "gpt-x", "output_text", D(9_000_000), "tokens", D("19.8"), "EUR")],
        ),
    ],
)  # fmt: skip
def test_a_line_says_what_was_billed(kind, record, lines):
    rows = read_records(kind, [record])
    assert rows.get_column("quarantine_reason").to_list() == [None] * len(lines)
    told = rows.select(
        "charge_category", "provider", "model", "token_class", "consumed_quantity", "consumed_unit", "billed_cost",
        "currency",
    )  # fmt: skip
    assert told.rows() == lines


@pytest.mark.parametrize(
    ("kind", "bucket"),
    [
        ("openai_costs", {"start_time": 1_764_547_200, "end_time": 1_764_633_600}),
        (
            "anthropic_cost_report",
            {"starting_at": "2026-10-01T00:00:00Z", "ending_at": "2026-10-02T00:00:00Z"},
        ),
    ],
)
def test_a_bucket_whose_costs_cannot_be_read_is_refused_and_an_empty_one_passed_over(kind, bucket):
    broken = [
        bucket | {"results": "none"},
        {"data": [bucket | {"results": None}]},
        {"data": [bucket]},
        {"data": 5},
    ]
    empty = [bucket | {"results": []}, {"data": [bucket | {"results": []}]}, {"data": []}]
    rows = read_records(kind, [*broken, *empty])
    assert rows.get_column("is_ignored").to_list() == [False] * len(broken) + [True] * len(empty)
    refused = rows.filter(~pl.col("is_ignored"))
    assert refused.select("quarantine_reason", "quarantine_detail").rows() == [
        ("wrong_shape", "results")
    ] * len(broken)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"billed_cost": "nineteen"}, "billed_cost"),
        ({"billed_cost": None}, "billed_cost is missing"),
        ({"charge_period_end": "2026-09-01"}, "charge_period_end is before its start"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(change, detail):
    (row,) = read_records("invoice_lines", [GENERIC | change]).to_dicts()
    assert row["quarantine_detail"] == detail


def published(folder: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield the published tables of bills of a folder: the name, and rows by their own column names."""
    for path in sorted(shared(folder).rglob("*.csv*")):
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:  # type: ignore[operator]
            yield path.name, list(csv.DictReader(file))


@pytest.mark.parametrize("folder", ["focus", "focus-spec", "focus-toolkit", "focus-virtual-currency"])
def test_published_focus_files_are_read_to_their_last_cent(folder):
    """Of all versions: https://github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec and a sample of the Foundation."""
    for name, rows in published(folder):
        if "BilledCost" not in rows[0]:
            continue
        read = read_records("focus", [{key: value for key, value in row.items() if key} for row in rows])
        assert read["quarantine_reason"].null_count() == len(rows), name
        total = sum(D(row["BilledCost"].strip().lstrip("$").replace(",", "")) for row in rows)
        # Doubles of an export have more digits than a picodollar.
        assert abs(read["billed_cost"].sum() - total) < D("1e-9"), name


def test_a_published_cost_and_usage_report_is_read_to_its_last_cent():
    ((_, rows),) = published("aws-cur")
    read = read_records("aws_cur", rows)
    assert read["quarantine_reason"].null_count() == len(rows) == 1281
    assert read["billed_cost"].sum() == sum(D(row["lineItem/UnblendedCost"]) for row in rows)
    taxes = sum(row["lineItem/LineItemType"] == "Tax" for row in rows)
    assert (read["charge_category"] == "Tax").sum() == taxes > 0


@pytest.mark.parametrize(
    ("kind", "record", "hours"),
    [
        # Azure sells throughput as PTU by the hour, Bedrock as model units; neither is a token of a model.
        (
            "azure_cost_export",
            AZURE
            | {"MeterName": "Provisioned Managed Global Unit", "UnitOfMeasure": "1/Hour", "Quantity": "24"},
            ("PTU", "on_demand", None, D(86_400), "seconds"),
        ),
        (
            "aws_cur",
            CUR
            | {
                "line_item_usage_type": "USE1-MP:USE1_ProvisionedThroughput_1MonthCommit_ModelUnits_Usage-Units",
                "pricing_unit": "Hrs",
                "line_item_usage_amount": "24",
            },
            ("model_unit", "committed", None, D(86_400), "seconds"),
        ),
        (
            "aws_cur",
            CUR
            | {
                "line_item_product_code": "AmazonEC2",
                "line_item_usage_type": "USW2-SpotUsage:p5.48xlarge",
                "pricing_unit": "Hrs",
                "line_item_usage_amount": "2",
            },
            ("p5.48xlarge", "spot", None, D(7200), "seconds"),
        ),
        # Claude on AWS: a cent a consumption unit, no model.
        (
            "aws_cur",
            CUR
            | {
                "line_item_product_code": "prod-1",
                "line_item_usage_type": "MP:Claude_Consumption_Units",
                "pricing_unit": "Units",
                "line_item_usage_amount": "5000",
            },
            (None, None, None, D(5000), "consumption_units"),
        ),
    ],
)
def test_throughput_and_machines_are_hours_and_consumption_units_their_own(kind, record, hours):
    (row,) = read_records(kind, [record]).to_dicts()
    assert row["quarantine_reason"] is None
    assert (
        row["chip"], row["service_tier"], row["token_class"], row["consumed_quantity"], row["consumed_unit"]
    ) == hours  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "plan", "effective"),
    [
        ("SavingsPlanCoveredUsage", {"savings_plan_savings_plan_effective_cost": "0.7"}, D("0.7")),
        ("SavingsPlanNegation", {}, D(0)),
        ("SavingsPlanUpfrontFee", {}, D(0)),
        (
            "SavingsPlanRecurringFee",
            {"savings_plan_total_commitment_to_date": "10", "savings_plan_used_commitment": "9.25"},
            D("0.75"),
        ),
        ("RIFee", {"reservation_unused_recurring_fee": "1.5"}, D("1.5")),
        ("DiscountedUsage", {"reservation_effective_cost": "2"}, D(2)),
        ("Usage", {"savings_plan_savings_plan_effective_cost": "0"}, D("37.5")),
        ("EdpDiscount", {}, D("37.5")),
    ],
)
def test_commitments_of_aws_are_spread_as_aws_says(kind, plan, effective):
    """https://docs.aws.amazon.com/cur/latest/userguide/Lineitem-columns.html."""
    (row,) = read_records("aws_cur", [CUR | {"line_item_line_item_type": kind} | plan]).to_dicts()
    assert row["effective_cost"] == effective
    assert row["billed_cost"] == D("37.5")


def test_credits_are_a_balance_whose_fee_is_known_or_asked_for():
    """https://openrouter.ai/docs/api/api-reference/credits/get-credits: two totals, no instant, no fee."""

    def answer(day: int, bought: float, **more: object) -> dict[str, object]:
        return {
            "retrieved_at": f"2026-10-{day:02}T00:00:00Z",
            "data": {"total_credits": bought, "total_usage": 1},
            **more,
        }

    read = read_records("openrouter_credits", [
        answer(1, 50.5), answer(3, 150.5, fee_usd=5.5), answer(2, 50.5), answer(4, 160.5), answer(5, 155.5),
        {"data": {"total_credits": 1, "total_usage": 1}}, answer(6, 0) | {"data": {"error": "no key"}},
    ])  # fmt: skip
    kept = read.filter(~pl.col("is_ignored"))
    assert kept.select(
        pl.col("charge_period_end").dt.day(), "meter", "pricing_quantity", "billed_cost", "quarantine_detail"
    ).rows() == [
        (1, "credits bought", D("50.5"), D(0), None),
        (3, "credits bought", D(100), D(0), None),
        (3, "fee on buying credits", None, D("5.5"), None),
        (4, "credits bought", D(10), D(0), None),
        (4, "fee on buying credits", None, None,
         "credits were bought and fee_usd is missing: write what the receipt asks beside data (0: none)"),
        (5, "credits bought", D(-5), D(0), None),
        (None, "credits bought", D(1), D(0), "retrieved_at, the instant of the answer"),
        (6, "credits bought", None, D(0), "total_credits is no number"),
    ]  # fmt: skip
    assert kept["charge_description"][1] == "credits bought between 2026-10-02 00:00 and 2026-10-03 00:00 UTC"
