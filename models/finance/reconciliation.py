"""mart.invoice_reconciliation: a bill against the ledger, and what their difference is made of, to the picodollar."""

import polars as pl

from models.finance.invoices import BILL, QUANTITY_SCALE, millionths, unit_price
from models.finance.matching import DIMENSIONS, matched
from models.money import PICODOLLARS_PER_USD, USD, half_even, picodollars_from_usd, usd_from_picodollars
from models.schemas import table
from models.schemas.mart_invoice_reconciliation import RECONCILIATION_TERMS
from models.tiers import with_default_named

_INVOICE = (
    "billed_on", "source", "invoice_issuer_name", "billing_account_id", "invoice_id", "billing_period_start",
    "billing_period_end",
)  # fmt: skip
_TERMS = tuple(RECONCILIATION_TERMS)
_POOL_PARTS = ("minimum_usd", "unheld_usd", "unused_commitment_usd")
"""Parts of a pool's bill that no replica's hours show."""
_APART = r"(?i)storage|hosting|training|tuning|\bdisk\b|vector|session"
_OF_THE_ISSUER = ("consumption_units", "token_hours")
_CLOUDS = ("aws", "azure", "gcp")
_SAME_PRICE = 1e-3
"""How far from a thousandfold a price may be that is one by its unit."""
_RATES: dict[str, pl.DataType | type[pl.DataType]] = {
    "provider": pl.String,
    "model": pl.String,
    "meter": pl.String,
    "book_usd_per_unit": pl.Decimal(38, 12),
}


def invoice_reconciliation(
    lines: pl.DataFrame,
    ledger: pl.DataFrame,
    *,
    rates: pl.DataFrame | None = None,
    gaps: pl.DataFrame | None = None,
    elsewhere: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the rows of `mart.invoice_reconciliation`.

    Of a cell with a billed quantity q_inv, a ledger's quantity q_led and its unit price p_led (the book's where the
    ledger has none of it): q_inv - q_led is coverage (no log, or no price), timing (billed in another period) and what
    was counted otherwise, each at p_led; rate is (p_inv - p_led) x q_inv; currency is the billed amount at the bill's
    exchange rate less that at the ledger's. Lines that are not usage are fees and taxes, or credits and refunds.
    What remains is unexplained: rounding, and cells without a quantity.

    Args:
        lines: core.invoice_lines of whole billing periods.
        ledger: what the ledger holds for each of them: `source, invoice_issuer_name, billing_account_id,
            billing_period_start`, the dimensions, `quantity, unpriced_quantity, usd`, of pools the parts `minimum_usd,
            unheld_usd, unused_commitment_usd` of it, and `fx_usd_per_unit` (what a unit of the price's currency cost
            there; NULL for dollars) with `price_currency` (none: that of the bill).
        rates: what the book asks for a single unit: `provider, model, meter, book_usd_per_unit`.
        gaps: what independent counters saw and no log tells of: the ledger's keys, and `quantity`.
        elsewhere: lines of core.invoice_lines of other billing periods: what they bill of these periods is timing.
    """
    billed, others = _cells(lines), _not_usage(lines)
    inside, lacking = _held(billed, ledger, lines)
    book = pl.DataFrame(schema=_RATES) if rates is None else rates
    rows = pl.concat(
        [
            billed.join(inside, on="cell", how="left")
            .join(book, on=["provider", "model", "meter"], how="left")
            .join(_missing(billed, gaps), on="cell", how="left")
            .join(_moved_out(billed, lines, elsewhere), on="cell", how="left"),
            lacking,
        ],
        how="diagonal_relaxed",
    )
    rows = _with_terms(rows)
    schema = table("mart.invoice_reconciliation")
    return (
        pl.concat([schema.conform(part.lazy(), fill=True) for part in (rows, others)])
        .sort(schema.key, nulls_last=True)
        .collect()
    )


def both_sides(lines: pl.DataFrame, ledger: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return lines of usage and rows of the ledger with the `cell` in which they meet; NULL where the bill has none.

    Args:
        lines: core.invoice_lines of whole bills.
        ledger: what the ledger holds for them at any grain: the bill's keys and the dimensions, and what else.
    """
    billed = _cells(lines)
    keys = [*_INVOICE, *DIMENSIONS, "unit"]
    usage = lines.filter(_is_usage()).with_row_index("row")
    placed = usage.with_columns(*_dimensions(), _unit().alias("unit")).select("row", *keys)
    cells = placed.join(billed.select("cell", *keys), on=keys, nulls_equal=True).select("row", "cell")
    parts = ledger.with_columns(_tier(), _period()).with_row_index("part")
    return (
        usage.join(cells, on="row", how="left", maintain_order="left").drop("row"),
        parts.join(matched(billed, parts), on="part", how="left", maintain_order="left").drop(
            "part", "period"
        ),
    )


def _period() -> pl.Expr:
    return pl.struct(BILL).hash().alias("period")


def _tier() -> pl.Expr:
    return with_default_named(pl.col("service_tier")).alias("service_tier")


def _dimensions() -> list[pl.Expr]:
    """Return what a line tells in the ledger's words: the chip is the meter of a bill for GPUs.

    What is no usage of a model by its words, and what a cloud bills beside accelerators, is held against nothing: its
    meter is the issuer's.
    """
    is_apart = pl.col("meter").str.contains(_APART) | pl.col("provider").is_in(_CLOUDS)
    own = pl.when(is_apart.fill_null(value=False)).then("meter")
    return [
        pl.coalesce("canonical_model", "model").alias("model"),
        _tier(),
        pl.coalesce("chip", "token_class", own).alias("meter"),
    ]


def _is_usage() -> pl.Expr:
    """Return which lines the ledger has a side of: usage, and hours of accelerators that are bought ahead."""
    is_hours = (pl.col("charge_category") == "Purchase") & pl.col("chip").is_not_null()
    return ((pl.col("charge_category") == "Usage") | is_hours) & pl.col("charge_class").is_null()


def _unit() -> pl.Expr:
    return pl.when(pl.col("chip").is_not_null()).then(pl.lit("seconds")).otherwise("consumed_unit")


def _cells(lines: pl.DataFrame) -> pl.DataFrame:
    """Add up the lines of usage by what they tell; moved quantities are those of charges outside of their period."""
    start = pl.col("charge_period_start")
    is_moved = (start < pl.col("billing_period_start")) | (start >= pl.col("billing_period_end"))
    quantity = millionths(pl.col("consumed_quantity"))
    # A fee for hours that are listed beside it has no hours of its own.
    is_counted = pl.col("consumed_quantity").is_not_null() | (pl.col("charge_category") == "Purchase")
    # What only the issuer counts (consumption units, hours of stored tokens) is nothing that the ledger counts.
    is_counted &= ~pl.col("consumed_unit").is_in(_OF_THE_ISSUER).fill_null(value=False)
    is_stated = is_counted.all() & pl.col("consumed_quantity").is_not_null().any()
    return (
        lines.filter(_is_usage())
        .with_columns(*_dimensions())
        .group_by(*_INVOICE, *DIMENSIONS, _unit().alias("unit"), maintain_order=True)
        .agg(
            pl.when(is_stated).then(quantity.sum()).alias("q_inv"),
            pl.when(is_moved).then(quantity.fill_null(0)).otherwise(0).sum().alias("q_timing"),
            _known_sum(picodollars_from_usd(pl.col("usd"))).alias("c_inv"),
            _known_sum(picodollars_from_usd(pl.col("billed_cost"))).alias("native"),
            pl.when(pl.col("currency").n_unique() == 1).then(pl.col("currency").first()).alias("billed_in"),
            pl.len().cast(pl.Int64).alias("line_count"),
        )
        .with_row_index("cell")
        .cast({"cell": pl.Int64})
        .with_columns(_period())
    )


def _not_usage(lines: pl.DataFrame) -> pl.DataFrame:
    """Add up what is not usage: fees and taxes, credits, refunds and corrections."""
    is_fee = pl.col("charge_category").is_in(["Tax", "Purchase"]) & pl.col("charge_class").is_null()
    nothing = pl.lit(0, dtype=pl.Int128)
    summed = (
        lines.filter(~_is_usage())
        .with_columns(*_dimensions())
        .group_by(*_INVOICE, "charge_category", *DIMENSIONS, maintain_order=True)
        .agg(
            _known_sum(picodollars_from_usd(pl.col("usd"))).alias("c_inv"),
            picodollars_from_usd(pl.col("usd")).filter(is_fee).sum().alias("fee"),
            pl.len().cast(pl.Int64).alias("line_count"),
        )
    )
    is_known = pl.col("c_inv").is_not_null()
    parts = {"fee": pl.col("fee"), "credit": pl.col("c_inv") - pl.col("fee")}
    return summed.with_columns(
        usd_from_picodollars(pl.col("c_inv")).alias("invoiced_usd"),
        usd_from_picodollars(nothing).alias("ledger_usd"),
        usd_from_picodollars(pl.col("c_inv")).alias("difference_usd"),
        *(
            usd_from_picodollars(pl.when(is_known).then(parts.get(name, nothing))).alias(f"{name}_usd")
            for name in _TERMS
        ),
    )


def _held(
    billed: pl.DataFrame, ledger: pl.DataFrame, lines: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Add up the ledger by the cell of the bill that it belongs to; what belongs to none keeps its own dimensions."""
    parts = (
        ledger.with_columns(
            _tier(), *(pl.lit(None, dtype=USD).alias(name) for name in _POOL_PARTS if name not in ledger.columns)
        )
        .group_by(*BILL, *DIMENSIONS, maintain_order=True)
        .agg(
            millionths(pl.col("quantity")).sum().alias("q_led"),
            millionths(pl.col("unpriced_quantity")).sum().alias("q_unpriced"),
            picodollars_from_usd(pl.col("usd")).sum().alias("c_led"),
            *(picodollars_from_usd(pl.col(name)).sum().alias(name) for name in _POOL_PARTS),
            *_foreign(),
            _price_currency(ledger),
        )
        .with_columns(_period())
        .with_row_index("part")
    )  # fmt: skip
    at = parts.join(matched(billed, parts), on="part", how="left", maintain_order="left").join(
        billed.select("cell", "billed_in"), on="cell", how="left", maintain_order="left"
    )
    # Another currency's rate says nothing of the bill's.
    is_its_own = pl.col("price_currency").is_null() | (pl.col("price_currency") == pl.col("billed_in"))
    at = at.with_columns(
        pl.when(is_its_own).then(pl.col(name)).alias(name)
        for name in ("c_foreign", "n_foreign", "fx_first", "fx_last")
    )
    sums = (
        pl.col("q_led", "q_unpriced", "c_led", "c_foreign", "n_foreign", *_POOL_PARTS).sum(),
        pl.col("fx_first").min(),
        pl.col("fx_last").max(),
    )
    inside = at.drop_nulls("cell").group_by("cell").agg(*sums)
    # What the bill lacks stands on a row of its own, under the bill's first invoice of the period.
    invoices = (
        lines.select(*_INVOICE).with_columns(_period()).unique("period", keep="first", maintain_order=True)
    )
    lacking = (
        at.filter(pl.col("cell").is_null())
        .group_by("period", *DIMENSIONS, maintain_order=True)
        .agg(*sums)
        .join(invoices, on="period")
        .with_row_index("lacking")
        .with_columns(cell=-1 - pl.col("lacking").cast(pl.Int64), line_count=pl.lit(0, dtype=pl.Int64))
        .drop("lacking", "period")
    )
    return inside, lacking


def _foreign() -> tuple[pl.Expr, ...]:
    """Return what of the ledger's dollars was bought in another currency, in dollars and in it, and at which rates."""
    fx = picodollars_from_usd(pl.col("fx_usd_per_unit"))
    cost = picodollars_from_usd(pl.col("usd"))
    return (
        pl.when(fx.is_not_null()).then(cost).sum().alias("c_foreign"),
        half_even(cost * PICODOLLARS_PER_USD, pl.when(fx > 0).then(fx)).sum().alias("n_foreign"),
        fx.min().alias("fx_first"),
        fx.max().alias("fx_last"),
    )


def _price_currency(ledger: pl.DataFrame) -> pl.Expr:
    if "price_currency" not in ledger.columns:
        return pl.lit(None, dtype=pl.String).alias("price_currency")
    return pl.col("price_currency").first()


def _moved_out(billed: pl.DataFrame, lines: pl.DataFrame, elsewhere: pl.DataFrame | None) -> pl.DataFrame:
    """Return `cell, q_moved_out`: what other bills of the issuer bill of a period that is not theirs."""
    if elsewhere is None or elsewhere.is_empty():
        return pl.DataFrame(schema={"cell": pl.Int64, "q_moved_out": pl.Int128})
    who = [name for name in BILL if name != "billing_period_start"]
    periods = lines.select(*who, "billing_period_start", "billing_period_end").unique()
    start = pl.col("charge_period_start")
    moved = (
        elsewhere.filter(_is_usage())
        .with_columns(*_dimensions())
        .rename({"billing_period_start": "billed_in"})
        .drop("billing_period_end")
        .join(periods, on=who, nulls_equal=True)
        .filter(
            pl.col("billed_in") != pl.col("billing_period_start"),
            start >= pl.col("billing_period_start"),
            start < pl.col("billing_period_end"),
        )
    )
    parts = moved.with_columns(_period()).with_row_index("part")
    at = parts.join(matched(billed, parts), on="part")
    return at.group_by("cell").agg(
        millionths(pl.col("consumed_quantity")).fill_null(0).sum().alias("q_moved_out")
    )


def _missing(billed: pl.DataFrame, gaps: pl.DataFrame | None) -> pl.DataFrame:
    """Return `cell, q_gap`: what counters saw of a cell and no log tells of."""
    if gaps is None or gaps.is_empty():
        return pl.DataFrame(schema={"cell": pl.Int64, "q_gap": pl.Int128})
    parts = gaps.with_columns(_period()).with_row_index("part")
    at = parts.join(matched(billed, parts), on="part")
    return at.group_by("cell").agg(millionths(pl.col("quantity")).sum().alias("q_gap"))


def _with_terms(rows: pl.DataFrame) -> pl.DataFrame:
    zero = pl.lit(0, dtype=pl.Int128)
    rows = rows.with_columns(
        pl.col("q_led", "q_unpriced", "c_led", "q_gap").fill_null(zero),
        (pl.col("q_timing").fill_null(zero) - pl.col("q_moved_out").fill_null(zero)).alias("q_timing"),
        pl.when(pl.col("line_count") == 0).then(zero).otherwise("q_inv").alias("q_inv"),
        pl.when(pl.col("line_count") == 0).then(zero).otherwise("c_inv").alias("c_inv"),
    )
    # The bill at the ledger's exchange rate; where the ledger has none, at the bill's own.
    # One rate is taken as it is; of several, what the ledger's dollars cost in that currency on the whole.
    mixed = half_even(
        pl.col("c_foreign") * PICODOLLARS_PER_USD, pl.when(pl.col("n_foreign") > 0).then("n_foreign")
    )
    apart = pl.col("native") - pl.col("n_foreign")
    at_ledger = (
        pl.when(pl.col("fx_first") == pl.col("fx_last"))
        .then(half_even(pl.col("native") * pl.col("fx_first"), PICODOLLARS_PER_USD))
        # What the ledger has of that currency keeps its dollars to the last digit; the rate rounds for the rest alone.
        .otherwise(pl.col("c_foreign") + half_even(apart * mixed, PICODOLLARS_PER_USD))
    )
    at_ledger = pl.when(pl.col("billed_in") != "USD").then(at_ledger)
    rows = rows.with_columns(pl.coalesce(at_ledger, "c_inv").alias("c_same")).with_columns(
        # A unit price as a fraction: dollars over a quantity, so that nothing is rounded before the product.
        pl.when(pl.col("q_led") > 0).then("c_led")
        .when(pl.col("book_usd_per_unit").is_not_null())
        .then((pl.col("book_usd_per_unit") * PICODOLLARS_PER_USD).round().cast(pl.Int128))
        .otherwise("c_same").alias("price_top"),
        pl.when(pl.col("q_led") > 0).then("q_led")
        .when(pl.col("book_usd_per_unit").is_not_null()).then(QUANTITY_SCALE)
        .otherwise("q_inv").cast(pl.Int128).alias("price_bottom"),
    )  # fmt: skip
    apart = pl.col("q_inv") - pl.col("q_led") - pl.col("q_timing")
    unseen = pl.col("q_unpriced") + pl.col("q_gap")
    rows = rows.with_columns(pl.min_horizontal(pl.max_horizontal(apart, zero), unseen).alias("q_coverage"))
    rows = rows.with_columns((apart - pl.col("q_coverage")).alias("q_quantity"))
    is_counted = pl.col("q_inv").is_not_null() & (pl.col("price_bottom") > 0)

    def at_price(quantity: pl.Expr) -> pl.Expr:
        value = half_even(quantity * pl.col("price_top"), pl.col("price_bottom"))
        return pl.when(is_counted).then(value).otherwise(zero)

    terms = {
        "coverage": at_price(pl.col("q_coverage")),
        "timing": at_price(pl.col("q_timing")),
        "quantity": at_price(pl.col("q_quantity")),
        "rate": pl.when(is_counted).then(pl.col("c_same") - at_price(pl.col("q_inv"))).otherwise(zero),
        "fx": pl.col("c_inv") - pl.col("c_same"),
    }
    rows = rows.with_columns(value.alias(name) for name, value in terms.items())
    difference = pl.col("c_inv") - pl.col("c_led")
    explained = pl.sum_horizontal(pl.col(name) for name in terms)
    rows = rows.with_columns(
        difference.alias("difference"), (difference - explained).alias("unexplained"), fee=zero, credit=zero
    )
    is_known = pl.col("c_inv").is_not_null()
    return rows.with_columns(
        *(
            usd_from_picodollars(pl.when(is_known).then(name)).alias(f"{name}_usd")
            for name in (*_TERMS, "difference")
        ),
        usd_from_picodollars(pl.col("c_inv")).alias("invoiced_usd"),
        usd_from_picodollars(pl.col("c_led")).alias("ledger_usd"),
        *(
            usd_from_picodollars(pl.when(pl.col("unit") == "seconds").then(name)).alias(f"ledger_{name}")
            for name in _POOL_PARTS
        ),
        charge_category=pl.lit("Usage"),
        cause=_cause(),
        invoiced_quantity=_quantity("q_inv"),
        ledger_quantity=_quantity("q_led"),
        unpriced_quantity=_quantity("q_unpriced"),
        invoiced_unit_price_usd=unit_price(pl.col("c_inv"), pl.col("q_inv")),
        ledger_unit_price_usd=unit_price(pl.col("c_led"), pl.col("q_led")),
    )


def _cause() -> pl.Expr:
    """Return what the difference looks like: a unit read a thousandfold, a whole bill twice, or its largest term."""
    q_inv, q_led, c_inv, c_led = (pl.col(name) for name in ("q_inv", "q_led", "c_inv", "c_led"))
    cause: pl.Expr = pl.lit(None, dtype=pl.String)
    largest = pl.max_horizontal(pl.col(name).abs() for name in _TERMS)
    for name in reversed(_TERMS):
        is_it = (pl.col(name).abs() == largest) & (largest > 0)
        cause = pl.when(is_it).then(pl.lit(name)).otherwise(cause)
    price = c_inv.cast(pl.Float64) / q_inv.cast(pl.Float64)
    ratio = price * q_led.cast(pl.Float64) / c_led.cast(pl.Float64)
    for factor in (1e3, 1e6, 1e-3, 1e-6):
        is_unit = (ratio / factor - 1).abs() < _SAME_PRICE
        cause = pl.when(is_unit.fill_null(value=False)).then(pl.lit("unit")).otherwise(cause)
    is_double = (q_led > 0) & (q_inv == 2 * q_led) & (c_inv == 2 * c_led)
    return pl.when(is_double).then(pl.lit("double_line")).otherwise(cause)


def _quantity(name: str) -> pl.Expr:
    return usd_from_picodollars(pl.col(name) * (PICODOLLARS_PER_USD // QUANTITY_SCALE))


def _known_sum(amount: pl.Expr) -> pl.Expr:
    return pl.when(amount.is_not_null().all()).then(amount.sum())
