"""mart.accruals_monthly: what a month's usage was accrued at, what its bills ask for, and what parts them by cause.

What a closed month has booked stays. What comes to be known later is the difference to it, and is booked in the month
in which it comes: sums over the booking months are what is known now.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from models.money import USD
from models.schemas import table
from models.schemas.mart_accruals_monthly import TRUE_UP_CAUSES

_KEY = ("month_on", "invoice_issuer_name")
_CAUSES = tuple(f"{name}_usd" for name in TRUE_UP_CAUSES)
_AMOUNTS = ("accrued_usd", "invoiced_usd", "true_up_usd", *_CAUSES)
_OF_THE_BILL = tuple(name for name in _CAUSES if name not in {"scope_usd", "correction_usd"})
_NONE = pl.lit(0, dtype=USD)


def accruals(
    ledger: pl.DataFrame,
    bills: pl.DataFrame,
    corrections: pl.DataFrame,
    *,
    issuers: pl.DataFrame,
    kept: pl.DataFrame,
    closed: Sequence[date],
) -> pl.DataFrame:
    """Return the rows of `mart.accruals_monthly`.

    Args:
        ledger: spend by `month_on, provider`: `usd`.
        bills: of whole months, by `month_on, invoice_issuer_name`: `invoiced_usd` (NULL where a row has no exchange
            rate), `ledger_usd` that they were held against, the terms of the reconciliation, `bill_count,
            unknown_count` and the business date `delivered_on` of the latest.
        corrections: `month_on, booked_on` (first day of the booking month), `provider, usd`.
        issuers: `provider, invoice_issuer_name`: who bills a provider.
        kept: rows that closed months have booked.
        closed: first days of the closed months.
    """
    accrued = _by_issuer(ledger, issuers).group_by(_KEY).agg(pl.col("usd").sum().alias("accrued_usd"))
    corrected = _by_issuer(corrections, issuers).group_by(*_KEY, "booked_on").agg(pl.col("usd").sum())
    known = _known_now(accrued, bills, corrected)
    booked = kept.group_by(_KEY).agg(pl.col(_AMOUNTS).sum(), pl.lit(value=True).alias("has_booked"))
    rest = (
        known.join(booked, on=_KEY, how="full", coalesce=True, nulls_equal=True, suffix="_before")
        .with_columns(pl.col(name).fill_null(_NONE) for name in _AMOUNTS if name != "invoiced_usd")
        .with_columns(
            (pl.col(name) - pl.col(f"{name}_before").fill_null(_NONE)).cast(USD).alias(name)
            for name in _AMOUNTS
        )
        .with_columns(_booking_month(closed))
    )
    is_first = pl.col("has_booked").is_null()
    moves = pl.any_horizontal(pl.col(name).fill_null(_NONE) != _NONE for name in _AMOUNTS)
    rest = rest.filter(is_first | moves)
    later = corrected.filter(~pl.col("booked_on").is_in(list(closed))).select(
        *_KEY, "booked_on", pl.col("usd").alias("corrected_usd")
    )
    rows = (
        rest.select(*_KEY, "booked_on", *_AMOUNTS, "bill_count", "unknown_count")
        .join(later, on=[*_KEY, "booked_on"], how="full", coalesce=True, nulls_equal=True)
        .with_columns(
            *(
                pl.col(name).fill_null(_NONE)
                for name in ("corrected_usd", *_AMOUNTS)
                if name != "invoiced_usd"
            ),
            pl.col("bill_count", "unknown_count").fill_null(0),
        )
        .join(_only_provider(issuers), on="invoice_issuer_name", how="left")
        .with_columns(pl.coalesce("provider", pl.when(pl.col("bill_count") == 0).then("invoice_issuer_name")))
    )
    schema = table("mart.accruals_monthly")
    both = pl.concat([kept.select(schema.column_names), schema.conform(rows.lazy()).collect()])
    return both.sort(schema.key, nulls_last=True)


def _by_issuer(rows: pl.DataFrame, issuers: pl.DataFrame) -> pl.DataFrame:
    """Name who bills each provider; one whose bills were never seen goes by its own name."""
    return rows.join(issuers, on="provider", how="left").with_columns(
        pl.coalesce("invoice_issuer_name", "provider").alias("invoice_issuer_name")
    )


def _only_provider(issuers: pl.DataFrame) -> pl.DataFrame:
    return (
        issuers.group_by("invoice_issuer_name")
        .agg(pl.col("provider").min(), pl.len().alias("count"))
        .filter(pl.col("count") == 1)
        .drop("count")
    )


def _known_now(accrued: pl.DataFrame, bills: pl.DataFrame, corrected: pl.DataFrame) -> pl.DataFrame:
    """Hold each month's bills against what was accrued and corrected."""
    summed = corrected.group_by(_KEY).agg(pl.col("usd").sum().alias("corrected_usd"))
    known = accrued.join(bills, on=_KEY, how="full", coalesce=True, nulls_equal=True).join(
        summed, on=_KEY, how="left", nulls_equal=True
    )
    has_bill = pl.col("invoiced_usd").is_not_null()
    known = known.with_columns(
        pl.col("accrued_usd", "corrected_usd", "ledger_usd").fill_null(_NONE),
        pl.col("bill_count", "unknown_count").fill_null(0),
        *(
            pl.when(has_bill).then(pl.col(name).fill_null(_NONE)).otherwise(_NONE).alias(name)
            for name in _OF_THE_BILL
        ),
    )
    known = known.with_columns(
        scope_usd=pl.when(has_bill)
        .then(pl.col("ledger_usd") - pl.col("accrued_usd"))
        .otherwise(_NONE)
        .cast(USD),
        correction_usd=pl.when(has_bill).then(_NONE - pl.col("corrected_usd")).otherwise(_NONE).cast(USD),
    )
    return known.with_columns(true_up_usd=pl.sum_horizontal(_CAUSES).cast(USD))


def _booking_month(closed: Sequence[date]) -> pl.Expr:
    """Return the month itself while it is open; else that in which the bill came, or the first open one after it."""
    open_from = (
        (pl.lit(max(closed), dtype=pl.Date).dt.offset_by("1mo")) if closed else pl.lit(None, dtype=pl.Date)
    )
    came = pl.col("delivered_on").dt.truncate("1mo")
    late = pl.max_horizontal("month_on", came, open_from)
    return pl.when(pl.col("month_on").is_in(list(closed))).then(late).otherwise("month_on").alias("booked_on")
