"""OpenAI's costs API: `/v1/organization/costs`, a day a bucket, dollars by line item.

`line_item` is a label for people (`gpt-4o-2024-08-06, cached input`): what stands before the comma is the model.
Amounts are dollars. Source: openai/openai-openapi 2.3.0, checked 2026-08-21, https://github.com/openai/openai-openapi.
"""

import polars as pl

from models.billing.pages import CostApi, cost_api


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    item = pl.col("line_item")
    has_model = item.str.contains(r"^[^,]+,\s*\S").fill_null(value=False)
    return frame.with_columns(
        invoice_issuer_name=pl.lit("OpenAI"),
        provider=pl.lit("openai"),
        service_name=pl.lit("OpenAI API"),
        charge_description=item,
        meter=item,
        model=pl.when(has_model).then(item.str.extract(r"^([^,]+),", 1).str.strip_chars()),
        consumed_quantity=pl.col("quantity"),
        consumed_unit=pl.coalesce(
            "quantity_unit", pl.when(pl.col("quantity").is_not_null()).then(pl.lit("count"))
        ),
    )


IMPORTER = cost_api(
    CostApi(
        kind="openai_costs",
        start="start_time",
        end="end_time",
        fields={
            "billed_cost": "amount.value",
            "currency": "amount.currency",
            "line_item": "line_item",
            "sub_account_id": "project_id",
            "quantity": "quantity",
            "quantity_unit": "quantity_unit",
        },
        signature=(
            frozenset({"data[0].results[0].object=organization.costs.result"}),
            frozenset({"results[0].object=organization.costs.result"}),
        ),
        amend=_amend,
        key=("line_item", "sub_account_id"),
    )
)
