from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.costs.token_costs import price_requests
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table

START = datetime(2026, 1, 1, tzinfo=UTC)
CLASSES = ("input_uncached", "cache_read", "cache_write_1h", "output_text", "reasoning")
PRICE = st.decimals(min_value="0.1", max_value="9", places=4)
RATES = st.fixed_dictionaries(dict.fromkeys(CLASSES, PRICE))
TIMELINE = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40), RATES),
    min_size=1,
    max_size=6,
    unique_by=lambda e: e[:2],
)
ROW = st.tuples(
    st.integers(0, 40 * 24 - 1), st.fixed_dictionaries(dict.fromkeys(CLASSES, st.integers(0, 10**7)))
)


def sheet(entries: list[tuple[int, int, dict[str, Decimal]]]) -> str:
    lines = [
        "provider: p",
        "source_url: https://example.com",
        "checked_on: 2026-01-01",
        "models:",
        "  - model: m",
        "    prices:",
    ]
    for valid, known, rates in sorted(entries, key=lambda entry: entry[:2]):
        days = [f"{START + timedelta(days=day):%Y-%m-%d}" for day in (valid, known)]
        figures = ", ".join(f"{name}: {rate}" for name, rate in rates.items())
        lines.append(f"      - {{valid_from: {days[0]}, known_from: {days[1]}, usd_per_mtok: {{{figures}}}}}")
    return "\n".join(lines)


def costs(entries: list[Any], rows: list[Any], *, known: int, window: tuple[int, int]) -> pl.DataFrame:
    sheets = load_token_sheets({"p.yml": sheet(entries)})
    requests = table("core.requests").frame(
        {
            "source": "s", "source_kind": "requests", "request_id": str(number), "provider": "p", "served_model": "m",
            "started_at": START + timedelta(hours=hour), "status": "ok", "usage_source": "provider",
            "is_gateway_cache_hit": False,
        } | {f"{name}_tokens": count for name, count in counts.items()}
        for number, (hour, counts) in enumerate(rows)
    )  # fmt: skip
    return price_requests(
        requests.lazy(),
        book=token_book(sheets).lazy(),
        models=model_aliases(sheets).lazy(),
        time_zone="UTC",
        as_known_at=START + timedelta(days=known),
        from_hour=START + timedelta(hours=window[0]),
        to_hour=START + timedelta(hours=window[1]),
    ).collect().sort("request_id")  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(entries=TIMELINE, rows=st.lists(ROW, min_size=1, max_size=8), known=st.integers(0, 45))
def test_cost_is_the_exact_product_at_the_rate_valid_and_known_then(
    entries: list[Any], rows: list[Any], known: int
) -> None:
    found = costs(entries, rows, known=known, window=(0, 10**4))["effective_usd"].to_list()
    for (hour, counts), cost in zip(rows, found, strict=True):
        seen = [entry for entry in entries if entry[1] <= known and entry[0] * 24 <= hour]
        if not seen:
            assert cost is None
            continue
        rates = max(seen, key=lambda entry: entry[:2])[2]
        picodollars = sum(
            count * (rates[name] * 10**6).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
            for name, count in counts.items()
        )
        assert cost == Decimal(int(picodollars)).scaleb(-12)


@settings(max_examples=20, deadline=None)
@given(entries=TIMELINE, rows=st.lists(ROW, min_size=1, max_size=8), cut=st.integers(0, 40 * 24))
def test_a_range_cut_in_two_prices_the_same_rows(entries: list[Any], rows: list[Any], cut: int) -> None:
    whole = costs(entries, rows, known=45, window=(0, 40 * 24))
    parts = [costs(entries, rows, known=45, window=window) for window in ((0, cut), (cut, 40 * 24))]
    assert pl.concat(parts).sort("request_id").equals(whole)
