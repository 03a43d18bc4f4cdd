"""Baseten's usage summary: `/v1/billing/usage_summary`, a record for a range of days, amounts in dollars.

Of each resource the days are read, not their sum. Credits are a line a section: total = subtotal - credits used.
Minutes are those of billed replicas. Source: https://docs.baseten.co/reference/management-api/billing, checked
2026-11-28.
"""

import polars as pl

from models.billing.lines import completed, decimal
from models.records import Importer, instant, record_number

_SECTIONS = ("dedicated_usage", "training_usage", "model_apis_usage")
_DAY = (
    '{"date": "VARCHAR", "subtotal": "VARCHAR", "minutes": "VARCHAR", "input_tokens": "VARCHAR", '
    '"output_tokens": "VARCHAR"}'
)
_SHAPE = (
    '{"credits_used": "VARCHAR", "breakdown": [{"model_name": "VARCHAR", "billable_resource": {"id": "VARCHAR", '
    f'"name": "VARCHAR", "kind": "VARCHAR", "instance_type": "VARCHAR"}}, "daily": [{_DAY}]}}]}}'
)
_SELECT = f"""
WITH parsed AS NOT MATERIALIZED (
  SELECT line_number, unnest([{
    ", ".join(
        f"{{'section': '{name}', 'is_stated': {name} IS NOT NULL, 'body': TRY(from_json({name}, '{_SHAPE}'))}}"
        for name in _SECTIONS
    )
}], recursive := true)
  FROM records
),
sections AS NOT MATERIALIZED (
  SELECT line_number, section, credits_used, breakdown,
    list_min(flatten(list_transform(breakdown, lambda b: list_transform(b.daily, lambda d: d.date)))) AS first_day,
    is_stated AND breakdown IS NULL AS is_broken
  FROM parsed WHERE is_stated
),
resources AS NOT MATERIALIZED (
  SELECT line_number, section, first_day, credits_used, is_broken,
    unnest(CASE WHEN len(breakdown) > 0 THEN breakdown ELSE [NULL] END) AS b
  FROM sections
),
days AS NOT MATERIALIZED (
  SELECT line_number, section, is_broken, b, unnest(CASE WHEN len(b.daily) > 0 THEN b.daily ELSE [NULL] END) AS d
  FROM resources
),
lines AS NOT MATERIALIZED (
  SELECT line_number, section, is_broken, d IS NULL AS is_empty, d.date AS day, d.subtotal AS billed_cost,
    d.minutes AS minutes, d.input_tokens AS input_tokens, d.output_tokens AS output_tokens, b.model_name AS model,
    b.billable_resource.id AS resource_id, b.billable_resource.name AS resource_name,
    b.billable_resource.instance_type AS instance_type, false AS is_credit
  FROM days
  UNION ALL BY NAME
  SELECT line_number, section, false AS is_broken, first_day IS NULL AS is_empty, first_day AS day,
    credits_used AS billed_cost, true AS is_credit
  FROM sections WHERE TRY_CAST(credits_used AS DOUBLE) <> 0
)
-- The lines of a record are numbered in this order.
SELECT * EXCLUDE (day), {instant("day")} AS charge_period_start FROM lines
ORDER BY line_number, section, is_credit, resource_id, model, day
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_credit, is_dedicated = pl.col("is_credit"), pl.col("section") == "dedicated_usage"
    tokens = decimal(pl.col("input_tokens")) + decimal(pl.col("output_tokens"))
    amount = decimal(pl.col("billed_cost"))
    billed = pl.when(is_credit).then((-amount).cast(pl.String)).otherwise("billed_cost")
    day = pl.col("charge_period_start")
    return completed(
        frame.with_columns(
            record_number=record_number(),
            is_ignored=pl.col("is_empty") & ~pl.col("is_broken"),
            invoice_issuer_name=pl.lit("Baseten"),
            provider=pl.lit("baseten"),
            service_name=pl.col("section"),
            charge_category=pl.when(is_credit).then(pl.lit("Credit")).otherwise(pl.lit("Usage")),
            charge_description=pl.col("resource_name"),
            meter=pl.when(is_credit).then(pl.lit("credits used"))
            .otherwise(pl.coalesce("instance_type", pl.lit("inference"))),
            chip=pl.when(is_dedicated).then("instance_type"),
            service_tier=pl.when(is_dedicated & ~is_credit).then(pl.lit("on_demand")),
            currency=pl.lit("USD"),
            billed_cost=billed,
            effective_cost=billed,
            consumed_quantity=pl.coalesce("minutes", tokens.cast(pl.String)),
            consumed_unit=pl.when(pl.col("minutes").is_not_null()).then(pl.lit("minutes")).otherwise(pl.lit("tokens")),
            charge_period_end=pl.when(~is_credit).then(day.dt.offset_by("1d")),
            # A summary that is asked for again has the credits so far: they are one line a month.
            keyed_on=pl.when(is_credit).then(day.dt.truncate("1mo")).otherwise(day),
        ),
        key=("keyed_on", "section", "resource_id", "model", "charge_category"),
        cases=((pl.col("is_broken"), "wrong_shape", "breakdown"),),
    )  # fmt: skip


IMPORTER = Importer(
    kind="baseten_usage",
    table="raw.invoice_lines",
    columns=dict.fromkeys(_SECTIONS, "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(frozenset({"dedicated_usage.breakdown"}), frozenset({"model_apis_usage.breakdown"})),
    rank=11,
)
