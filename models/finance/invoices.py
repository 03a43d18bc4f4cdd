"""core.invoice_lines and core.invoices: of every bill the delivery in force, with the book's names, in dollars."""

from datetime import timedelta
from decimal import Decimal

import polars as pl

from models.finance.model_names import models_by_words
from models.money import PICODOLLARS_PER_USD, USD, half_even, picodollars_from_usd, usd_from_picodollars
from models.schemas import table
from models.schemas.invoice_columns import CHARGE_CATEGORIES, QUANTITY, UNIT_PRICE

BILL = ("source", "invoice_issuer_name", "billing_account_id", "billing_period_start")
PLACE = ("source", "file_hash", "line_number", "record_number")
"""Where a landed line stands."""
_ONE_DELIVERY = timedelta(seconds=1)
"""Files that one landing reads are stamped microseconds apart; two landings are further apart than this."""
_WHOLE_BILL = "line"
"""The `dedupe_key` of lines that are replaced with their whole period."""
_UNIT_PRICE_SCALE = 10**12
"""From 1e-12 of a currency over millionths of a unit to 18 decimals."""
QUANTITY_SCALE = 1_000_000
"""Quantities are counted in millionths, so that hours and averages stay whole numbers."""


def lines_in_force(landed: pl.DataFrame) -> pl.DataFrame:
    """Return the lines of the latest delivery of every bill, with `delivered_at` and `delivery_count` of it.

    What one landing brings of a source, issuer, account and billing period is one delivery and replaces the last one.
    Lines of the cost APIs replace themselves one by one, by their key.

    Args:
        landed: raw.invoice_lines, every delivery of their billing periods.
    """
    stamped = _stamped(landed).with_columns(
        pl.col("ingested_at").max().over(BILL).alias("delivered_at"),
        (pl.col("delivery").max().over(BILL) + 1).cast(pl.Int64).alias("delivery_count"),
    )
    is_whole = pl.col("dedupe_key") == _WHOLE_BILL
    # An amortised export that comes after the actual one does not replace it: it is another view.
    view = (*BILL, is_spread().any().over("source", "file_hash"))
    latest = stamped.filter(is_whole, pl.col("delivery") == pl.col("delivery").max().over(view))
    keyed = stamped.filter(~is_whole).unique(["source", "dedupe_key"], keep="last", maintain_order=True)
    return pl.concat([latest, keyed]).drop("delivery")


def is_spread() -> pl.Expr:
    """Return which lines of Azure's exports spread what a commitment cost: they stand in amortised exports alone."""
    is_azure = pl.col("source_kind") == "azure_cost_export"
    return (is_azure & (pl.col("billed_cost") == 0) & (pl.col("effective_cost") != 0)).fill_null(value=False)


def _stamped(landed: pl.DataFrame) -> pl.DataFrame:
    """Return the lines in the order in which they landed, with the number of their delivery, from 0."""
    return landed.sort("ingested_at", "file_hash", "line_number", "record_number").with_columns(
        (pl.col("ingested_at") - pl.col("ingested_at").shift(1).over(BILL) > _ONE_DELIVERY)
        .fill_null(value=False)
        .cum_sum()
        .over(BILL)
        .alias("delivery")
    )


def bill_deliveries(landed: pl.DataFrame, in_force: pl.DataFrame, views: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `ops.bill_deliveries`.

    Args:
        landed: raw.invoice_lines, every delivery of their billing periods.
        in_force: what `lines_in_force` returned for them.
        views: those of them that bill what others bill: their place, and `counted_by`.
    """
    counted = in_force.select(PLACE).join(views, on=PLACE, how="left").with_columns(is_latest=True)
    is_view = pl.col("counted_by").is_not_null()
    rows = (
        _stamped(landed)
        .join(counted, on=PLACE, how="left")
        .group_by(*BILL, "delivery")
        .agg(
            pl.col("billing_period_start").first().dt.date().alias("billed_on"),
            pl.col("ingested_at").max().alias("delivered_at"),
            pl.col("file_hash").n_unique().cast(pl.Int64).alias("file_count"),
            pl.len().cast(pl.Int64).alias("line_count"),
            (pl.col("is_latest").fill_null(value=False) & ~is_view)
            .sum()
            .cast(pl.Int64)
            .alias("line_count_in_force"),
            is_view.sum().cast(pl.Int64).alias("line_count_of_views"),
            pl.col("counted_by").drop_nulls().unique().sort().str.join(", ").alias("counted_by"),
            pl.when(pl.col("currency").n_unique() == 1)
            .then(pl.col("billed_cost").sum())
            .alias("billed_cost"),
        )
        .with_columns(
            pl.col("delivery").cast(pl.Int64) + 1,
            is_in_force=pl.col("line_count_in_force") > 0,
            counted_by=pl.when(pl.col("line_count_of_views") > 0).then("counted_by"),
        )
    )
    return table("ops.bill_deliveries").conform(rows.lazy()).sort(*BILL, "delivery").collect()


def invoice_lines(
    lines: pl.DataFrame, *, names: pl.DataFrame, fx: pl.DataFrame, chips: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return the rows of `core.invoice_lines`.

    Args:
        chips: what bills call accelerators and machines of them: `provider` (NULL: whoever it is), `written` in small
            letters, `chip` and how many (`count`): an hour of a machine is that many hours of accelerators.
        lines: what `lines_in_force` returns, with provider ids.
        names: ref.models; the model's name at the start of the charge counts.
        fx: ref.fx_rates; the latest rate on or before the day of the charge counts.
    """
    rows = lines.with_row_index("row").with_columns(
        pl.col("charge_period_start").dt.date().alias("charged_on"),
        pl.col("billing_period_start").dt.date().alias("billed_on"),
    )
    rows = rows.join(_named(rows, names), on="row", how="left").join(_rated(rows, fx), on="row", how="left")
    if chips is not None:
        rows = _with_chips(rows, chips)
    is_home = pl.col("currency") == "USD"
    cost = picodollars_from_usd(pl.col("billed_cost"))
    rate = picodollars_from_usd(pl.col("usd_per_unit"))
    quantity = millionths(pl.col("consumed_quantity"))
    rows = rows.with_columns(
        usd=usd_from_picodollars(
            pl.when(is_home).then(cost).otherwise(half_even(cost * rate, PICODOLLARS_PER_USD))
        ),
        fx_usd_per_unit=pl.when(~is_home).then("usd_per_unit"),
        fx_on=pl.when(~is_home).then("rate_on"),
        unit_price=unit_price(cost, quantity),
    )
    return table("core.invoice_lines").conform(rows.lazy(), fill=True).collect()


def invoices(lines: pl.DataFrame, deliveries: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `core.invoices`: lines added up by invoice, all and by category.

    Args:
        lines: rows of core.invoice_lines.
        deliveries: what `lines_in_force` returned for them.
    """
    delivered = deliveries.group_by(BILL).agg(pl.col("delivery_count").max(), pl.col("delivered_at").max())
    key = (
        *BILL,
        "billing_period_end",
        "billed_on",
        "invoice_id",
        pl.col("currency").alias("billing_currency"),
    )
    cost = pl.col("billed_cost")
    summed = lines.group_by(key, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("line_count"),
        cost.sum(),
        *(
            cost.filter(pl.col("charge_category") == category).sum().alias(f"{category.lower()}_cost")
            for category in CHARGE_CATEGORIES
        ),
        pl.when(pl.col("usd").is_not_null().all()).then(pl.col("usd").sum()).alias("usd"),
    )
    is_issued = pl.col("invoice_id").is_not_null()
    rows = summed.join(delivered, on=BILL, how="left", nulls_equal=True).with_columns(
        pl.when(is_issued).then(pl.lit("Issued")).otherwise(pl.lit("Pending")).alias("invoice_issue_status")
    )
    return table("core.invoices").conform(rows.lazy()).collect()


def millionths(quantity: pl.Expr) -> pl.Expr:
    """Return a quantity as Int128 millionths of a unit."""
    return (quantity.cast(pl.Decimal(38, 6)) * QUANTITY_SCALE).cast(pl.Int128)


def unit_price(cost: pl.Expr, quantity: pl.Expr) -> pl.Expr:
    """Return the price of a single unit, rounded half-even to 18 decimals; NULL without a quantity.

    Args:
        cost: in 1e-12 of the currency.
        quantity: in millionths of a unit.
    """
    price = half_even(cost * _UNIT_PRICE_SCALE, pl.when(quantity > 0).then(quantity))
    return (price.cast(pl.Decimal(38, 0)) * Decimal("0.000000000000000001")).cast(UNIT_PRICE)


def _named(rows: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Return `row, canonical_model` of the lines whose model the book knows by that name at that instant."""
    known = names.filter(pl.col("known_to").is_null()).select(
        "provider",
        pl.col("alias").str.to_lowercase(),
        pl.col("model").alias("canonical_model"),
        "valid_from",
        "valid_to",
    )
    start = pl.col("charge_period_start")
    exact = (
        rows.select(
            "row", "provider", pl.col("model").str.to_lowercase().alias("alias"), "charge_period_start"
        )
        .join(known, on=["provider", "alias"])
        .filter(pl.col("valid_from") <= start, pl.col("valid_to").is_null() | (start < pl.col("valid_to")))
        .group_by("row")
        .agg(pl.col("canonical_model").min())
    )
    by_words = models_by_words(rows.join(exact, on="row", how="anti"), known)
    return pl.concat([exact, by_words])


def _with_chips(rows: pl.DataFrame, chips: pl.DataFrame) -> pl.DataFrame:
    """Return the lines with the chip of the machine that they bill, and its hours times its chips."""
    written = pl.col("chip").str.strip_chars().str.to_lowercase()
    asked = rows.select("row", "provider", written.alias("written")).drop_nulls("written")
    own = asked.join(chips.drop_nulls("provider"), on=["provider", "written"])
    anyones = asked.join(own, on="row", how="anti").join(
        chips.filter(pl.col("provider").is_null()).drop("provider"), on="written"
    )
    known = pl.concat(
        part.select("row", pl.col("chip").alias("known_chip"), "count") for part in (own, anyones)
    ).unique("row")
    is_machine = pl.col("count").is_not_null() & (pl.col("consumed_unit") == "seconds")
    return rows.join(known, on="row", how="left", maintain_order="left").with_columns(
        pl.coalesce("known_chip", "chip").alias("chip"),
        pl.when(is_machine)
        .then((pl.col("consumed_quantity") * pl.col("count")).cast(QUANTITY))
        .otherwise("consumed_quantity")
        .alias("consumed_quantity"),
    )


def _rated(rows: pl.DataFrame, fx: pl.DataFrame) -> pl.DataFrame:
    """Return `row, rate_on, usd_per_unit` of the lines in other currencies than dollars."""
    rates = (
        fx.sort("known_from")
        .unique(["currency", "rate_on"], keep="last")
        .select("currency", "rate_on", pl.col("usd_per_unit").cast(USD))
        .sort("rate_on")
    )
    return (
        rows.select("row", "currency", "charged_on")
        .filter(pl.col("currency") != "USD")
        .sort("charged_on")
        .join_asof(
            rates,
            left_on="charged_on",
            right_on="rate_on",
            by="currency",
            coalesce=False,
            check_sortedness=False,
        )
        .select("row", "rate_on", "usd_per_unit")
    )
