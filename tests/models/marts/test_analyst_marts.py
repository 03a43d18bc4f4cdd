"""Sessions, outcomes, the scoreboard, growth and price macros, by hand."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import pytest

from models.schemas import table
from tests.models.marts.warehouse import attempt, fill, gpu_attempt, insert, open_warehouse, pool_hour, utc

DAY = date(2026, 5, 4)
NOON = utc("2026-05-04T12:00")
DAYS = {"from_on": DAY, "to_on": date(2026, 5, 5)}
SPAN = {"early": utc("2026-05-02T00:00"), "late": utc("2026-05-05T00:00")}
LOOK_BACK = {"early_on": DAY - timedelta(days=30), "zone": "UTC", "least_ratio": 0.6}


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return open_warehouse()


def loosely(con: duckdb.DuckDBPyConnection, dotted: str, rows: list[dict[str, Any]]) -> None:
    """Fill a table with rows of which only a few columns matter here."""
    con.register("incoming", table(dotted).frame(rows))
    con.execute(f"DROP TABLE {dotted}")
    con.execute(f"CREATE TABLE {dotted} AS FROM incoming")
    con.unregister("incoming")


def price(model: str, meter: str, rate: str, **changes: Any) -> dict[str, Any]:
    return {
        "price_id": f"{model}-{changes.get('valid_from', '')}", "meter": meter, "provider": "openai", "model": model,
        "model_family": model, "service_tier": "default", "priced_at": "started", "layer": "list", "unit": "token",
        "rate_per_mtok": Decimal(rate), "usd_per_mtok": Decimal(rate), "is_rounded": False,
        "valid_from": utc("2026-01-01T00:00"), "known_from": utc("2026-01-01T00:00"), "sheet_version": "1",
        "sheet_path": "s.yml", "source_url": "https://example.com",
    } | changes  # fmt: skip


def test_a_sub_agent_counts_with_the_session_of_its_trace_and_a_retry_once(
    con: duckdb.DuckDBPyConnection,
) -> None:
    costs = {"effective_usd": Decimal(1), "output_text_tokens": 10, "agent": "planner"}
    rows = [
        attempt("main", NOON, DAY, session_id="s", **costs),
        attempt("failed", NOON, DAY, session_id="s", status="error", **costs),
        attempt("again", NOON, DAY, session_id="s", attempt_no=2, logical_request_id="failed", **costs),
        attempt("sub", NOON, DAY, **costs | {"agent": "searcher"}),
        attempt("alone", NOON, DAY, **costs),
        attempt("plain", NOON, DAY, **costs),
        attempt("unpriced", NOON, DAY, price_state="unpriced", session_id="u", output_text_tokens=5),
    ]
    insert(con, "core.request_costs", rows)
    traces = {"main": ("t", "s"), "sub": ("t", None), "alone": ("other", None), "plain": (None, None)}
    logs = [
        {
            "source": "gateway", "request_id": name, "started_at": NOON, "started_hour": NOON, "trace_id": trace,
            "session_id": session,
        }
        for name, (trace, session) in traces.items()
    ]  # fmt: skip
    loosely(con, "core.requests", logs)

    sessions = fill(con, "mart.cost_per_session", "cost_per_session", **DAYS, **SPAN)

    names = ["session_kind", "session_id", "agent", "usage_usd", "request_count", "attempt_count"]
    assert sorted(sessions.select(names).rows(), key=str) == [
        ("none", None, "planner", 1, 1, 1),
        ("session", "s", "planner", 3, 2, 3),
        ("session", "s", "searcher", 1, 1, 1),
        ("session", "u", None, None, 1, 1),
        ("trace", "other", "planner", 1, 1, 1),
    ]
    both = sessions.filter(pl.col("agent") == "planner", pl.col("session_id") == "s")
    assert both.select("failed_usd", "retry_usd", "error_count", "retry_count").rows() == [(1, 1, 1, 1)]

    # Two tasks share the session; one names a session that no log has, one a session without a price.
    tasks = [
        {"source": "t", "dedupe_key": str(number), "session_id": session, "outcome": outcome, "is_success": number != 1,
         "finished_at": NOON, "ingested_at": NOON, "file_hash": "f", "line_number": number, "record_number": 1}
        for number, (session, outcome) in enumerate(
            [("s", "ticket"), ("s", "ticket"), ("no", "ticket"), ("u", "report")]
        )
    ]  # fmt: skip
    again = tasks[0] | {"ingested_at": NOON - timedelta(days=1), "outcome": "replaced", "file_hash": "e"}
    loosely(con, "raw.outcomes", [*tasks, again, *(task | {"source": "u"} for task in tasks)])

    outcomes = fill(con, "mart.cost_per_outcome", "cost_per_outcome", **DAYS, **SPAN, **LOOK_BACK).sort(
        "outcome", "tenant"
    )

    columns = [
        "outcome",
        "outcome_count",
        "success_count",
        "covered_count",
        "usage_usd",
        "usd_per_outcome",
        "usd_per_success",
    ]
    assert outcomes.select(columns).rows() == [
        ("report", 1, 1, 0, None, None, None),
        ("ticket", 1, 1, 0, None, None, None),
        ("ticket", 2, 1, 2, 4, 2.0, 4.0),
    ]
    reasons = outcomes["refused_reason"].to_list()
    assert reasons[0].endswith("0 name a session that no log has, 1 have calls without a price")
    assert reasons[1].endswith("1 name a session that no log has, 0 have calls without a price")
    assert reasons[2] is None
    ratio = "usd_per_outcome(covered_usd, covered_count, outcome_count, least_coverage_ratio)"
    asked = f"SELECT outcome, {ratio} FROM mart.cost_per_outcome GROUP BY outcome ORDER BY outcome"
    assert con.execute(asked).fetchall() == [("report", None), ("ticket", 2.0)]


def test_the_scoreboard_holds_a_pool_against_the_reference_on_the_same_traffic(
    con: duckdb.DuckDBPyConnection,
) -> None:
    known = {"is_prefix": True, "sheet_path": "s"}
    insert(
        con,
        "ref.families",
        [
            {"stem": "gpt", "developer": "openai", "is_open_weights": False, **known},
            {"stem": "llama", "developer": "meta", "is_open_weights": True, **known},
        ],
    )
    insert(con, "ref.token_prices", [price("gpt", "input_uncached", "2"), price("gpt", "output_text", "8")])
    here = {"route": "chat", "input_uncached_tokens": 1_000_000, "output_text_tokens": 500_000}
    minute = timedelta(minutes=1)
    rows = [
        *(
            gpu_attempt(
                f"own{number}", NOON + number * minute, DAY, effective_usd=Decimal("0.5"), allocation_weight=Decimal(1),
                status="error" if number == 3 else "ok", duration_seconds=float(10 + number),
                first_token_seconds=2.0, **here,
            )
            for number in range(4)
        ),
        attempt("api", NOON, DAY, effective_usd=Decimal(6), duration_seconds=30.0, **here),
        attempt("gone", NOON, DAY, effective_usd=Decimal(6), status="cancelled", **here),
    ]  # fmt: skip
    insert(con, "core.request_costs", rows)
    insert(con, "core.pool_hours", [pool_hour(NOON, DAY, serving_usd=Decimal(2), idle_usd=Decimal(10))])
    fill(con, "mart.cost_per_token_daily", "cost_per_token_daily", **DAYS)
    con.register("factors", pl.DataFrame({"name": ["llama", "gpt"], "tokens_ratio": [2.0, 1.0]}))
    con.register(
        "wanted_references", pl.DataFrame(schema=dict.fromkeys(("route", "provider", "model"), pl.String))
    )

    own, api = fill(con, "mart.scoreboard", "scoreboard", **DAYS).sort("cost_basis").to_dicts()

    assert (own["available_minute_ratio"], own["available_request_ratio"]) == (0.75, 0.75)
    assert (own["p50_seconds"], own["p50_first_token_seconds"]) == (11.0, 2.0)
    assert own["output_tokens_per_second"] == pytest.approx(1_500_000 / (8 + 9 + 10))
    # Idle time is inside: 12 dollars for what the reference would charge 24 at half as many tokens: 12.
    assert (own["available_usd"], own["reference_usd"], own["cost_ratio"]) == (12, 12.0, 1.0)
    assert own["available_usd_per_1k_characters"] == pytest.approx(250 * 2 * 12 / 6_000_000)
    assert (own["reference_model"], own["reference_p95_seconds"], own["is_reference"]) == ("gpt", 30.0, False)
    assert (api["is_reference"], api["cost_ratio"], api["available_request_ratio"]) == (True, 1.0, 1.0)


def test_growth_is_of_what_a_day_holds_and_macros_tell_prices_and_what_ifs(
    con: duckdb.DuckDBPyConnection,
) -> None:
    insert(
        con,
        "ref.token_prices",
        [
            price("gpt", "input_uncached", "2"),
            price("gpt", "input_uncached", "3", valid_from=utc("2026-05-01T00:00")),
            price("cheap", "input_uncached", "1"),
            price("cheap", "output_text", "4"),
        ],
    )
    here = {"effective_usd": Decimal(30), "input_uncached_tokens": 1_000_000, "cache_read_tokens": 1_000_000}
    rows = [
        attempt("april", utc("2026-04-04T12:00"), date(2026, 4, 4), service_tier="On-Demand", **here),
        attempt("may", NOON, DAY, output_text_tokens=1_000_000, **here),
        attempt("may-2", NOON, DAY + timedelta(days=1), **here),
        attempt("may-3", NOON, DAY, **here),
    ]
    insert(con, "core.request_costs", rows)
    fill(
        con,
        "mart.cost_per_token_daily",
        "cost_per_token_daily",
        from_on=date(2026, 4, 1),
        to_on=date(2026, 6, 1),
    )

    growth = fill(con, "mart.usage_growth", "usage_growth", month_on=date(2026, 5, 1))

    whole = growth.filter(pl.col("scope_kind") == "total").to_dicts()[0]
    # 7 million tokens in 2 days, after 2 million in 1.
    assert (whole["day_count"], whole["before_day_count"], whole["year_before_day_count"]) == (2, 1, None)
    assert (whole["tokens_a_day"], whole["tokens_month_ratio"], whole["tokens_year_ratio"]) == (
        3.5e6,
        0.75,
        None,
    )
    assert whole["usd_month_ratio"] == pytest.approx(0.5)
    history = (
        "SELECT rate_per_mtok, before_rate_per_mtok, change_ratio FROM price_history() WHERE model = 'gpt'"
    )
    assert con.execute(history).fetchall() == [(2, None, None), (3, 2, 0.5)]
    what_if = "what_if('chat', 'openai', '{}', '2026-05-01', '2026-06-01')"
    moved = f"SELECT available_usd, what_if_usd, difference_usd FROM {what_if.format('cheap')}"
    # Cached input without a rate of its own costs what plain input does.
    assert con.execute(moved).fetchall() == [(90, 10.0, -80.0)]
    assert con.execute(f"SELECT what_if_usd FROM {what_if.format('nobody')}").fetchall() == [(None,)]
