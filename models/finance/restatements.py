"""What computing again changes: dollars by model and month; closed days are corrected, not rewritten."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from models.money import USD
from models.schemas import table
from models.schemas.vocabulary import TOKEN_COLUMNS

Periods = Sequence[tuple[date, date]]
"""Closed periods of business dates, each [from, to)."""
_ATTEMPT = ("source", "request_id", "accrued_hour", "accrued_on")
_POOL = ("deployment", pl.col("pool_hour").alias("accrued_hour"), "accrued_on")
_CHARGE = ("charge_id", pl.col("route").alias("deployment"), "accrued_hour", "accrued_on")
_POOL_PARTS = (
    "starting_usd", "idle_usd", "draining_usd", "failed_usd", "padding_usd", "unheld_usd", "unused_commitment_usd",
)  # fmt: skip
"""What a pool costs beside the attempts that it served; their cost is in core.request_costs."""
_NO_USD = Decimal(0)
_NO_VERSION = pl.lit(None, dtype=pl.String)
_RECORD = ("provider", "region", "service_tier", "requested_model", "routed_model", "served_model")
"""What a record says of a call, beside its tokens."""
CORRECTED_DIMS = ("provider", "region", "route", "model", "chip", "tenant", "team", "feature", "environment")
"""Whose a correction is."""


@dataclass(frozen=True)
class Restated:
    """`rows` to store, those of closed days as they were, and the new rows of core.adjustments."""

    rows: pl.DataFrame
    adjustments: pl.DataFrame


def restate_requests(
    old: pl.DataFrame, new: pl.DataFrame, adjustments: pl.DataFrame, *, closed: Periods, booked_on: date
) -> Restated:
    """Keep the attempts of closed days as they stand, and correct them by their difference.

    A figure that is no longer known corrects nothing. What is corrected is what stands after the corrections
    that were booked before, so that doing it again adds none.

    Args:
        old: the stored rows of core.request_costs of some hours.
        new: the same hours computed again.
        adjustments: the rows of core.adjustments of these hours.
        closed: the closed periods.
        booked_on: business date on which corrections are booked.
    """
    facts = (
        pl.col("effective_usd").cast(USD).sum(),
        pl.col("effective_usd").null_count().alias("unknown"),
        pl.col("cost_basis").first(),
        pl.col("price_id").sort().implode(),
        pl.col("sheet_version").drop_nulls().max(),
        pl.when(pl.col("cost_basis") == "gpu").then("chip").drop_nulls().min().alias("gpu_chip"),
        pl.concat_str(pl.col(_RECORD).fill_null("-"), separator="|").first().alias("record"),
        pl.sum_horizontal(pl.col(TOKEN_COLUMNS).fill_null(0)).sum().alias("tokens"),
        *_dims(*CORRECTED_DIMS),
    )
    is_repriced = pl.col("price_id").ne_missing(pl.col("price_id_new")) | (pl.col("cost_basis") == "token")
    # Another record of the call, or a replica that was not known: rows came late, whatever they cost.
    is_late = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(f"{name}_new"))
        for name in ("record", "tokens", "cost_basis", "gpu_chip")
    )
    reason = (
        pl.when(~pl.col("was") | ~pl.col("is") | is_late)
        .then(pl.lit("late_row"))
        .when(is_repriced)
        .then(pl.lit("reprice"))
        .otherwise(pl.lit("resplit"))
    )
    return _restate(
        old,
        new,
        adjustments.filter(pl.col("request_id").is_not_null()),
        _ATTEMPT,
        facts,
        name="effective_usd",
        identity=pl.concat_str("source", "request_id", separator="/"),
        reason=reason,
        version=pl.col("sheet_version_new"),
        closed=closed,
        booked_on=booked_on,
    )


def restate_pools(
    old: pl.DataFrame, new: pl.DataFrame, adjustments: pl.DataFrame, *, closed: Periods, booked_on: date
) -> Restated:
    """Do the same for core.pool_hours: what a pool cost beside the attempts that it served."""
    facts = (
        pl.sum_horizontal(pl.col(name).cast(USD) for name in _POOL_PARTS).sum().alias("beside_usd"),
        pl.col("billed_usd").null_count().alias("unknown"),
        pl.col("billed_gpu_seconds").sum(),
        pl.col("billed_usd").sum(),
        pl.col("deployment").first().alias("route"),
        *_dims("provider", "region", "model", "chip"),
    )
    # The same GPU time for another bill is another price; all else is what a late request or replica changed.
    is_repriced = (pl.col("billed_gpu_seconds") == pl.col("billed_gpu_seconds_new")) & pl.col(
        "billed_usd"
    ).ne_missing(pl.col("billed_usd_new"))
    reason = (
        pl.when(pl.col("was") & pl.col("is") & is_repriced)
        .then(pl.lit("reprice"))
        .otherwise(pl.lit("late_row"))
    )
    return _restate(
        old,
        new,
        adjustments.filter(pl.col("request_id").is_null(), pl.col("charge_id").is_null()),
        _POOL,
        facts,
        name="beside_usd",
        identity=pl.col("deployment").fill_null("-"),
        reason=reason,
        closed=closed,
        booked_on=booked_on,
    )


def restate_charges(
    old: pl.DataFrame, new: pl.DataFrame, adjustments: pl.DataFrame, *, closed: Periods, booked_on: date
) -> Restated:
    """Do the same for core.other_charges."""
    return _restate(
        old,
        new,
        adjustments.filter(pl.col("charge_id").is_not_null()),
        _CHARGE,
        (
            pl.col("effective_usd").sum(),
            pl.col("effective_usd").null_count().alias("unknown"),
            *_dims("provider", "region", "route", "model", "chip", "tenant"),
        ),
        name="effective_usd",
        identity=pl.col("charge_id"),
        reason=pl.when(pl.col("was") & pl.col("is")).then(pl.lit("reprice")).otherwise(pl.lit("late_row")),
        closed=closed,
        booked_on=booked_on,
    )


def _dims(*names: str) -> list[pl.Expr]:
    """Return the dimensions of a figure; of several pools of one deployment, the first by name."""
    return [pl.col(name).min() for name in names]


def _restate(
    old: pl.DataFrame,
    new: pl.DataFrame,
    adjustments: pl.DataFrame,
    key: Sequence[str | pl.Expr],
    facts: Sequence[pl.Expr],
    *,
    name: str,
    identity: pl.Expr,
    reason: pl.Expr,
    version: pl.Expr = _NO_VERSION,
    closed: Periods,
    booked_on: date,
) -> Restated:
    """Compare the figure `name` of closed days, one of `facts` by `key`, and book where it differs."""
    if not closed:
        return Restated(new, table("core.adjustments").frame([]))
    before = old.filter(_is_closed(closed))
    stands = before.group_by(key).agg(facts)
    changed = _compare(
        stands,
        new.filter(_is_closed(closed)).group_by(key).agg(facts),
        adjustments,
        key=stands.columns[: len(key)],
        name=name,
    )
    booked = _booked(changed, identity, reason, booked_on=booked_on, version=version)
    # What a lake of an earlier version stores has the columns of today in another order, and may have more.
    return Restated(pl.concat([before.select(new.columns), new.filter(~_is_closed(closed))]), booked)


def price_delta(old: pl.DataFrame, new: pl.DataFrame, *, closed: Periods, figure: str) -> pl.DataFrame:
    """Sum up, by month, model and provider, what pricing the same usage again changes.

    Args:
        old: the stored rows of core.request_costs or core.replica_states.
        new: the same hours computed again.
        closed: the closed periods.
        figure: the column of dollars, `effective_usd` or `billed_usd`.

    Returns:
        `month` (YYYY-MM), `provider`, `model`, `is_closed`, the `figures` that change, `newly_priced` and
        `newly_unpriced` of them, `old_usd`, `new_usd` and `difference_usd` of them; only what changes.
    """
    keys = _KEYS if figure == "effective_usd" else table("core.replica_states").key
    both = old.select(*keys, figure).join(
        new.select(*{*keys, figure, *_CELL, "accrued_on"}), on=keys, suffix="_new", nulls_equal=True
    )
    was, now = pl.col(figure).cast(USD), pl.col(f"{figure}_new").cast(USD)
    return (
        both.filter(was.ne_missing(now))
        .group_by(
            pl.col("accrued_on").dt.strftime("%Y-%m").alias("month"),
            *_CELL,
            _is_closed(closed).alias("is_closed"),
        )
        .agg(
            pl.len().cast(pl.Int64).alias("figures"),
            (was.is_null() & now.is_not_null()).sum().cast(pl.Int64).alias("newly_priced"),
            (was.is_not_null() & now.is_null()).sum().cast(pl.Int64).alias("newly_unpriced"),
            was.sum().cast(USD).alias("old_usd"),
            now.sum().cast(USD).alias("new_usd"),
        )
        .with_columns(difference_usd=(pl.col("new_usd") - pl.col("old_usd")).cast(USD))
    )


def add_deltas(deltas: pl.DataFrame) -> pl.DataFrame:
    """Add up the changes of several ranges of hours."""
    cell = ("month", *_CELL, "is_closed")
    return deltas.group_by(cell).agg(pl.exclude(cell).sum()).sort(cell, nulls_last=True)


_CELL = ("provider", "model")
_KEYS = table("core.request_costs").key


def _is_closed(closed: Periods) -> pl.Expr:
    day = pl.col("accrued_on")
    return pl.any_horizontal(pl.lit(value=False), *((day >= start) & (day < end) for start, end in closed))


def _compare(
    before: pl.DataFrame, after: pl.DataFrame, adjustments: pl.DataFrame, *, key: Sequence[str], name: str
) -> pl.DataFrame:
    """Return what stands (`old_usd`), what should (`new_usd`), and the corrections so far, where they differ."""
    booked = adjustments.group_by(key).agg(
        pl.col("difference_usd").sum().alias("corrected_usd"), pl.len().alias("corrections")
    )
    stands = pl.col(name).fill_null(_NO_USD) + pl.col("corrected_usd").fill_null(_NO_USD)
    is_known = pl.col("unknown_new").is_null() | (pl.col("unknown_new") == 0)
    # A correction may stand alone: of an attempt that came late, and went again.
    return (
        before.with_columns(was=pl.lit(value=True))
        .join(
            after.with_columns(**{"is": pl.lit(value=True)}),
            on=key, how="full", coalesce=True, nulls_equal=True, suffix="_new",
        )
        .join(booked, on=key, how="full", coalesce=True, nulls_equal=True)
        .with_columns(
            pl.col("was", "is").fill_null(value=False),
            pl.col("corrections").fill_null(0),
            old_usd=stands.cast(USD),
            new_usd=pl.col(f"{name}_new").fill_null(_NO_USD).cast(USD),
        )
        .filter(is_known & (pl.col("old_usd") != pl.col("new_usd")))
    )  # fmt: skip


def _booked(
    changed: pl.DataFrame, identity: pl.Expr, reason: pl.Expr, *, booked_on: date, version: pl.Expr
) -> pl.DataFrame:
    """Write corrections; the number of each tells it from those of the same figure before."""
    hour = pl.col("accrued_hour").dt.strftime("%Y-%m-%dT%H:%MZ")
    rows = changed.with_columns(
        adjustment_id=pl.format("{}/{}/{}#{}", identity, hour, "accrued_on", pl.col("corrections") + 1),
        booked_on=pl.lit(booked_on),
        difference_usd=(pl.col("new_usd") - pl.col("old_usd")).cast(USD),
        reason=reason,
        sheet_version=version,
        **{
            name: pl.coalesce(f"{name}_new", name)
            for name in CORRECTED_DIMS
            if f"{name}_new" in changed.columns
        },
    )
    return table("core.adjustments").conform(rows.lazy(), fill=True).sort("adjustment_id").collect()
