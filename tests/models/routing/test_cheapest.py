import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import DataError
from models.routing.cheapest import NONE, cheapest, menu

rates = st.one_of(st.none(), st.integers(0, 2_000_000_000))


@st.composite
def markets(draw):
    columns = draw(st.integers(1, 4))
    card = st.tuples(
        st.lists(rates, min_size=columns, max_size=columns),
        st.one_of(st.none(), st.integers(0, 3000)),
        st.one_of(st.none(), st.integers(0, 3000)),
    )
    menus = draw(st.lists(st.lists(card, max_size=8), min_size=1, max_size=3))
    size = draw(st.integers(0, 30))
    amounts = st.integers(0, draw(st.sampled_from([3, 5000, 3_000_000])))
    tokens = draw(
        st.lists(st.lists(amounts, min_size=columns, max_size=columns), min_size=size, max_size=size)
    )
    cells = draw(st.lists(st.integers(0, len(menus)), min_size=size, max_size=size))
    return menus, columns, tokens, cells


def as_menu(cards, columns):
    return menu(
        np.arange(len(cards), dtype=np.int32),
        np.array([np.nan if rate is None else rate for card in cards for rate in card[0]]).reshape(-1, columns),
        [(low, high) for _, low, high in cards],
        np.ones(len(cards)),
    )  # fmt: skip


def by_hand(cards, tokens):
    """Return the least cost and its first card, with whole numbers of any size."""
    found = [
        (sum(amount * (rate or 0) for amount, rate in zip(tokens, card, strict=True)), number)
        for number, (card, low, high) in enumerate(cards)
        if all(rate is not None or not amount for amount, rate in zip(tokens, card, strict=True))
        and (low is None or sum(tokens) > low)
        and (high is None or sum(tokens) <= high)
    ]
    return min(found, default=(NONE, NONE))


@settings(max_examples=150, deadline=None)
@given(markets())
def test_the_least_of_every_menu_is_that_of_plain_arithmetic_whatever_is_pruned(market):
    menus, columns, tokens, cells = market
    table = np.array(tokens, dtype=np.int64).reshape(-1, columns).T
    at = np.array(cells, dtype=np.int64)
    whole = {number: as_menu(cards, columns) for number, cards in enumerate(menus)}
    costs, cards = cheapest(table, table.sum(axis=0), at, whole)
    expected = [
        by_hand(menus[cell], row) if cell < len(menus) else (NONE, NONE)
        for cell, row in zip(cells, tokens, strict=True)
    ]
    assert list(zip(costs.tolist(), cards.tolist(), strict=True)) == expected
    pruned = {number: offered.without_dominated() for number, offered in whole.items()}
    again, chosen = cheapest(table, table.sum(axis=0), at, pruned)
    assert again.tolist() == costs.tolist()
    for cost, card, cell, row in zip(again, chosen, cells, tokens, strict=True):
        # Among equals a card that is never dearer may stand for one that comes earlier in order.
        assert card == NONE or by_hand([menus[cell][card]], row)[0] == cost


def test_a_dominated_card_is_left_out_and_of_two_equal_ones_the_first_stays():
    cards = [([5, 5], None, None), ([5, 5], None, None), ([4, 6], None, None), ([6, 6], None, None)]
    assert as_menu(cards, 2).without_dominated().cards.tolist() == [0, 2]


def test_a_card_for_long_prompts_only_leaves_out_no_card_for_short_ones():
    cards = [([1], 100, None), ([2], None, None)]
    assert as_menu(cards, 1).without_dominated().cards.tolist() == [0, 1]


def test_what_no_integer_holds_is_an_error():
    tokens = np.array([[2**40]], dtype=np.int64)
    with pytest.raises(DataError, match="look for a wrong token count"):
        cheapest(tokens, tokens[0], np.zeros(1, dtype=np.int64), {0: as_menu([([2**30], None, None)], 1)})
