"""Two ways to a cost: the engine and the SQL macro agree on every rule of a sheet, as known at any instant."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.costs.deployments import deployed
from models.costs.token_costs import price_requests
from models.prices.contracts import load_contracts
from models.prices.deployments import load_deployments
from models.prices.fx import load_fx
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table
from tests.models.marts.warehouse import insert, open_warehouse

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
DAYS = 12
FOREVER = START + timedelta(days=400)
RATE = st.integers(3, 30).map(lambda tenths: tenths / 10)
SOME = st.one_of(st.none(), RATE)
MULTIPLIER = st.sampled_from([0.5, 0.73, 1.1, 2])
DAY = st.integers(0, DAYS - 1)


def day(number: int) -> str:
    return f"{START + timedelta(days=number):%Y-%m-%d}"


def as_yaml(sheet: dict[str, Any]) -> str:
    """Return a sheet as text; dates stand bare, as YAML has them."""
    return re.sub(r'"(\d{4}-\d\d-\d\d)"', r"\1", json.dumps(sheet))


@st.composite
def entries(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return dated entries of one model: changes of price, corrections, a region of its own, every kind of rule."""
    found, seen = [], set()
    for valid, known, region in sorted(
        draw(st.lists(st.tuples(DAY, DAY, st.sampled_from([None, None, "eu"])), min_size=1, max_size=5)),
        key=lambda one: (one[2] or "", *one[:2]),
    ):
        if (valid, known, region) in seen:
            continue
        seen.add((valid, known, region))
        rates = {"input_uncached": draw(RATE), "cache_read": draw(SOME), "output": draw(RATE)}
        if draw(st.integers(0, 3)) == 0:
            del rates["cache_read"]  # No discount is stated: it costs what input costs.
        entry: dict[str, Any] = {"valid_from": day(valid), "known_from": day(known), "usd_per_mtok": rates}
        if region is not None:
            entry["region"] = region
        elif draw(st.booleans()):
            entry["regions"] = {"us": {"multiplier": 1.1}}
        tiers = {
            name: {"multiplier": draw(MULTIPLIER)}
            for name in draw(st.sets(st.sampled_from(["batch", "flex"])))
        }
        if draw(st.booleans()):
            tiers["priority"] = {"usd_per_mtok": {"output": draw(RATE)}}
        mode = draw(st.sampled_from([None, "whole_request", "graduated"]))
        if mode is not None:
            further = {"input_uncached": draw(RATE)} | (
                {"cache_read": draw(RATE)} if rates.get("cache_read") else {}
            )
            entry["long_context"] = {"above_input_tokens": 1000, "mode": mode, "usd_per_mtok": further}
        if draw(st.booleans()):
            entry["per_call_usd"] = {"web_search": 0.0101} | (
                {"request": 0.002} if draw(st.booleans()) else {}
            )
        if draw(st.booleans()):
            hours = draw(st.sampled_from([("22:00", "02:00"), ("09:00", "17:30"), ("00:00", "00:00")]))
            days = draw(st.sampled_from([["mon", "thu"], ["sun"]]))
            entry["schedule"] = [{"days": days, "from_utc": hours[0], "to_utc": hours[1], "multiplier": 0.5}]
        found.append(entry | {"tiers": tiers})
    return found


@st.composite
def sheets(draw: st.DrawFn) -> dict[str, str]:
    moved = draw(DAY)
    models = [
        {
            "model": "one",
            "aliases": [{"name": "floating", "valid_to": day(moved)}],
            "prices": draw(entries()),
        },
        {
            "model": "two",
            "aliases": [{"name": "floating", "valid_from": day(moved), "known_from": day(draw(DAY))}],
            "prices": draw(entries()),
        },
        {"model": "ft:base", "prices": draw(entries())},
    ]
    head = {"source_url": "https://example.com", "checked_on": day(0)}
    fleur = {"model": "fleur", "prices": draw(entries())}
    euros = as_yaml({"provider": "maison", "currency": "EUR", **head, "models": [fleur]})
    return {
        "a.yml": as_yaml({"provider": "example", **head, "models": models}),
        "b.yml": euros.replace('"usd_per_mtok"', '"eur_per_mtok"').replace("per_call_usd", "per_call_eur"),
    }


ROW = st.fixed_dictionaries(
    {
        "served_model": st.sampled_from(
            ["one", "two", "floating", "fleur", "nobody", "mine", "ft:base:me::1"]
        ),
        "region": st.sampled_from([None, "eu", "us", "asia"]),
        "service_tier": st.sampled_from([None, "standard", "batch", "flex", "priority", "gold", "reserved"]),
        "route": st.sampled_from([None, None, "house"]),
        "minutes": st.integers(0, DAYS * 24 * 60 - 1),
        "lasts": st.integers(0, 3000),
        "ingested": DAY,
        "input_uncached_tokens": st.integers(0, 2000),
        "cache_read_tokens": st.one_of(st.none(), st.integers(0, 2000)),
        "output_text_tokens": st.integers(0, 2000),
        "reasoning_tokens": st.sampled_from([0, 7]),
        "searches": st.sampled_from([None, Decimal(0), Decimal("1.5"), Decimal("0.000033")]),
        "other_fee": st.sampled_from([None, None, None, "web_search", "file_search"]),
        "bill": st.sampled_from([None, None, Decimal("0.012345678901"), Decimal(0)]),
        "status": st.sampled_from(["ok", "ok", "error"]),
        "usage_source": st.sampled_from(["provider", "provider", "missing"]),
    }
)
FX = "currency,rate_on,usd_per_unit,source_url,known_from\n" + "".join(
    f"EUR,{day(on)},{rate},https://example.com,{day(known)}\n"
    for on, rate, known in ((0, "1.0843", 0), (5, "1.1", 6), (5, "1.2", 9))
)
DEPLOYMENTS = f"""\
checked_on: {day(1)}
deployments:
  - {{alias: mine, provider: example, model: one, valid_from: {day(2)}}}
  - {{alias: mine, provider: maison, model: fleur, region: eu, valid_from: {day(6)}, known_from: {day(7)}}}
  - {{alias: house, service_tier: batch, valid_from: {day(4)}, valid_to: {day(6)}}}
  - {{alias: house, pool: ours, valid_from: {day(8)}, known_from: {day(5)}}}
"""
CONTRACTS = f"""\
checked_on: {day(2)}
contracts:
  - {{name: all, provider: example, valid_from: {day(3)}, valid_to: {day(8)}, multiplier: 0.87}}
  - name: two
    provider: example
    models: [two]
    valid_from: {day(4)}
    known_from: {day(5)}
    usd_per_mtok: {{input_uncached: 0.3}}
"""


@pytest.fixture(scope="module")
def warehouse() -> duckdb.DuckDBPyConnection:
    return open_warehouse()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=sheets(), rows=st.lists(ROW, min_size=8, max_size=40), known=st.integers(0, DAYS + 1))
def test_the_macro_costs_what_the_engine_costs_as_known_at_any_instant(
    warehouse: duckdb.DuckDBPyConnection, texts: dict[str, str], rows: list[dict[str, Any]], known: int
) -> None:
    known_at = START + timedelta(days=known)
    loaded = load_token_sheets(texts)
    book, names = token_book(loaded, load_contracts(CONTRACTS, path="contracts.yml")), model_aliases(loaded)
    rates = load_fx(FX, path="fx.csv")
    requests = table("core.requests").frame(
        {
            "source": "s", "source_kind": "requests", "request_id": str(number), "status": row["status"],
            "provider": "maison" if row["served_model"] == "fleur" else "example", "served_model": row["served_model"],
            "route": row["route"], "region": row["region"], "service_tier": row["service_tier"],
            "usage_source": row["usage_source"],
            "started_at": START + timedelta(minutes=row["minutes"]), "started_hour": START,
            "finished_at": START + timedelta(minutes=row["minutes"] + row["lasts"]), "is_gateway_cache_hit": False,
            "ingested_at": START + timedelta(days=row["ingested"]), "file_hash": "f", "line_number": 1,
            "record_number": 1, "is_cost_billed": row["bill"] is not None,
            "provider_reported_cost_usd": row["bill"],
            "other_meters": None if row["searches"] is None else {row["other_fee"] or "web_search": row["searches"]},
        } | {name: value for name, value in row.items() if name.endswith("_tokens")}
        for number, row in enumerate(rows)
    )  # fmt: skip

    deployments = load_deployments(DEPLOYMENTS, path="deployments.yml")

    def costs(at: datetime) -> Any:
        return price_requests(
            deployed(requests, deployments, as_known_at=at).lazy(),
            book=book.lazy(), models=names.lazy(), fx=rates.lazy(), time_zone="UTC",
            as_known_at=at, from_hour=START, to_hour=FOREVER,
        ).collect()  # fmt: skip

    for dotted, frame in (
        ("ref.token_prices", book), ("ref.models", names), ("ref.fx_rates", rates),
        ("ref.deployments", deployments), ("core.requests", requests),
        ("core.request_costs", costs(FOREVER)),
    ):  # fmt: skip
        warehouse.execute(f"DELETE FROM {dotted}")
        insert(warehouse, dotted, frame)
    by_macro = warehouse.execute(
        "SELECT request_id, effective_usd, price_id FROM cost_as_known(?)", [known_at]
    ).fetchall()
    then = {row["request_id"]: row for row in costs(known_at).to_dicts()}
    landed = {row["request_id"] for row in requests.to_dicts() if row["ingested_at"] <= known_at}
    expected = [(name, then[name]["effective_usd"], then[name]["price_id"]) for name in sorted(landed)]
    assert sorted(by_macro) == expected
