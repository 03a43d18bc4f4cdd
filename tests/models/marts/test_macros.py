from datetime import date
from decimal import Decimal

import duckdb
import polars as pl
import pytest

from models.tiers import is_default_tier, with_default_named
from tests.models.marts.warehouse import attempt, gpu_attempt, insert, open_warehouse, pool_hour, utc

MAY, JUNE = date(2026, 5, 31), date(2026, 6, 2)
NOON = utc("2026-05-31T12:00")


def _adjusted() -> duckdb.DuckDBPyConnection:
    con = open_warehouse()
    insert(
        con,
        "core.request_costs",
        [
            attempt("a", NOON, MAY, effective_usd=Decimal(10)),
            gpu_attempt("g", NOON, MAY, effective_usd=Decimal(3)),
        ],
    )
    insert(
        con,
        "core.pool_hours",
        [pool_hour(NOON, MAY, serving_usd=Decimal(3), idle_usd=Decimal(2), unheld_usd=Decimal(1))],
    )
    insert(
        con,
        "core.other_charges",
        [
            {
                "charge_id": "s",
                "meter": "cache_storage",
                "accrued_hour": NOON,
                "accrued_on": MAY,
                "effective_usd": Decimal(5),
            }
        ],
    )
    insert(
        con,
        "core.adjustments",
        [
            {
                "adjustment_id": "x", "accrued_hour": NOON, "accrued_on": MAY, "booked_on": JUNE,
                "old_usd": Decimal(10), "new_usd": Decimal(9), "difference_usd": Decimal(-1), "reason": "reprice",
            }
        ],
    )  # fmt: skip
    return con


def test_sql_knows_the_default_tier_by_the_names_that_python_knows():
    spelled = [
        "", "default", "Standard", "ON_DEMAND", "on-demand", "OnDemand", "auto", "spillover", "PayG", "paygo",
        "pay_as_you_go", "Pay-as-you-go", "global_standard", "GlobalStandard", "batch", "flex", "standard2", "priority",
    ]  # fmt: skip
    rows = open_warehouse().execute(
        "SELECT tier, is_default_tier(tier) FROM unnest(?) AS t(tier)", [[*spelled, None]]
    )
    told = dict(rows.fetchall())
    assert told == {tier: is_default_tier(tier) for tier in [*spelled, None]}
    assert {tier for tier, is_default in told.items() if not is_default} == {
        "batch",
        "flex",
        "standard2",
        "priority",
    }
    named = pl.DataFrame({"tier": [*spelled, None]}).select(tier=with_default_named(pl.col("tier")))["tier"]
    assert {tier for tier in named if tier} == {"default", "batch", "flex", "standard2", "priority"}


def _total(con: duckdb.DuckDBPyConnection, from_on: str, to_on: str, view: str) -> Decimal | None:
    row = con.execute(
        "SELECT sum(spend_usd) FROM spend(?::DATE, ?::DATE, ?)", [from_on, to_on, view]
    ).fetchone()
    assert row is not None
    return row[0]


def test_spend_is_the_whole_and_moves_corrections_by_view():
    con = _adjusted()
    assert _total(con, "2026-05-01", "2026-06-01", "booked") == Decimal(21)
    assert _total(con, "2026-06-01", "2026-07-01", "booked") == Decimal(-1)
    assert _total(con, "2026-05-01", "2026-06-01", "corrected") == Decimal(20)
    assert _total(con, "2026-06-01", "2026-07-01", "corrected") is None


def test_spend_names_its_components():
    con = _adjusted()
    rows = con.execute(
        "SELECT component, sum(spend_usd) FROM spend('2026-05-01', '2026-06-01', 'corrected') GROUP BY ALL"
    ).fetchall()
    assert {name: int(usd) for name, usd in rows} == {
        "tokens": 10, "gpu_serving": 3, "gpu_idle": 2, "gpu_unheld": 1, "other_charges": 5, "adjustments": -1,
    }  # fmt: skip


def test_spend_refuses_an_unknown_view():
    with pytest.raises(duckdb.InvalidInputException, match="booked and corrected"):
        _total(_adjusted(), "2026-05-01", "2026-06-01", "guess")


def test_explain_cost_leads_from_the_dollars_to_the_sheet_and_the_log_line():
    con = open_warehouse()
    costs = {"price_id": "p1", "sheet_version": "v1", "input_uncached_tokens": 100, "output_text_tokens": 10}
    insert(
        con,
        "core.request_costs",
        [attempt("a", NOON, MAY, logical_request_id="asked", effective_usd=Decimal("0.000005"), **costs)],
    )
    card = {
        "price_id": "p1", "provider": "openai", "model": "gpt", "service_tier": "default", "priced_at": "started",
        "layer": "list", "unit": "token", "is_rounded": False, "valid_from": NOON, "known_from": NOON,
        "sheet_version": "v1", "sheet_path": "prices/tokens/openai.yml", "sheet_line": 12, "source_url": "https://x",
    }  # fmt: skip
    insert(
        con,
        "ref.token_prices",
        [
            card
            | {"meter": "input_uncached", "usd_per_mtok": Decimal("0.03"), "picodollars_per_unit": 30000},
            card | {"meter": "output_text", "usd_per_mtok": Decimal("0.2"), "picodollars_per_unit": 200000},
        ],
    )
    record = {
        "source": "gateway", "source_kind": "requests", "request_id": "a", "started_at": NOON, "started_hour": NOON,
        "status": "ok", "usage_source": "provider", "is_gateway_cache_hit": False, "ingested_at": NOON,
        "file_hash": "f1", "line_number": 41, "record_number": 1,
    }  # fmt: skip
    insert(con, "core.requests", [record])
    insert(
        con,
        "ops.landed_files",
        [
            {
                "file_hash": "f1", "source": "gateway", "source_kind": "requests", "path": "landing/a.jsonl",
                "size_bytes": 9, "read_count": 1, "landed_count": 1, "quarantined_count": 0, "ignored_count": 0,
                "landed_at": NOON,
            }
        ],
    )  # fmt: skip
    insert(
        con,
        "ops.partitions",
        [
            {
                "table_name": "core.request_costs", "partition_key": "2026-05-31T12:00Z", "row_count": 1,
                "content_hash": "h", "run_id": "run-7", "loaded_at": NOON, "changed_at": NOON,
            }
        ],
    )  # fmt: skip
    steps = con.execute(
        "SELECT meter, quantity, effective_usd, sheet_line, log_path, log_line, run_id FROM explain_cost('a')"
    ).fetchall()
    assert steps == [
        ("input_uncached", 100, Decimal("0.000003"), 12, "landing/a.jsonl", 41, "run-7"),
        ("output_text", 10, Decimal("0.000002"), 12, "landing/a.jsonl", 41, "run-7"),
    ]
    assert len(con.execute("FROM explain_cost('asked')").fetchall()) == 2


def test_explain_cost_of_an_unpriced_request_says_why():
    con = open_warehouse()
    insert(
        con,
        "core.request_costs",
        [attempt("u", NOON, MAY, price_state="unpriced", unpriced_reason="missing_usage")],
    )
    row = con.execute("SELECT price_state, unpriced_reason, effective_usd FROM explain_cost('u')").fetchone()
    assert row == ("unpriced", "missing_usage", None)
