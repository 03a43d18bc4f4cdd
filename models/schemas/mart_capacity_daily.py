import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION, DEPLOYMENT, REQUIRED_REGION


def _number(
    name: str, dtype: "type[pl.DataType] | pl.DataType", comment: str, *, required: bool = False
) -> Column:
    return Column(name=name, dtype=dtype, comment=comment, required=required)


TABLE = Table(
    schema="mart",
    name="capacity_daily",
    grain="One row per business day x deployment of provisioned throughput: its bill, its use by tokens, its spill-over",
    columns=(
        ACCRUED_ON_PARTITION,
        Column(name="provider", dtype=pl.String, comment="Who sells the units", required=True),
        REQUIRED_REGION,
        DEPLOYMENT,
        Column(name="model", dtype=pl.String, comment="Model that it serves; NULL when several or not known"),
        _number("unit_hours", pl.Float64, "Units x hours for which they were held", required=True),
        _number("billed_usd", USD, "Flat cost of the day; NULL when a part has no price"),
        _number("serving_usd", USD, "Part of billed_usd: a request in flight"),
        _number("idle_usd", USD, "Part of billed_usd: ready, none in flight"),
        _number("other_usd", USD, "The rest of billed_usd: starts, draining, minimum and rounding"),
        _number("attempt_count", pl.Int64, "Attempts that the units served", required=True),
        _number("tokens", pl.Int64, "Tokens of those attempts, all classes", required=True),
        _number(
            "used_tokens",
            pl.Float64,
            "Tokens as the vendor counts them against a unit; NULL when no sheet says how",
        ),
        _number("capacity_tokens", pl.Float64, "Such tokens that the ready units could have processed"),
        _number("token_utilization_ratio", pl.Float64, "used_tokens / capacity_tokens. Never summed"),
        _number("busiest_hour_ratio", pl.Float64, "The same of the busiest hour. Never summed"),
        _number(
            "spillover_count",
            pl.Int64,
            "Attempts of the deployment's route at its provider that ran beside the units, priced by token",
            required=True,
        ),
        _number("spillover_tokens", pl.Int64, "Their tokens", required=True),
        _number("spillover_usd", USD, "Their dollars, as far as they have a price", required=True),
        _number("spillover_unpriced_count", pl.Int64, "Those of them without a price", required=True),
        _number("spillover_ratio", pl.Float64, "Share of all attempts that spilled over. Never summed"),
        _number(
            "on_demand_usd",
            USD,
            "What the tokens of the units cost at the provider's list price; NULL when it has none",
        ),
        _number("billed_usd_per_mtok", pl.Float64, "billed_usd per million tokens served. Never summed"),
        _number(
            "break_even_ratio",
            pl.Float64,
            "billed_usd / on_demand_usd: how many times the day's tokens pay for the units. Never summed",
        ),
        _number(
            "break_even_utilization_ratio",
            pl.Float64,
            "The utilization from which the units are cheaper; above 1: never at this mix. Never summed",
        ),
        Column(
            name="cheaper",
            dtype=pl.String,
            comment="Which would have been cheaper that day; NULL when one has no price",
            one_of=("provisioned", "on_demand"),
        ),
        Column(
            name="is_provisional",
            dtype=pl.Boolean,
            comment="Whether later finishers may still move the figures",
            required=True,
        ),
    ),
    key=("accrued_on", "provider", "region", "deployment"),
    partition="accrued_on",
)
