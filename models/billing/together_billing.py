"""Together's billing usage report: windows of a day or an hour with items, their costs in dollars as texts.

`product_name` is a name for people and tells what is counted; the model stands in `pricing_dimensions`. Prices are for
single units: tokens, or hours of accelerators. Source: https://docs.together.ai/reference/billing-usage and the
together SDK 3.1.1, checked 2026-11-28.
"""

import polars as pl

from models.billing.lines import completed
from models.records import Importer, instant, record_number, text

_ITEM = (
    '{"product_name": "VARCHAR", "quantity": "VARCHAR", "cost": "VARCHAR", "pricing_dimensions": "JSON", '
    '"attributes": "JSON", "applied_credit": "JSON"}'
)
_WINDOW = f'{{"start_time": "VARCHAR", "end_time": "VARCHAR", "line_items": [{_ITEM}]}}'
_SELECT = f"""
WITH parsed AS NOT MATERIALIZED (
  SELECT line_number, organization_id, currency,
    CASE WHEN data IS NOT NULL THEN TRY(from_json(data, '[{_WINDOW}]'))
         ELSE [{{'start_time': start_time, 'end_time': end_time,
                 'line_items': TRY(from_json(line_items, '[{_ITEM}]'))}}]
    END AS windows
  FROM records
),
opened AS NOT MATERIALIZED (
  SELECT line_number, organization_id, currency, windows IS NULL AS is_broken,
    unnest(CASE WHEN len(windows) > 0 THEN windows ELSE [NULL] END) AS w
  FROM parsed
),
listed AS NOT MATERIALIZED (
  SELECT line_number, organization_id, currency, w.start_time AS started, w.end_time AS ended,
    is_broken OR (w IS NOT NULL AND w.line_items IS NULL) AS is_broken, coalesce(len(w.line_items), 0) = 0 AS is_empty,
    unnest(CASE WHEN len(w.line_items) > 0 THEN w.line_items ELSE [NULL] END) AS item
  FROM opened
)
SELECT line_number, is_broken, is_empty, {text("currency")} AS currency, organization_id AS billing_account_id,
  {instant("started")} AS charge_period_start, {instant("ended")} AS charge_period_end, item.product_name AS meter,
  item.quantity AS consumed_quantity, item.cost AS billed_cost, item.pricing_dimensions::VARCHAR AS dimensions,
  item.attributes::VARCHAR AS attributes, json_extract_string(item.pricing_dimensions, '$.model') AS model,
  coalesce(json_extract_string(item.pricing_dimensions, '$.hardware'),
           json_extract_string(item.pricing_dimensions, '$.gpu_type')) AS hardware,
  json_extract_string(item.attributes, '$.project_id') AS sub_account_id,
  coalesce(json_extract_string(item.attributes, '$.endpoint_id'),
           json_extract_string(item.attributes, '$.deployment_id')) AS resource_id,
  json_extract_string(item.applied_credit, '$.type') AS credit
FROM listed
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    product = pl.col("meter")
    is_tokens = product.str.contains(r"(?i)token").fill_null(value=False)
    is_time = product.str.contains(r"(?i)hour|gpu|dedicated|cluster|endpoint").fill_null(value=False)
    return completed(
        frame.with_columns(
            record_number=record_number(),
            is_ignored=pl.col("is_empty") & ~pl.col("is_broken"),
            invoice_issuer_name=pl.lit("Together AI"),
            provider=pl.lit("together"),
            service_name=pl.lit("Together AI"),
            charge_description=pl.concat_str(product, "credit", separator=", paid by ", ignore_nulls=True),
            chip=pl.when(is_time & ~is_tokens).then("hardware"),
            currency=pl.col("currency").fill_null("USD"),
            consumed_unit=pl.when(is_tokens).then(pl.lit("tokens")).when(is_time).then(pl.lit("GPU-Hours")),
        ),
        key=("charge_period_start", "charge_period_end", "meter", "dimensions", "attributes"),
        cases=((pl.col("is_broken"), "wrong_shape", "line_items"),),
    )


IMPORTER = Importer(
    kind="together_billing",
    table="raw.invoice_lines",
    columns=dict.fromkeys(
        ("data", "organization_id", "currency", "start_time", "end_time", "line_items"), "VARCHAR"
    ),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(
        frozenset({"data[0].start_time", "data[0].line_items"}),
        frozenset({"start_time", "end_time", "line_items"}),
    ),
    rank=11,
)
