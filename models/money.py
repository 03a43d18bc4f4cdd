"""Money: exact decimals in sheets, integer picodollars in transforms, DECIMAL in tables.

A picodollar is 1e-12 USD. Sums are 128-bit: 64 bits overflow at $9.2M.
"""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import lru_cache

import polars as pl

PICODOLLARS_PER_USD = 10**12
ROW_USD = pl.Decimal(18, 12)
"""Dtype of `_usd` in row facts: exact up to 999,999.999999999999 dollars."""
USD = pl.Decimal(38, 12)
"""Dtype of `_usd` everywhere else."""


@lru_cache(maxsize=1 << 12)  # price lists state few rates many times
def booked_picodollars(usd: Decimal, *, per: int = 1) -> tuple[int, bool]:
    """Round a rate half-even to whole picodollars per unit, once, after all multipliers.

    Args:
        usd: dollars for `per` units, as an exact decimal.
        per: how many units the dollars buy (1,000,000 for a rate per million tokens).

    Returns:
        Picodollars per unit and whether rounding moved the rate.
    """
    with localcontext(prec=60) as context:
        exact = usd * PICODOLLARS_PER_USD / per
        # A rate that never divides evenly would be inexact already: 60 digits are far below a picodollar.
        whole = exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN, context=context)
        return int(whole), whole != exact


def usd_from_picodollars(picodollars: pl.Expr, dtype: pl.Decimal = USD) -> pl.Expr:
    """Turn integer picodollars (any integer dtype, up to Int128) into dollars exactly."""
    return (picodollars.cast(pl.Decimal(38, 12)) * Decimal("0.000000000001")).cast(dtype)


def picodollars_from_usd(usd: pl.Expr) -> pl.Expr:
    """Turn dollars of 12 decimals into Int128 picodollars exactly."""
    return (usd.cast(pl.Decimal(38, 12)) * PICODOLLARS_PER_USD).cast(pl.Int128)


def half_even(numerator: pl.Expr, denominator: pl.Expr | int) -> pl.Expr:
    """Divide integers by positive ones as Int128, rounded half to even; NULL stays NULL."""
    top = numerator.cast(pl.Int128)
    bottom = (denominator if isinstance(denominator, pl.Expr) else pl.lit(denominator)).cast(pl.Int128)
    quotient = top // bottom
    twice = (top - quotient * bottom) * 2
    is_up = (twice > bottom) | ((twice == bottom) & (quotient % 2 == 1))
    return quotient + is_up.cast(pl.Int128)
