"""Integers that stand for longer ones: running sums in limbs, and parts of a whole whose product has 128 bits."""

from fractions import Fraction
from itertools import accumulate

import numpy as np
import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from models.costs.intervals import half_even_parts
from models.costs.limbs import Limbs
from models.money import half_even

UNIT_BITS = 80
magnitudes = st.builds(
    lambda digits, power: digits * 2.0**power, st.integers(0, 2**53 - 1), st.integers(-80, -12)
)


@given(st.lists(magnitudes, min_size=1, max_size=30))
# A sum just above the middle of two doubles, the least and a greater one that no double holds before the last limb.
@example([2.0**9, 2.0**-44, 2.0**-80])
@example([2.0**10, 2.0**-43, 2.0**-80])
def test_running_sums_are_the_doubles_nearest_to_the_exact_ones(values):
    sums = Limbs.cut(np.array(values), unit_bits=UNIT_BITS).sums()
    exact = list(accumulate(Fraction(value) for value in values))
    assert sums.floats().tolist() == [float(each) for each in exact]
    last = np.full(len(values), len(values) - 1)
    assert sums.gather(last).minus(sums).floats().tolist() == [float(exact[-1] - each) for each in exact]


@given(st.lists(magnitudes, min_size=1, max_size=30))
def test_what_came_and_went_leaves_nothing(values):
    both = Limbs.cut(np.array(values + values), unit_bits=UNIT_BITS)
    signs = np.repeat([1, -1], len(values))
    assert both.times(signs).sums().floats()[-1] == 0


@st.composite
def splits(draw):
    whole = draw(st.integers(1, 2**50))
    return draw(st.integers(0, 2**62)), draw(st.integers(0, whole)), whole


@given(st.lists(splits() | st.tuples(st.integers(0, 99), st.just(1), st.just(2)), min_size=1, max_size=30))
def test_parts_are_rounded_half_to_even_once(rows):
    amounts, parts, wholes = (np.array(column) for column in zip(*rows, strict=True))
    exact = [round(Fraction(amount * part, whole)) for amount, part, whole in rows]
    assert half_even_parts(amounts, parts, wholes).tolist() == exact


@given(
    st.lists(
        st.tuples(st.integers(-(10**36), 10**36), st.integers(1, 10**18))
        | st.tuples(st.integers(-99, 99), st.just(2)),
        min_size=1,
        max_size=30,
    )
)
def test_quotients_of_either_sign_are_rounded_half_to_even(rows):
    frame = pl.DataFrame(rows, schema={"top": pl.Int128, "bottom": pl.Int128}, orient="row")
    exact = [round(Fraction(top, bottom)) for top, bottom in rows]
    assert frame.select(half_even(pl.col("top"), pl.col("bottom"))).to_series().to_list() == exact
