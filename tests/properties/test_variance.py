"""Whatever two months hold, the causes of a bridge sum to what parts them, cell by cell."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.finance.variance import CELL, spend_variance
from models.money import USD
from models.schemas.mart_spend_variance import VARIANCE_CAUSES

HEAD: dict[str, Any] = {"month_on": pl.Date, "against_on": pl.Date, "side": pl.Int64}
CELLS: dict[str, Any] = dict.fromkeys(CELL, pl.String)
USAGE = {**HEAD, **CELLS, "meter": pl.String, "quantity": pl.Decimal(38, 6), "usd": USD}
FOREIGN = {**HEAD, **CELLS, "foreign_usd": USD, "foreign_amount": USD}
OTHERS = {**HEAD, "cause": pl.String, **CELLS, "usd": USD}
PAIR = {"month_on": date(2026, 11, 1), "against_on": date(2026, 10, 1)}


def bridge(usage, foreign=(), others=()):
    return spend_variance(
        *(
            pl.DataFrame([{name: row.get(name) for name in schema} | PAIR for row in rows], schema=schema)
            for rows, schema in ((usage, USAGE), (foreign, FOREIGN), (others, OTHERS))
        )
    )


def used(side: int, meter: str, quantity: str | None, usd: str | None, **cell: Any) -> dict[str, Any]:
    return {
        "side": side, "meter": meter, "quantity": None if quantity is None else Decimal(quantity),
        "usd": None if usd is None else Decimal(usd), "provider": "openai", "model": "gpt",
    } | cell  # fmt: skip


def causes(rows: pl.DataFrame) -> dict[str, Decimal]:
    sums = rows.group_by("cause").agg(pl.col("difference_usd").sum()).filter(pl.col("difference_usd") != 0)
    return dict(sorted(sums.iter_rows()))


def test_a_bridge_by_hand():
    """October: 1 M input of which none cached at $2 a million, and 0.5 M output at $8. November twice the tokens."""
    october = [used(0, "input_uncached", "1000000", "2"), used(0, "output_text", "500000", "4")]
    # Twice the tokens at the same shares and prices: $6 more of volume.
    assert causes(
        bridge([*october, used(1, "input_uncached", "2000000", "4"), used(1, "output_text", "1000000", "8")])
    ) == {"volume": Decimal(6)}
    # The same tokens, output at $10: rate. A web search of $0.01 that October has not: new.
    later = [used(1, "input_uncached", "1000000", "2"), used(1, "output_text", "500000", "5")]
    assert causes(bridge([*october, *later, used(1, "web_search", "1", "0.01")])) == {
        "new": Decimal("0.01"),
        "rate": Decimal(1),
    }
    # All tokens are output now: a mix that costs 1.5 M x $8 - $6.
    assert causes(bridge([*october, used(1, "output_text", "1500000", "12")])) == {"mix": Decimal(6)}
    # Half of the input is read from a cache at $0.50: the earlier month had some of it, at that price.
    before = [used(0, "input_uncached", "900000", "1.8"), used(0, "cache_read", "100000", "0.05")]
    after = [used(1, "input_uncached", "500000", "1"), used(1, "cache_read", "500000", "0.25")]
    assert causes(bridge([*before, *after])) == {"cache": Decimal("-0.6")}
    # A model that is half the price takes over half of the traffic.
    cheap = {"model": "mini"}
    both = [used(0, "output_text", "1000000", "8"), used(0, "output_text", "1000000", "4", **cheap)]
    moved = [used(1, "output_text", "500000", "4"), used(1, "output_text", "1500000", "6", **cheap)]
    assert causes(bridge([*both, *moved])) == {"mix": Decimal(-2)}
    # Euros: EUR 4 at 1.00 were $4; the same EUR 4 at 1.25 are $5.
    foreign = [
        {
            "side": 0,
            "provider": "openai",
            "model": "gpt",
            "foreign_usd": Decimal(4),
            "foreign_amount": Decimal(4),
        },
        {
            "side": 1,
            "provider": "openai",
            "model": "gpt",
            "foreign_usd": Decimal(5),
            "foreign_amount": Decimal(4),
        },
    ]
    euros = [used(0, "output_text", "500000", "4"), used(1, "output_text", "500000", "5")]
    assert causes(bridge(euros, foreign)) == {"currency": Decimal(1)}
    others = [
        {"side": 0, "cause": "idle", "usd": Decimal(9)}, {"side": 1, "cause": "idle", "usd": Decimal(2)},
        {"side": 1, "cause": "correction", "usd": Decimal("-0.5")},
    ]  # fmt: skip
    assert causes(bridge([], (), others)) == {"correction": Decimal("-0.5"), "idle": Decimal(-7)}


DOLLARS = st.decimals(0, 10**7, places=12).map(str)
ROWS = st.builds(
    used,
    st.integers(0, 1),
    st.sampled_from(
        ["input_uncached", "cache_read", "output_text", "reasoning", "gpu", "web_search", "provider_bill"]
    ),
    st.none() | st.integers(0, 10**13).map(str) | st.decimals(0, 10**6, places=6).map(str),
    st.none() | DOLLARS,
    model=st.sampled_from(["gpt", "mini", None]),
    region=st.sampled_from(["us", None]),
    chip=st.sampled_from(["H100", None]),
)
OTHER = st.fixed_dictionaries(
    {
        "side": st.integers(0, 1), "cause": st.sampled_from(["idle", "cold_start", "commitment", "other", "bill"]),
        "usd": st.decimals(-(10**7), 10**7, places=12), "provider": st.sampled_from(["lambda", None]),
    }
)  # fmt: skip
ABROAD = st.fixed_dictionaries(
    {
        "side": st.integers(0, 1), "provider": st.just("openai"), "model": st.sampled_from(["gpt", "mini"]),
        "foreign_usd": st.decimals(0, 10**7, places=12), "foreign_amount": st.decimals(0, 10**7, places=12),
    }
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    usage=st.lists(ROWS, max_size=14),
    foreign=st.lists(ABROAD, max_size=4),
    others=st.lists(OTHER, max_size=4),
)
def test_causes_sum_to_what_parts_two_months(usage, foreign, others):
    rows = bridge(usage, foreign, others)
    sides = [
        sum((row["usd"] or Decimal(0) for row in [*usage, *others] if row["side"] == side), Decimal(0))
        for side in (0, 1)
    ]
    assert rows.get_column("difference_usd").sum() == sides[1] - sides[0]
    assert rows.get_column("earlier_usd").sum() == sides[0]
    assert rows.get_column("later_usd").sum() == sides[1]
    assert set(rows.get_column("cause")) <= set(VARIANCE_CAUSES)
    by_cell = rows.group_by(*CELL, "meter").agg(pl.col("difference_usd", "earlier_usd", "later_usd").sum())
    assert by_cell.select(
        (pl.col("later_usd") - pl.col("earlier_usd") == pl.col("difference_usd")).all()
    ).item()
