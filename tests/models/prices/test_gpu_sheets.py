from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from models.errors import ConfigurationError
from models.prices.builtin import builtin_gpu_sheets
from models.prices.chips import canonical_chips, chips
from models.prices.gpu_book import gpu_book, pool_models
from models.prices.gpu_sheets import load_gpu_sheets

HEAD = """vendor: vendor
currency: USD
source_url: https://example.com
checked_on: 2026-02-01
rates:
"""
RATE = "  - {chip: H100, region: r, commitment: on_demand, usd_per_gpu_hour: 3.99, valid_from: 2026-01-01}\n"


def refused(text):
    with pytest.raises(ConfigurationError) as caught:
        load_gpu_sheets({"prices/gpu/vendor.yml": text})
    return str(caught.value)


def as_known(book, at, valid_at):
    return book.filter(
        pl.col("known_from") <= at,
        pl.col("known_to").is_null() | (pl.col("known_to") > at),
        pl.col("valid_from") <= valid_at,
        pl.col("valid_to").is_null() | (pl.col("valid_to") > valid_at),
    )["usd_per_gpu_hour"].to_list()


def day(month, number):
    return datetime(2026, month, number, tzinfo=UTC)


def test_every_built_in_sheet_loads_and_names_a_known_chip():
    book = gpu_book(load_gpu_sheets(builtin_gpu_sheets()))
    assert set(book["chip"]) <= set(chips()["chip"])
    assert book["price_id"].is_unique().all()
    assert not book.filter(pl.col("usd_per_gpu_hour") <= 0).height


@pytest.mark.parametrize(("at", "usd"), [((2025, 5, 31), "12.29"), ((2025, 6, 1), "6.88")])
def test_aws_cut_its_h100_in_june_2025(at, usd):
    book = gpu_book(load_gpu_sheets(builtin_gpu_sheets())).filter(
        pl.col("provider") == "aws", pl.col("chip") == "H100"
    )
    assert as_known(book, day(11, 1), datetime(*at, tzinfo=UTC)) == [Decimal(usd)]


@pytest.mark.parametrize(
    ("provider", "chip", "region", "year", "usd"),
    [
        # A machine's price over its accelerators: ml.p5.48xlarge, ml.p4d.24xlarge, ml.inf2.xlarge, trn2.48xlarge.
        ("aws.sagemaker", "H100", "us-east-1", 2025, "14.1335"),
        ("aws.sagemaker", "H100", "us-east-1", 2026, "7.912"),
        ("aws.sagemaker", "A100", "us-east-1", 2026, "3.15641075"),
        ("aws.sagemaker", "Inferentia2", "us-east-1", 2026, "0.99"),
        ("aws", "Trainium2", "us-east-2", 2026, "2.235"),
        # Dollars a second x 3,600.
        ("replicate", "H100", None, 2026, "5.49"),
        ("replicate", "L40S", None, 2026, "3.51"),
        # Google sells no A100 there: its list prices the host alone.
        ("gcp", "A100", "northamerica-northeast2", 2026, None),
        ("azure", "A100-80GB", "polandcentral", 2026, "4.775"),
        # A market has no list.
        ("vast", "H100", None, 2026, None),
    ],
)
def test_built_in_rates_are_the_lists_own(provider, chip, region, year, usd):
    book = gpu_book(load_gpu_sheets(builtin_gpu_sheets())).filter(
        pl.col("provider") == provider,
        pl.col("chip") == chip,
        pl.col("region").eq_missing(pl.lit(region)),
        pl.col("commitment") == "on_demand",
        pl.col("model").is_null(),
    )
    expected = [] if usd is None else [Decimal(usd)]
    assert as_known(book, day(12, 1), datetime(year, 3, 1, tzinfo=UTC)) == expected


def test_rate_is_the_decimal_as_printed():
    (row,) = gpu_book(load_gpu_sheets({"v.yml": HEAD + RATE.replace("3.99", "0.1")})).iter_rows(named=True)
    assert row["usd_per_gpu_hour"] == Decimal("0.1")
    assert row["picodollars_per_gpu_hour"] == 10**11
    assert (row["sheet_path"], row["sheet_line"]) == ("v.yml", 6)


def test_later_rate_ends_the_earlier_only_once_it_is_known():
    later = RATE.replace("3.99", "2.99").replace("2026-01-01", "2026-03-01, known_from: 2026-03-05")
    book = gpu_book(load_gpu_sheets({"v.yml": HEAD + RATE + later}))
    assert as_known(book, day(3, 3), day(3, 2)) == [Decimal("3.99")]
    assert as_known(book, day(3, 6), day(3, 2)) == [Decimal("2.99")]
    assert as_known(book, day(3, 6), day(2, 2)) == [Decimal("3.99")]


def test_correction_closes_the_entry_that_it_corrects():
    correction = RATE.replace("3.99", "4.99").replace("2026-01-01", "2026-01-01, known_from: 2026-02-10")
    book = gpu_book(load_gpu_sheets({"v.yml": HEAD + RATE + correction}))
    assert as_known(book, day(2, 5), day(2, 1)) == [Decimal("3.99")]
    assert as_known(book, day(2, 11), day(2, 1)) == [Decimal("4.99")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + RATE.replace("region", "regoin"), "line 6: unknown key 'regoin'; did you mean 'region'"),
        (HEAD + RATE + RATE, "line 7: H100 r on_demand has two rates from 2026-01-01 known at one time"),
        (HEAD + RATE.replace("01-01", "01-01, valid_to: 2026-06-01") + RATE.replace("01-01", "05-01"),
         "line 7: H100 r on_demand overlaps"),
        (HEAD + RATE + RATE.replace("2026", "2025"), "line 7: rates of H100 r on_demand are not in order"),
        (HEAD + RATE.replace("3.99", "39900"), "line 6: rates.0.usd_per_gpu_hour"),
        (HEAD.replace("USD", "EUR") + RATE, "line 2: currency"),
        (HEAD.replace("vendor: vendor\n", "") + RATE, "'vendor' is missing"),
    ],
)  # fmt: skip
def test_broken_sheet_is_refused_with_file_line_and_remedy(text, words):
    message = refused(text)
    assert message.startswith("prices/gpu/vendor.yml, line ")
    assert words in message


def test_two_sheets_may_not_state_one_rate_twice():
    with pytest.raises(ConfigurationError, match=r"b\.yml, line 6: H100 .* a\.yml, line 6"):
        gpu_book(load_gpu_sheets({"a.yml": HEAD + RATE, "b.yml": HEAD + RATE}))


def test_spellings_of_a_chip_are_one_chip_and_unknown_ones_surface():
    spelled = pl.LazyFrame({"chip": ["nvidia-h100-80gb", "H100 ", "tpu-v6e-slice", "Z9", None]})
    assert canonical_chips(spelled).collect()["chip"].to_list() == ["H100", "H100", "TPU-v6e", "Z9", None]


def test_a_sheet_may_state_the_families_of_its_pools_alone():
    text = HEAD.replace("rates:\n", "models:\n  - {model: Ours-v3, family: llama-3.3-70b}\n")
    sheets = load_gpu_sheets({"prices/gpu/vendor.yml": text})
    assert gpu_book(sheets).is_empty()
    named = pool_models(sheets).select("provider", "model", "model_family", "sheet_path")
    assert named.rows() == [("vendor", "Ours-v3", "llama-3.3-70b", "prices/gpu/vendor.yml")]
    assert "family" in refused(text.replace(", family: llama-3.3-70b", ""))
    assert "needs `rates`" in refused(HEAD.replace("rates:", "rates: []"))
