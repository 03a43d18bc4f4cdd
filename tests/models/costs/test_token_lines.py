"""core.cost_lines: the lines of an attempt sum to its cost, whatever rule made it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.costs.token_costs import price_requests
from models.errors import ConfigurationError
from models.prices.contracts import load_contracts
from models.prices.fx import load_fx
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table
from tests.models.marts.warehouse import insert, open_warehouse

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HEAD = "source_url: https://example.com/pricing\nchecked_on: 2026-01-15\nmodels:\n"
DOLLARS = f"""\
provider: example
{HEAD}
  - model: whole
    prices:
      - valid_from: 2026-01-01
        usd_per_mtok: {{input_uncached: 1, cache_read: 0.1, output: 4}}
        long_context: {{above_input_tokens: 1000, mode: whole_request, usd_per_mtok: {{input_uncached: 2}}}}
        per_call_usd: {{web_search: 0.0105, seconds: 0.000001}}
  - model: graduated
    prices:
      - valid_from: 2026-01-01
        usd_per_mtok: {{input_uncached: 1, cache_read: 0.1, output: 4}}
        long_context:
          {{above_input_tokens: 1000, mode: graduated, usd_per_mtok: {{input_uncached: 2, cache_read: 0.3}}}}
"""
EUROS = f"""\
provider: maison
currency: EUR
{HEAD}
  - model: fleur
    prices:
      - valid_from: 2026-01-01
        eur_per_mtok: {{input_uncached: 0.7, cache_read: 0.07, output: 2.1}}
        per_call_eur: {{web_search: 0.0099}}
"""
CONTRACTS = """\
checked_on: 2026-01-15
contracts:
  - {name: bulk, provider: example, models: [graduated], valid_from: 2026-02-01, multiplier: 0.73}
"""
FX = """\
currency,rate_on,usd_per_unit,source_url
EUR,2026-02-27,1.08431,https://example.com/fx
EUR,2026-03-03,1.2,https://example.com/fx
"""


def priced(*rows: dict[str, Any], fx: str = FX) -> duckdb.DuckDBPyConnection:
    sheets = load_token_sheets({"example.yml": DOLLARS, "maison.yml": EUROS})
    book = token_book(sheets, load_contracts(CONTRACTS, path="contracts.yml"))
    plain = {
        "source": "gateway", "source_kind": "requests", "started_at": NOON, "provider": "example", "status": "ok",
        "usage_source": "provider", "is_gateway_cache_hit": False,
    }  # fmt: skip
    requests = table("core.requests").frame(
        plain | {"request_id": f"r{n}"} | row for n, row in enumerate(rows)
    )
    costs = price_requests(
        requests.lazy(),
        book=book.lazy(),
        models=model_aliases(sheets).lazy(),
        fx=load_fx(fx, path="fx.csv").lazy(),
        time_zone="UTC",
        as_known_at=NOON + timedelta(days=200),
        from_hour=NOON - timedelta(days=1),
        to_hour=NOON + timedelta(days=1),
    ).collect()
    con = open_warehouse()
    insert(con, "ref.token_prices", book)
    insert(con, "core.request_costs", costs)
    return con


def lines(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return con.execute(
        "SELECT meter, quantity, picodollars_per_unit, effective_usd FROM core.cost_lines ORDER BY ALL"
    ).fetchall()


def test_tokens_beyond_a_graduated_threshold_are_lines_of_their_own() -> None:
    # 600 cached and 400 uncached fill the threshold; 200 uncached lie beyond. All at 73 % by contract.
    con = priced({"served_model": "graduated", "input_uncached_tokens": 600, "cache_read_tokens": 600})
    assert lines(con) == [
        ("cache_read", Decimal(600), 73_000, Decimal("0.0000438")),
        ("input_uncached", Decimal(200), 1_460_000, Decimal("0.000292")),
        ("input_uncached", Decimal(400), 730_000, Decimal("0.000292")),
    ]
    assert con.execute(
        "SELECT list_usd, contracted_usd, effective_usd FROM core.request_costs"
    ).fetchall() == [(Decimal("0.00086"), Decimal("0.0006278"), Decimal("0.0006278"))]


def test_each_meter_is_a_line_with_its_quantity() -> None:
    used = {"web_search": Decimal(3), "seconds": Decimal("0.5"), "latency": Decimal(9)}
    con = priced({"served_model": "whole", "output_text_tokens": 1, "other_meters": used})
    assert lines(con) == [
        ("output_text", Decimal(1), 4_000_000, Decimal("0.000004")),
        ("seconds", Decimal("0.5"), 1_000_000, Decimal("0.0000005")),
        ("web_search", Decimal(3), 10_500_000_000, Decimal("0.0315")),
    ]


def test_a_foreign_cost_is_converted_once_at_the_rate_of_its_day() -> None:
    con = priced(
        {"provider": "maison", "served_model": "fleur", "input_uncached_tokens": 1, "output_text_tokens": 1}
    )
    # (0.7 + 2.1) x 1.08431 per million = 3.036068; input alone 0.759017.
    row = con.execute(
        "SELECT effective_usd, input_usd, fx_usd_per_unit, fx_on::VARCHAR FROM core.request_costs"
    )
    assert row.fetchall() == [
        (Decimal("0.000003036068"), Decimal("0.000000759017"), Decimal("1.08431"), "2026-02-27")
    ]
    assert [usd for *_, usd in lines(con)] == [Decimal("0.000000759017"), Decimal("0.000002277051")]


def test_a_foreign_cost_without_a_rate_is_unpriced() -> None:
    fleur = {"provider": "maison", "served_model": "fleur", "input_uncached_tokens": 5}
    con = priced(fleur, fx=FX.replace("2026-02-27", "2026-03-04"))
    states = con.execute(
        "SELECT price_state, unpriced_reason, effective_usd, estimated_usd FROM core.request_costs"
    )
    assert states.fetchall() == [("unpriced", "no_fx_rate", None, None)]


def test_what_a_provider_charged_prices_what_the_book_cannot_and_capacity_that_was_bought_costs_no_tokens() -> (
    None
):
    used = {"input_uncached_tokens": 100, "output_text_tokens": 10}
    billed = {"provider_reported_cost_usd": Decimal("0.5"), "is_cost_billed": True}
    con = priced(
        used | billed | {"served_model": "not in the book"},
        used | billed | {"served_model": "not in the book", "provider_reported_cost_usd": Decimal(0)},
        used | billed | {"served_model": "not in the book", "is_cost_billed": False},
        used | billed | {"served_model": "whole"},
        used | {"served_model": "not in the book", "service_tier": "provisioned", "route": "pool-7"},
        used | {"served_model": "whole", "other_meters": {"tool_fees_usd": Decimal("0.04")}},
        used | {"served_model": "whole", "other_meters": {"file_search": Decimal(2)}},
        used | {"served_model": "us.whole"},
        {"served_model": "whole", "other_meters": {"audio_seconds": Decimal(61)}},
    )
    states = con.execute(
        "SELECT price_state, unpriced_reason, effective_usd, deployment FROM core.request_costs ORDER BY request_id"
    ).fetchall()

    # 100 x 1 + 10 x 4 per million = 0.00014.
    assert states == [
        ("priced", None, Decimal("0.5"), None),
        ("free", None, Decimal(0), None),
        ("unpriced", "unknown_model", None, None),
        ("priced", None, Decimal("0.00014"), None),
        ("free", None, Decimal(0), "pool-7"),
        ("priced", None, Decimal("0.04014"), None),
        ("unpriced", "class_not_priced", None, None),
        ("priced", None, Decimal("0.00014"), None),
        ("unpriced", "class_not_priced", None, None),
    ]
    sums = con.execute(
        "SELECT request_id, sum(effective_usd) FROM core.cost_lines WHERE request_id IN ('r0', 'r3', 'r5') "
        "GROUP BY ALL ORDER BY 1"
    ).fetchall()
    assert sums == [("r0", Decimal("0.5")), ("r3", Decimal("0.00014")), ("r5", Decimal("0.04014"))]


COUNT = st.integers(0, 3000)
ROW = st.fixed_dictionaries(
    {
        "which": st.sampled_from([("example", "whole"), ("example", "graduated"), ("maison", "fleur")]),
        "input_uncached_tokens": COUNT,
        "cache_read_tokens": COUNT,
        "output_text_tokens": COUNT,
        "reasoning_tokens": COUNT,
        "searches": st.decimals(0, 9, places=6),
        "hours": st.integers(-23, 23),
    }
)


@settings(max_examples=6, deadline=None)
@given(rows=st.lists(ROW, min_size=8, max_size=40))
def test_lines_sum_to_the_cost_of_their_attempt(rows: list[dict[str, Any]]) -> None:
    con = priced(
        *(
            {name: count for name, count in row.items() if name.endswith("_tokens")}
            | {"provider": row["which"][0], "served_model": row["which"][1]}
            | {"started_at": NOON + timedelta(hours=row["hours"])}
            | ({"other_meters": {"web_search": row["searches"]}} if row["which"][1] != "graduated" else {})
            for row in rows
        )
    )
    wrong = con.execute(
        "SELECT c.request_id, c.effective_usd, sum(l.effective_usd) FROM core.request_costs c "
        "LEFT JOIN core.cost_lines l USING (source, request_id, started_at, accrued_hour, accrued_on) "
        "GROUP BY ALL HAVING c.effective_usd IS DISTINCT FROM coalesce(sum(l.effective_usd), 0)"
    ).fetchall()
    assert wrong == []
    parts = con.execute(
        "SELECT bool_and(input_usd + output_usd + meters_usd = effective_usd) FROM core.request_costs"
    )
    assert parts.fetchone() == (True,)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("EUR,2026-02-27,zero,https://example.com", "fx.csv, line 2: "),
        ("EURO,2026-02-27,1.1,https://example.com", "'EURO' is no ISO 4217 code"),
        ("EUR,27.2.2026,1.1,https://example.com", "write dates like 2026-11-20"),
        ("EUR,2026-02-27,1.1,", "`source_url` are needed"),
    ],
)
def test_a_wrong_exchange_rate_is_refused_with_its_line(line: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_fx("currency,rate_on,usd_per_unit,source_url\n" + line, path="fx.csv")
    assert says in str(caught.value)
