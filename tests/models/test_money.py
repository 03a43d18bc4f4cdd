"""A rate is rounded once to the picodollar and says so, and dollars and picodollars are the same amount."""

from decimal import Decimal

import polars as pl
import pytest

from models.money import (
    PICODOLLARS_PER_USD,
    ROW_USD,
    USD,
    booked_picodollars,
    half_even,
    picodollars_from_usd,
    usd_from_picodollars,
)

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("usd", "per", "picodollars", "is_rounded"),
    [
        ("0.15", MILLION, 150_000, False),
        ("0", MILLION, 0, False),
        ("0.0000005", MILLION, 0, True),  # half a picodollar: to the even one below
        ("0.0000015", MILLION, 2, True),  # and above
        ("0.0000014", MILLION, 1, True),
        ("0.00000250000000000001", MILLION, 3, True),
        ("1", 3, 333_333_333_333, True),
        ("2", 3, 666_666_666_667, True),
        ("99999999999999.999999999999", 1, 99_999_999_999_999_999_999_999_999, False),
    ],
)
def test_a_rate_is_rounded_half_to_even_once_and_says_so(
    usd: str, per: int, picodollars: int, is_rounded: bool
) -> None:
    assert booked_picodollars(Decimal(usd), per=per) == (picodollars, is_rounded)


def test_a_rate_is_of_one_unit_unless_told_otherwise() -> None:
    assert booked_picodollars(Decimal("0.03")) == (30_000_000_000, False)
    assert PICODOLLARS_PER_USD == 10**12


def test_dollars_and_picodollars_are_the_same_amount_at_any_size_and_sign() -> None:
    amounts = [0, 1, -1, 10**12, -123_456_789_012_345, 10**25 + 1, None]
    frame = pl.DataFrame({"picodollars": amounts}, schema={"picodollars": pl.Int128})
    usd = frame.select(usd_from_picodollars(pl.col("picodollars")).alias("usd"))
    assert usd.schema["usd"] == USD == pl.Decimal(38, 12)
    assert usd["usd"].to_list() == [None if one is None else Decimal(one).scaleb(-12) for one in amounts]
    assert usd.select(picodollars_from_usd(pl.col("usd"))).to_series().to_list() == amounts

    row = pl.DataFrame({"picodollars": [999_999_999_999_999_999]})
    as_row = row.select(usd_from_picodollars(pl.col("picodollars"), ROW_USD).alias("usd"))
    assert as_row.schema["usd"] == ROW_USD == pl.Decimal(18, 12)
    assert as_row["usd"].to_list() == [Decimal("999999.999999999999")]


def test_a_quotient_is_rounded_half_to_even_and_null_stays_null() -> None:
    tops = [5, 7, 8, -5, -7, 10**20 + 1, None]
    frame = pl.DataFrame({"top": tops, "bottom": [2] * len(tops)}, schema_overrides={"top": pl.Int128})
    wanted = [2, 4, 4, -2, -4, 5 * 10**19, None]
    for bottom in (2, pl.col("bottom")):
        found = frame.select(half_even(pl.col("top"), bottom)).to_series()
        assert (found.dtype, found.to_list()) == (pl.Int128, wanted)
