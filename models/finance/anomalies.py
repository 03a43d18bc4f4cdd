"""mart.spend_anomalies: days whose spend lies outside its range, explained by the bridge from a usual day."""

from datetime import date

import polars as pl

from models.finance.variance import CELL, spend_variance
from models.money import USD
from models.schemas import table
from models.schemas.mart_spend_anomalies import ANOMALY_CAUSES

REACH_DAYS = 63
"""Days before a day that tell what is usual: four weeks of the same weekday, and how much they stray."""
_WEEK = 7
_WEEKS = 4
_FEWEST_STRAYS = 7
_FEWEST_DAYS = 4
_FAR = 5.0
"""Standard deviations that a usual day lies within."""
_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_SHARE = 0.2
"""Share of what is expected that is never far."""
_FEWEST_USD = 1.0
"""Dollars that are never far."""
_SCOPE = ("scope_kind", "scope")


def unusual_days(daily: pl.DataFrame, *, first: date, last: date) -> pl.DataFrame:
    """Return the days of [first, last) that lie outside their range, with the day to explain each by.

    The range is the median of the same weekday of the last four weeks, give or take 5 standard deviations (from the
    median difference of days a week apart), a fifth of it, or a dollar, whichever is most; a day so near the day
    that it is explained by is usual too.

    Args:
        daily: `scope_kind, scope, accrued_on, usd`, `REACH_DAYS` back; a day without any spend at all is not known.
        first: the first day that is compared.
        last: the day after the last.
    """
    days = daily.select("accrued_on").unique().sort("accrued_on")
    if days.is_empty():
        return _nothing()
    begins = daily.group_by(_SCOPE).agg(pl.col("accrued_on").min().alias("begins_on"))
    usd = pl.col("usd").cast(pl.Float64)
    grid = (
        days.join(begins, how="cross")
        .filter(pl.col("accrued_on") >= pl.col("begins_on"))
        .join(daily, on=[*_SCOPE, "accrued_on"], how="left")
        .with_columns(pl.col("usd").fill_null(0))
        .sort(*_SCOPE, "accrued_on")
        .with_columns(value=usd)
    )
    earlier = grid.select(*_SCOPE, pl.col("accrued_on").alias("earlier_on"), pl.col("value").alias("earlier"))
    compared = grid.select(*_SCOPE, "accrued_on").filter(
        pl.col("accrued_on") >= first, pl.col("accrued_on") < last
    )
    key = [*_SCOPE, "accrued_on"]
    near = _days_after(earlier).join(compared, on=key)
    weekly = near.filter(pl.col("back") % _WEEK == 0).with_columns(rank=1)
    lately = near.filter(pl.col("back") <= _WEEK).with_columns(rank=2)
    fewest = pl.when(pl.col("rank") == 1).then(2).otherwise(_FEWEST_DAYS)
    usual = (
        pl.concat([weekly, lately])
        .filter(pl.len().over(*key, "rank") >= fewest)
        .filter(pl.col("rank") == pl.col("rank").min().over(key))
        .with_columns(expected=pl.col("earlier").median().over(key))
        .sort(*key, (pl.col("earlier") - pl.col("expected")).abs(), "back")
        .unique(key, keep="first", maintain_order=True)
        .select(*key, "expected", "earlier", pl.col("earlier_on").alias("against_on"))
    )
    week_later = earlier.with_columns(accrued_on=pl.col("earlier_on").dt.offset_by("1w"))
    strays = grid.join(week_later, on=key).select(
        *_SCOPE,
        pl.col("accrued_on").alias("earlier_on"),
        (pl.col("value") - pl.col("earlier")).abs().alias("apart"),
    )
    spread = (
        _days_after(strays)
        .join(compared, on=key)
        .group_by(key)
        .agg(pl.col("apart").median(), pl.len().alias("strays"))
        .filter(pl.col("strays") >= _FEWEST_STRAYS)
    )
    far = pl.max_horizontal(
        _FAR * _MAD * pl.col("apart").fill_null(0) / 2**0.5, _SHARE * pl.col("expected"), pl.lit(_FEWEST_USD)
    )
    # Until strays are known nothing but a multiple is unusual.
    far = pl.when(pl.col("apart").is_null()).then(pl.max_horizontal(far, "expected")).otherwise(far)
    return (
        usual.join(spread, on=key, how="left")
        .join(grid.select(*key, "usd", "value"), on=key)
        .with_columns(far=far)
        # The median of two days apart is no day's: what is like the day it is held against is not unusual.
        .filter((pl.col("value") - pl.col(name)).abs() > pl.col("far") for name in ("expected", "earlier"))
        .select(
            *key, "against_on", pl.col("usd").alias("spend_usd"),
            pl.col("expected").round(6).cast(USD).alias("expected_usd"),
            (pl.col("expected") - pl.col("far")).clip(lower_bound=0).round(6).cast(USD).alias("low_usd"),
            (pl.col("expected") + pl.col("far")).round(6).cast(USD).alias("high_usd"),
        )
        .sort(key)
    )  # fmt: skip


def _days_after(rows: pl.DataFrame) -> pl.DataFrame:
    """Repeat rows of `earlier_on` for each of the four weeks after it: `back` days before `accrued_on`."""
    back = pl.DataFrame({"back": range(1, _WEEK * _WEEKS + 1)}, schema={"back": pl.Int64})
    return rows.join(back, how="cross").with_columns(
        accrued_on=pl.col("earlier_on") + pl.duration(days=pl.col("back"))
    )


def explained(unusual: pl.DataFrame, usage: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `mart.spend_anomalies`.

    Args:
        unusual: what `unusual_days` returns.
        usage: of each of its days and scopes, `accrued_on, against_on, scope_kind, scope, side`, a cell, `meter` (gpu),
            `quantity, usd`.
        others: the same heads, `cause`, a cell, `usd`.
    """
    schema = table("mart.spend_anomalies")
    parts = []
    for kind, scope in unusual.select(_SCOPE).unique(maintain_order=True).iter_rows():
        mine = [
            rows.filter(scope_kind=kind, scope=scope).drop(_SCOPE).rename({"accrued_on": "month_on"})
            for rows in (usage, others)
        ]
        bridge = spend_variance(mine[0], _NO_FOREIGN, mine[1]).rename({"month_on": "accrued_on"})
        parts.append(bridge.with_columns(scope_kind=pl.lit(kind), scope=pl.lit(scope)))
    if not parts:
        return schema.empty()
    bridges = pl.concat(parts)
    key = [*_SCOPE, "accrued_on"]
    amount = pl.col("difference_usd")
    causes = bridges.group_by(key).agg(
        pl.col("earlier_usd").sum().alias("against_usd"),
        *(
            amount.filter(pl.col("cause") == name).sum().cast(USD).alias(f"{name}_usd")
            for name in ANOMALY_CAUSES
        ),
    )
    main = (
        bridges.join(unusual.select(*key, "spend_usd", "expected_usd"), on=key)
        .with_columns(
            toward=amount.cast(pl.Float64)
            * (pl.col("spend_usd") - pl.col("expected_usd")).cast(pl.Float64).sign()
        )
        .sort(*key, "toward", "cause", *CELL, descending=[False] * 3 + [True] + [False] * (1 + len(CELL)))
        .unique(key, keep="first", maintain_order=True)
        .select(
            *key,
            pl.col("cause").alias("main_cause"),
            pl.col("provider").alias("main_provider"),
            pl.col("model").alias("main_model"),
        )
    )
    rows = (
        unusual.join(causes, on=key, how="left")
        .join(main, on=key, how="left")
        .with_columns(excess_usd=(pl.col("spend_usd") - pl.col("expected_usd")).cast(USD))
    )
    return schema.conform(rows.lazy()).sort(schema.key).collect()


_NO_FOREIGN = pl.DataFrame(
    schema={
        "month_on": pl.Date, "against_on": pl.Date, "side": pl.Int64, **dict.fromkeys(CELL, pl.String),
        "foreign_usd": USD, "foreign_amount": USD,
    }
)  # fmt: skip


def _nothing() -> pl.DataFrame:
    dates = {"accrued_on": pl.Date, "against_on": pl.Date}
    return pl.DataFrame(
        schema={"scope_kind": pl.String, "scope": pl.String, **dates}
        | {f"{name}_usd": USD for name in ("spend", "expected", "low", "high")}
    )
