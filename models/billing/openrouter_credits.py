"""OpenRouter's credits: answers of `/api/v1/credits`, appended to one file with the instant of each.

An answer has two totals since the account began, `total_credits` (bought) and `total_usage`, and no instant: beside
`data` stands `retrieved_at`. What was bought between two answers is the difference of their totals. Credits are a
balance: their dollars are billed by the day that uses them (`openrouter_activity`), so buying them bills 0 and shows
the quantity. The fee on buying is in no answer, because it depends on how one pays (5.5 %, at least $0.80, by card; 5 %
in coins): beside `data` stands `fee_usd`, as the receipt has it. Where it is missing, the fee is refused by name, for
dollars that nobody knows are no 0. Sources, checked 2026-11-29:
https://openrouter.ai/docs/api/api-reference/credits/get-credits and https://openrouter.ai/docs/faq.
"""

import polars as pl

from models.billing.lines import completed, decimal
from models.records import Importer, instant, text

_SELECT = f"""
WITH read AS NOT MATERIALIZED (
  SELECT line_number, {text("fee_usd")} AS fee, {instant("retrieved_at")} AS charge_period_end,
    TRY(json_extract_string(data, '$.total_credits')) AS total,
    TRY(json_extract_string(data, '$.total_usage')) AS used
  FROM records
)
SELECT *, unnest([false, true]) AS is_fee FROM read ORDER BY line_number, is_fee
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_fee, is_first = pl.col("is_fee"), pl.col("before").is_null()
    since, until = (
        pl.col(name).dt.strftime("%Y-%m-%d %H:%M") for name in ("asked_before", "charge_period_end")
    )
    between = pl.concat_str(pl.lit("between"), since, pl.lit("and"), until, pl.lit("UTC"), separator=" ")
    # Each answer is held against the last one before it that can be read.
    frame = frame.with_columns(total_number=decimal(pl.col("total")))
    is_read = pl.col("total_number").is_not_null() & pl.col("charge_period_end").is_not_null()
    frame = (
        frame.sort("charge_period_end", "line_number", "is_fee")
        .with_columns(
            pl.col("total_number").shift(1).over("is_fee", is_read).alias("before"),
            pl.col("charge_period_end").shift(1).over("is_fee", is_read).alias("asked_before"),
        )
        .with_columns((pl.col("total_number") - pl.col("before").fill_null(0)).alias("bought"))
        .sort("line_number", "is_fee")
    )
    is_bought = (pl.col("bought") > 0).fill_null(value=False) & ~is_first
    return completed(
        frame.with_columns(
            record_number=pl.when(is_fee).then(2).otherwise(1).cast(pl.Int32),
            is_ignored=pl.when(is_fee)
            .then(pl.col("fee").is_null() & ~is_bought)
            .otherwise((pl.col("bought") == 0).fill_null(value=False)),
            invoice_issuer_name=pl.lit("OpenRouter"),
            provider=pl.lit("openrouter"),
            service_name=pl.lit("OpenRouter"),
            charge_category=pl.lit("Purchase"),
            meter=pl.when(is_fee).then(pl.lit("fee on buying credits")).otherwise(pl.lit("credits bought")),
            charge_description=pl.when(is_fee)
            .then(pl.concat_str(pl.lit("fee on credits bought"), between, separator=" "))
            .when(is_first).then(pl.concat_str(pl.lit("credits bought before"), until, pl.lit("UTC"), separator=" "))
            .otherwise(pl.concat_str(pl.lit("credits bought"), between, separator=" ")),
            currency=pl.lit("USD"),
            billed_cost=pl.when(is_fee).then("fee").otherwise(pl.lit("0")),
            effective_cost=pl.when(is_fee).then("fee").otherwise(pl.lit("0")),
            pricing_quantity=pl.when(~is_fee).then(pl.col("bought").cast(pl.String)),
            pricing_unit=pl.when(~is_fee).then(pl.lit("credits")),
            charge_period_start=pl.coalesce("asked_before", "charge_period_end"),
        ),
        key=("meter", "charge_period_start", "charge_period_end"),
        cases=(
            (pl.col("charge_period_end").is_null(), "missing_started_at", "retrieved_at, the instant of the answer"),
            (pl.col("total_number").is_null(), "bad_value", "total_credits is no number"),
            (
                is_fee & is_bought & pl.col("fee").is_null(),
                "bad_value",
                "credits were bought and fee_usd is missing: write what the receipt asks beside data (0: none)",
            ),
        ),
    )  # fmt: skip


IMPORTER = Importer(
    kind="openrouter_credits",
    table="raw.invoice_lines",
    columns=dict.fromkeys(("retrieved_at", "fee_usd", "data"), "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl",),
    signature=(frozenset({"data.total_credits", "data.total_usage"}),),
    rank=11,
    is_joint=True,
)
