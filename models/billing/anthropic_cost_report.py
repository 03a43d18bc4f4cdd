"""Anthropic's cost report: `/v1/organizations/cost_report`, a day a bucket, amounts in cents.

`amount` is a decimal of cents as text. Model, tier and token type are there when the report was grouped by description.
Priority Tier is not in it. Source: https://platform.claude.com/docs/en/api/admin-api/usage-cost/get-cost-report, as
described in the public reference, checked 2026-11-28.
"""

import polars as pl

from models.billing.lines import decimal
from models.billing.pages import CostApi, cost_api


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    cents = decimal(pl.col("amount"))
    dollars = (cents.cast(pl.Decimal(38, 14)) / 100).cast(pl.Decimal(38, 12), strict=False)
    return frame.with_columns(
        invoice_issuer_name=pl.lit("Anthropic"),
        provider=pl.lit("anthropic"),
        service_name=pl.lit("Claude API"),
        meter=pl.coalesce("token_type", "cost_type"),
        # What is no number stays as it is written, and is refused.
        billed_cost=pl.when(cents.is_not_null()).then(dollars.cast(pl.String)).otherwise("amount"),
        region=pl.col("inference_geo"),
    )


IMPORTER = cost_api(
    CostApi(
        kind="anthropic_cost_report",
        start="starting_at",
        end="ending_at",
        fields={
            "amount": "amount",
            "currency": "currency",
            "sub_account_id": "workspace_id",
            "charge_description": "description",
            "cost_type": "cost_type",
            "model": "model",
            "service_tier": "service_tier",
            "token_type": "token_type",
            "context_window": "context_window",
            "inference_geo": "inference_geo",
        },
        signature=(
            frozenset({"data[0].starting_at", "data[0].results[0].amount"}),
            frozenset({"starting_at", "results[0].amount"}),
        ),
        amend=_amend,
        key=("charge_description", "sub_account_id", "model", "service_tier", "meter", "context_window", "region"),
    )
)  # fmt: skip
