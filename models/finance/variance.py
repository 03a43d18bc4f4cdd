"""mart.spend_variance: what parts the spend of two months, cause by cause, as an identity in whole picodollars.

Of a cell (provider, model, region, tier, chip) with cost C0, C1 and tokens q0, q1, and of all cells Q0, Q1:

    A = C0 Q1 / Q0                 the earlier month, grown as a whole
    E = its cost at earlier unit prices, with the tokens of the later month and the cache shares of the earlier one
    D = the same with the cache shares of the later month
    volume = A - C0, mix = E - A, cache = D - E, currency = foreign amount x change of its rate,
    rate = C1 - D - currency

so that the parts sum to C1 - C0 whatever is rounded. A class of token that the earlier month has not is taken at its
later price. A cell that it has not is `new`. Meters that are not tokens have a volume and a rate of their own.
"""

import polars as pl

from models.finance.invoices import QUANTITY_SCALE, millionths
from models.money import half_even, picodollars_from_usd, usd_from_picodollars
from models.schemas import table
from models.schemas.vocabulary import INPUT_CLASSES, TOKEN_CLASSES

CELL = ("provider", "model", "region", "service_tier", "chip")
_CLASS = {**dict.fromkeys(INPUT_CLASSES, "input"), "gpu": "gpu"}
_MICRO = 1_000_000
"""Picodollars in what amounts of another currency are counted in, so that products stay within 128 bits."""
_SIDES = ("0", "1")
_ZERO = pl.lit(0, dtype=pl.Int128)


def spend_variance(usage: pl.DataFrame, foreign: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `mart.spend_variance` of pairs of months.

    Args:
        usage: `month_on, against_on, side` (0 the earlier month, 1 the later), a cell, `meter` (a class of token, `gpu`
            for the tokens of a pool, or another), `quantity` and `usd` of what is priced.
        foreign: the same heads and cell, `foreign_usd, foreign_amount`: what has its price in another currency.
        others: the same heads, `cause`, a cell (or part of it), `usd`.
    """
    counted = usage.with_columns(
        picodollars_from_usd(pl.col("usd")).fill_null(0).alias("cost"),
        millionths(pl.col("quantity")).fill_null(0).alias("count"),
    )
    is_token = pl.col("meter").is_in([*TOKEN_CLASSES, "gpu"])
    parts = [
        _of_tokens(counted.filter(is_token), foreign),
        _of_meters(counted.filter(~is_token)),
        _of_others(others),
    ]
    rows = pl.concat(parts, how="diagonal_relaxed")
    summed = rows.group_by("month_on", "against_on", "cause", *CELL, "meter").agg(
        *(pl.col(name).sum() for name in ("difference", "earlier", "later")),
        *(pl.col(name).sum() for name in ("earlier_tokens", "later_tokens")),
        pl.col("earlier_tokens").count().alias("counted"),
    )
    is_shown = (pl.col("difference") != 0) | (pl.col("earlier") != 0) | (pl.col("later") != 0)
    tokens = pl.col("counted") > 0
    schema = table("mart.spend_variance")
    return (
        schema.conform(
            summed.filter(is_shown)
            .with_columns(
                *(
                    usd_from_picodollars(pl.col(name)).alias(f"{name}_usd")
                    for name in ("difference", "earlier", "later")
                ),
                *(pl.when(tokens).then(name).alias(name) for name in ("earlier_tokens", "later_tokens")),
            )
            .lazy()
        )
        .sort(schema.key, nulls_last=True)
        .collect()
    )


def _sides(rows: pl.DataFrame, by: list[str], *names: str) -> pl.DataFrame:
    """Put the sums of both months beside each other: `cost0, cost1` and so on; 0 where a month has none."""
    return (
        rows.group_by("month_on", "against_on", *by)
        .agg(
            pl.col(name).filter(pl.col("side") == int(side)).sum().cast(pl.Int128).alias(f"{name}{side}")
            for name in names
            for side in _SIDES
        )
        .with_columns(pl.col(f"{name}{side}").fill_null(0) for name in names for side in _SIDES)
    )


def _of_tokens(usage: pl.DataFrame, foreign: pl.DataFrame) -> pl.DataFrame:
    head = ["month_on", "against_on", *CELL]
    direction = pl.col("meter").replace_strict(_CLASS, default="output", return_dtype=pl.String)
    whole = usage.with_columns(pl.col("count") // QUANTITY_SCALE, direction=direction)
    classes = _sides(whole, [*CELL, "direction", "meter"], "cost", "count")
    # A class at its earlier unit price; one that the earlier month has not at its later price.
    known = pl.col("count0") > 0
    classes = classes.with_columns(
        at_earlier=pl.when(known)
        .then(half_even(pl.col("count1") * pl.col("cost0"), pl.max_horizontal("count0", pl.lit(1))))
        .otherwise("cost1")
    )
    ways = classes.group_by(*head, "direction").agg(
        pl.col("cost0", "cost1", "count0", "count1", "at_earlier").sum()
    )
    # The same input with the cache shares of the earlier month.
    ways = ways.with_columns(
        same_shares=pl.when((pl.col("direction") == "input") & (pl.col("count0") > 0))
        .then(half_even(pl.col("count1") * pl.col("cost0"), pl.max_horizontal("count0", pl.lit(1))))
        .otherwise("at_earlier")
    )
    cells = ways.group_by(head).agg(
        pl.col("cost0", "cost1", "count0", "count1").sum(),
        pl.col("at_earlier").sum().alias("d"),
        pl.col("same_shares").sum().alias("e"),
    )
    pair = ["month_on", "against_on"]
    whole0, whole1 = (pl.col(f"count{side}").sum().over(pair) for side in _SIDES)
    cells = cells.join(_fx(foreign), on=head, how="left", nulls_equal=True).with_columns(
        pl.col("fx").fill_null(0),
        a=pl.when(whole0 > 0)
        .then(half_even(pl.col("cost0") * whole1, pl.max_horizontal(whole0, pl.lit(1))))
        .otherwise(_ZERO),
    )
    was = pl.col("count0") > 0
    terms = {
        "volume": pl.when(was).then(pl.col("a") - pl.col("cost0")).otherwise(_ZERO),
        "mix": pl.when(was).then(pl.col("e") - pl.col("a")).otherwise(_ZERO),
        "cache": pl.when(was).then(pl.col("d") - pl.col("e")).otherwise(_ZERO),
        "currency": pl.when(was).then("fx").otherwise(_ZERO),
        "rate": pl.when(was).then(pl.col("cost1") - pl.col("d") - pl.col("fx")).otherwise(_ZERO),
        "new": pl.when(was).then(_ZERO).otherwise(pl.col("cost1") - pl.col("cost0")),
    }
    cells = cells.with_columns(value.alias(name) for name, value in terms.items())
    tokens = [pl.col(f"count{side}").cast(pl.Int64) for side in _SIDES]
    first = pl.when(was).then(pl.lit("volume")).otherwise(pl.lit("new"))
    shown = cells.with_columns(
        first=first, earlier_tokens=tokens[0], later_tokens=tokens[1], meter=pl.lit(None, dtype=pl.String)
    )
    return _long(shown, list(terms))


def _of_meters(usage: pl.DataFrame) -> pl.DataFrame:
    cells = _sides(usage, [*CELL, "meter"], "cost", "count")
    was = (pl.col("count0") > 0) & (pl.col("count1") > 0)
    same = half_even(pl.col("count1") * pl.col("cost0"), pl.max_horizontal("count0", pl.lit(1)))
    is_counted = pl.max_horizontal("count0", "count1") > 0
    is_new = is_counted & (pl.col("count0") == 0)
    whole = pl.col("cost1") - pl.col("cost0")
    terms = {
        "volume": pl.when(was)
        .then(same - pl.col("cost0"))
        .when(is_counted & ~is_new)
        .then(whole)
        .otherwise(_ZERO),
        "rate": pl.when(was).then(pl.col("cost1") - same).otherwise(_ZERO),
        "new": pl.when(is_new).then(whole).otherwise(_ZERO),
        "other": pl.when(is_counted).then(_ZERO).otherwise(whole),
    }
    first = (
        pl.when(is_new).then(pl.lit("new")).when(is_counted).then(pl.lit("volume")).otherwise(pl.lit("other"))
    )
    none = pl.lit(None, dtype=pl.Int64)
    cells = cells.with_columns(value.alias(name) for name, value in terms.items())
    return _long(cells.with_columns(first=first, earlier_tokens=none, later_tokens=none), list(terms))


def _long(cells: pl.DataFrame, causes: list[str]) -> pl.DataFrame:
    """Turn the terms of a cell into rows; what each month has stands on the first of them."""
    keep = ["month_on", "against_on", *CELL, "meter"]
    parts = []
    for cause in causes:
        here = pl.col("first") == cause
        parts.append(
            cells.select(
                *keep, pl.lit(cause).alias("cause"), pl.col(cause).cast(pl.Int128).alias("difference"),
                pl.when(here).then("cost0").otherwise(_ZERO).alias("earlier"),
                pl.when(here).then("cost1").otherwise(_ZERO).alias("later"),
                pl.when(here).then("earlier_tokens").alias("earlier_tokens"),
                pl.when(here).then("later_tokens").alias("later_tokens"),
            )
        )  # fmt: skip
    return pl.concat(parts)


def _fx(foreign: pl.DataFrame) -> pl.DataFrame:
    """Return by cell what the change of an exchange rate did: the later amount at both rates."""
    sides = _sides(
        foreign.with_columns(
            picodollars_from_usd(pl.col("foreign_usd")).alias("usd"),
            (picodollars_from_usd(pl.col("foreign_amount")) // _MICRO).alias("amount"),
        ),
        list(CELL), "usd", "amount",
    )  # fmt: skip
    has_both = (pl.col("amount0") > 0) & (pl.col("amount1") > 0)
    at_earlier = half_even(pl.col("amount1") * pl.col("usd0"), pl.max_horizontal("amount0", pl.lit(1)))
    return sides.select(
        "month_on",
        "against_on",
        *CELL,
        pl.when(has_both).then(pl.col("usd1") - at_earlier).otherwise(_ZERO).alias("fx"),
    )


def _of_others(others: pl.DataFrame) -> pl.DataFrame:
    absent = [pl.lit(None, dtype=pl.String).alias(name) for name in CELL if name not in others.columns]
    rows = others.with_columns(picodollars_from_usd(pl.col("usd")).fill_null(0).alias("cost"), *absent)
    sides = _sides(rows, ["cause", *CELL], "cost")
    return sides.select(
        "month_on", "against_on", *CELL, "cause", (pl.col("cost1") - pl.col("cost0")).alias("difference"),
        pl.col("cost0").alias("earlier"), pl.col("cost1").alias("later"), pl.lit(None, dtype=pl.String).alias("meter"),
        pl.lit(None, dtype=pl.Int64).alias("earlier_tokens"), pl.lit(None, dtype=pl.Int64).alias("later_tokens"),
    )  # fmt: skip
