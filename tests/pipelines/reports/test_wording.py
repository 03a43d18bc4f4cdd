from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.reports.wording import change, change_ratio, compact, count, duration, money, rate, share


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "$0.00"),
        ("1234567.891", "$1,234,567.89"),
        # Halves go to the even cent, as everywhere.
        ("2.345", "$2.34"),
        ("0.42", "$0.42"),
        # Under ten cents two digits that say something.
        ("0.0042", "$0.0042"),
        ("0.0375", "$0.038"),
        ("0.000000123", "$0.00000012"),
        ("-12.3", "−$12.30"),
        (None, "not priced"),
    ],
)
def test_dollars_go_to_cents_and_small_ones_stay_readable(usd, text):
    assert money(None if usd is None else Decimal(usd)).striptags() == text


@given(st.decimals(min_value="-1e20", max_value="1e20", places=12))
def test_exact_dollars_ride_along_with_the_rounded_ones(usd):
    html = str(money(usd))
    assert Decimal(html.split('value="', 1)[1].split('"', 1)[0]) == usd
    shown = Decimal(money(usd).striptags().replace("$", "").replace(",", "").replace("−", "-"))
    assert abs(shown - usd) <= Decimal("0.005")
    assert (shown == 0) == (usd == 0)


@pytest.mark.parametrize(
    ("usd", "text"), [("3", "+$3.00"), ("-0.004", "−$0.0040"), ("0", "$0.00"), (None, "no data")]
)
def test_change_has_a_sign(usd, text):
    assert change(None if usd is None else Decimal(usd)).striptags() == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1, "100%"), (0, "0%"), (0.999999, "99.99%"), (0.0000001, "<0.01%"), (0.5, "50.00%"), (None, "unknown")],
)
def test_only_the_whole_is_100_percent_and_only_nothing_is_0(ratio, text):
    assert getattr(share(ratio), "striptags", lambda: share(ratio))() == text


@pytest.mark.parametrize(
    ("new", "old", "text"),
    [
        (Decimal(11), Decimal(10), "+10.0%"),
        (Decimal(9), Decimal(10), "−10.0%"),
        (Decimal("9.9999"), Decimal(10), "−<0.1%"),
        (Decimal("10.0001"), Decimal(10), "+<0.1%"),
        (Decimal(500), Decimal(10), "+4,900%"),
        (Decimal(5), Decimal(0), '<span class="word">–</span>'),
        (None, Decimal(5), '<span class="word">–</span>'),
        (Decimal(5), None, '<span class="word">–</span>'),
    ],
)
def test_relative_change_has_a_sign_and_none_comes_from_nothing(new, old, text):
    assert change_ratio(new, old) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [("9999.9", "$10k"), ("999.9", "$1k"), ("123.4", "$123"), ("5.5", "$5.50"), ("-2345678", "−$2.35M")],
)
def test_labels_of_plots_are_short(usd, text):
    assert compact(Decimal(usd)) == text


def test_rates_counts_and_durations_read_as_a_person_says_them():
    assert [str(rate(value)) for value in (0.0, 0.0375, 0.59, 12.345)] == [
        "$0.00",
        "$0.0375",
        "$0.590",
        "$12.35",
    ]
    assert [count(value) for value in (0, 1234567, -3)] == ["0", "1,234,567", "−3"]
    assert [duration(value) for value in (0.04, 12.6, 95.0, 120.0, 190.0, 7_260.0, 36_000.0)] == [
        "0.0 s", "13 s", "95 s", "2 min", "3 min 10 s", "2 h 1 min", "10 h",
    ]  # fmt: skip
    assert "unknown" in duration(None)
