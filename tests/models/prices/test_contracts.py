"""Negotiated prices: the contracted layer beside the list, by dated terms; and what a region adds."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from models.costs.token_costs import price_requests
from models.errors import ConfigurationError
from models.prices.builtin import builtin_token_sheets
from models.prices.contracts import load_contracts, unit_rates
from models.prices.remedies import remedy
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table

SHEET = """\
provider: p
source_url: https://example.com
checked_on: 2026-01-01
models:
  - model: big
    prices:
      - valid_from: 2026-01-01
        usd_per_mtok: {input_uncached: 10, cache_read: 1, output: 20}
        tiers: {batch: {multiplier: 0.5}}
        regions: {eu: {multiplier: 1.1}}
      - {valid_from: 2026-08-01, usd_per_mtok: {input_uncached: 8, cache_read: 1, output: 20}}
  - model: small
    prices: [{valid_from: 2026-01-01, usd_per_mtok: {input_uncached: 1, output: 2}}]
"""
CONTRACTS = """\
checked_on: 2026-02-01
contracts:
  - {name: frame, provider: p, valid_from: 2026-03-01, valid_to: 2026-10-01, multiplier: 0.8}
  - {name: big, provider: p, models: [big], tiers: [default], valid_from: 2026-06-01, usd_per_mtok: {input_uncached: 7}}
  - {name: frame, provider: p, valid_from: 2026-09-01, known_from: 2026-09-20, multiplier: 0.7}
"""
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def cost(month: int, *, known: datetime = LATER, contracts: str = CONTRACTS, **row: Any) -> dict[str, Any]:
    """Price a million uncached tokens in, on the 15th of a month."""
    sheets = load_token_sheets({"p.yml": SHEET})
    request = {
        "source": "s", "source_kind": "requests", "request_id": "r", "provider": "p", "served_model": "big",
        "started_at": datetime(2026, month, 15, tzinfo=UTC), "status": "ok", "usage_source": "provider",
        "is_gateway_cache_hit": False, "input_uncached_tokens": 10**6,
    }  # fmt: skip
    return price_requests(
        table("core.requests").frame([request | row]).lazy(),
        book=token_book(sheets, load_contracts(contracts, path="contracts.yml")).lazy(),
        models=model_aliases(sheets).lazy(), time_zone="UTC", as_known_at=known,
        from_hour=datetime(2026, 1, 1, tzinfo=UTC), to_hour=LATER,
    ).collect().row(0, named=True)  # fmt: skip


@pytest.mark.parametrize(
    ("month", "row", "listed", "contracted"),
    [
        pytest.param(2, {}, "10", "10", id="before any contract"),
        pytest.param(3, {}, "10", "8", id="the frame's discount"),
        pytest.param(6, {}, "10", "7", id="a stated rate of the model wins"),
        pytest.param(6, {"service_tier": "batch"}, "5", "4", id="which is for its tier alone"),
        pytest.param(8, {"region": "eu"}, "8", "7", id="a changed list price, and no uplift any more"),
        pytest.param(4, {"region": "eu"}, "11", "8.8", id="an uplift of a region, discounted"),
        pytest.param(4, {"region": "us"}, "10", "8", id="another region has none"),
        pytest.param(9, {"served_model": "small"}, "1", "0.7", id="later terms of the same name end the earlier"),
        pytest.param(11, {"served_model": "small"}, "1", "0.7", id="and go on without an end"),
    ],
)  # fmt: skip
def test_the_contract_of_the_day_holds_beside_the_list_price(
    month: int, row: dict[str, Any], listed: str, contracted: str
) -> None:
    found = cost(month, **row)

    assert (found["list_usd"], found["contracted_usd"]) == (Decimal(listed), Decimal(contracted))
    assert found["effective_usd"] == found["contracted_usd"]


def test_terms_that_were_learned_later_do_not_move_what_was_known() -> None:
    row = {"served_model": "small"}

    assert cost(9, known=datetime(2026, 9, 16, tzinfo=UTC), **row)["effective_usd"] == Decimal("0.8")
    assert cost(9, known=datetime(2026, 1, 16, tzinfo=UTC), **row)["effective_usd"] == Decimal(1)


def test_a_class_whose_rate_is_not_stated_keeps_the_discounted_list_price() -> None:
    row = {"input_uncached_tokens": 0, "cache_read_tokens": 10**6}

    assert cost(6, **row)["effective_usd"] == Decimal(1)


@pytest.mark.parametrize(
    ("find", "put", "line", "says"),
    [
        ("multiplier: 0.8", "note: x", 3, "write `multiplier`, `usd_per_mtok` or `per_call_usd`"),
        ("valid_to: 2026-10-01", "valid_to: 2026-03-01", 3, "ends before it starts"),
        ("tiers: [default]", "tiers: [default, batch]", 4, "one entry per tier"),
        ("name: big, provider: p, models: [big], tiers: [default]", "name: other, provider: p", 4, "date them apart"),
        ("multiplier: 0.8", "multiplyer: 0.8", 3, "multiplyer"),
    ],
)  # fmt: skip
def test_wrong_terms_are_refused_with_their_line(find: str, put: str, line: int, says: str) -> None:
    assert find in CONTRACTS
    with pytest.raises(ConfigurationError) as caught:
        load_contracts(CONTRACTS.replace(find, put, 1), path="contracts.yml")
    assert f"contracts.yml, line {line}" in str(caught.value)
    assert says in str(caught.value)


def test_no_file_is_no_contract() -> None:
    assert load_contracts("", path="contracts.yml") == []


UNITS = """\
checked_on: 2026-02-01
usd_per_dbu: [{usd: 0.07, valid_from: 2026-03-01}, {usd: 0.05, valid_from: 2026-09-01}]
usd_per_credit:
  - {usd: 2.00, valid_from: 2026-03-01}
  - {usd: 1.80, valid_from: 2026-03-01, known_from: 2026-04-01}
"""


@pytest.mark.parametrize(
    ("provider", "row", "month", "usd"),
    [
        # 7.143 DBU a million tokens in and 21.429 out, at what a DBU costs on that day.
        ("databricks", {"served_model": "meta-llama-3-3-70b-instruct"}, 4, "0.50001"),
        ("databricks", {"served_model": "databricks-meta-llama-3-3-70b-instruct"}, 9, "0.35715"),
        ("databricks", {"served_model": "system.ai.gpt-oss-20b", "output_text_tokens": 10**6}, 4, "0.37002"),
        # Not stated yet.
        ("databricks", {"served_model": "gpt-oss-20b"}, 2, None),
        # 123.456 millionths of a credit at $1.80; the tokens cost nothing beside.
        ("snowflake", {"served_model": "claude-sonnet-4-5", "service_tier": "credits",
                       "other_meters": {"microcredits": Decimal("123.456")}}, 4, "0.000222220800"),
        # The REST API's view tells no credits.
        ("snowflake", {"served_model": "claude-sonnet-4-5"}, 4, None),
    ],
)  # fmt: skip
def test_what_a_vendor_bills_in_units_of_its_own_costs_what_the_contract_says(
    provider: str, row: dict[str, Any], month: int, usd: str | None
) -> None:
    sheets = [one for one in load_token_sheets(builtin_token_sheets()) if one.provider == provider]
    request = {
        "source": "s", "source_kind": "requests", "request_id": "r", "provider": provider, "status": "ok",
        "started_at": datetime(2026, month, 15, tzinfo=UTC), "usage_source": "provider",
        "is_gateway_cache_hit": False, "input_uncached_tokens": 10**6,
    }  # fmt: skip
    rates = unit_rates(UNITS, path="contracts.yml")
    for known, expected in ((rates, usd), (rates.clear(), None)):
        (found,) = price_requests(
            table("core.requests").frame([request | row]).lazy(), book=token_book(sheets).lazy(),
            models=model_aliases(sheets).lazy(), fx=known.lazy(), time_zone="UTC", as_known_at=LATER,
            from_hour=datetime(2026, 1, 1, tzinfo=UTC), to_hour=LATER,
        ).collect().iter_rows(named=True)  # fmt: skip
        assert found["effective_usd"] == (None if expected is None else Decimal(expected))
        assert found["price_state"] == ("unpriced" if expected is None else "priced")
    said = remedy(
        found["unpriced_reason"], provider=provider, model=found["model"], tier="default", chip=None, used=[],
        offered=[], names=[], started_at=found["started_at"],
    )  # fmt: skip
    unit = {"databricks": "usd_per_dbu", "snowflake": "usd_per_credit"}[provider]
    assert (f"by {unit} in contracts.yml" in said) == (provider == "databricks" or "other_meters" in row)


def test_a_unit_that_is_priced_twice_for_a_day_names_the_line() -> None:
    twice = UNITS.replace("valid_from: 2026-09-01", "valid_from: 2026-03-01")
    with pytest.raises(ConfigurationError, match="line 2: usd_per_dbu from 2026-03-01 is stated twice"):
        unit_rates(twice, path="contracts.yml")
