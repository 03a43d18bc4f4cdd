"""Exact running sums of non-negative doubles in three 64-bit integers.

A double is cut to a whole number of units (2**-80 for weights, say) and that number into limbs of 36 bits, the
highest taking what is left. Sums of limbs are sums of integers: nothing is lost between large and small terms, and
the order of the terms does not matter. Limbs may wrap, as differences of running sums do not: those are exact up to
2**27 terms and 2**127 units.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_BITS = 36
_RADIX = 2.0**_BITS
_MASK = 2**_BITS - 1


@dataclass(frozen=True)
class Limbs:
    """Whole numbers of units of 2**-`unit_bits`: low + 2**36 middle + 2**72 high."""

    high: Ints
    middle: Ints
    low: Ints
    unit_bits: int

    @classmethod
    def cut(cls, values: Floats, *, unit_bits: int) -> "Limbs":
        """Cut non-negative values below 2**(127 - unit_bits) to whole units; what is below a unit is dropped."""
        units = values * 2.0**unit_bits
        # A product with a power of two, a floor and what is left of it are exact.
        high = np.floor(units * _RADIX**-2)
        units -= high * _RADIX**2
        middle = np.floor(units * (1 / _RADIX))
        units -= middle * _RADIX
        return cls(high.astype(np.int64), middle.astype(np.int64), units.astype(np.int64), unit_bits)

    def gather(self, places: Ints) -> "Limbs":
        """Return the numbers at the places given."""
        return Limbs(self.high[places], self.middle[places], self.low[places], self.unit_bits)

    def times(self, factors: Ints) -> "Limbs":
        """Return each number times a small whole one."""
        return Limbs(self.high * factors, self.middle * factors, self.low * factors, self.unit_bits)

    def sums(self) -> "Limbs":
        """Return the running sums."""
        return Limbs(np.cumsum(self.high), np.cumsum(self.middle), np.cumsum(self.low), self.unit_bits)

    def minus(self, other: "Limbs") -> "Limbs":
        """Return the differences from others of the same unit."""
        return Limbs(self.high - other.high, self.middle - other.middle, self.low - other.low, self.unit_bits)

    def floats(self) -> Floats:
        """Return the numbers as the doubles nearest to them."""
        middle = self.middle + (self.low >> _BITS)
        high, middle, low = self.high + (middle >> _BITS), middle & _MASK, self.low & _MASK
        # Only the last sum is rounded, but for numbers of more than 53 bits above the low limb.
        units: Floats = (high * _RADIX + middle) * _RADIX + low
        large = np.flatnonzero(high >= 2 ** (53 - _BITS))
        if len(large):
            limbs = pl.DataFrame(
                [each[large] for each in (high, middle, low)], schema=["high", "middle", "low"]
            )
            whole = (pl.col("high").cast(pl.Int128) * 2**_BITS + pl.col("middle")) * 2**_BITS + pl.col("low")
            units[large] = limbs.select(whole.cast(pl.Float64)).to_series().to_numpy()
        units *= 2.0**-self.unit_bits
        return units
