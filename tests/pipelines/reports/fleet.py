"""A small fleet in an in-memory warehouse: two weeks of seeded attempts and pool-hours, the marts made by their SQL."""

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from tests.models.marts.test_owning import api
from tests.models.marts.warehouse import attempt, fill, gpu_attempt, insert, open_warehouse, pool_hour, utc

ON = date(2026, 5, 14)
LANES = (
    # route, provider, region, model, chip, dollars per million tokens
    ("chat", "openai", "us-east", "gpt-4o", None, "4.10"),
    ("chat", "anthropic", "us-east", "claude-sonnet-4-5", None, "5.20"),
    ("chat", "groq", "us", "llama-3.3-70b", "Groq LPU", "0.61"),
    ("search", "gcp.gemini", "europe-west4", "gemini-2.5-flash", "TPU v5e", "0.55"),
    ("search", "cerebras", "us", "llama-3.3-70b", "Cerebras WSE-3", "0.90"),
    ("summaries", "together", "us", "deepseek-v3", None, "1.25"),
    ("batch", "aws.bedrock", "us-east-1", "claude-haiku-4-5", None, "1.40"),
)
POOLS = (("llama-pool", "lambda", "us", "H100"), ("qwen-pool", "coreweave", "eu", "H200"))


def fleet(*, days: int = 14, attempts: int = 60, on: date = ON, seed: int = 7) -> duckdb.DuckDBPyConnection:
    """Return a warehouse whose last day is `on`."""
    con = open_warehouse()
    rng = random.Random(seed)
    costs: list[dict[str, Any]] = []
    hours: list[dict[str, Any]] = []
    for back in range(days):
        day = on - timedelta(days=back)
        costs += _attempts(rng, day, attempts if day.weekday() < 5 else attempts // 2)
        hours += _pool_hours(rng, day, costs)
    insert(con, "core.request_costs", costs)
    insert(con, "core.pool_hours", hours)
    ever = {"valid_from": utc("2026-01-01T00:00")}
    insert(con, "ref.token_prices", [*api("groq", "0.59", "0.79", **ever), *api("dear", "59", "79", **ever)])
    make_marts(con, on=on, days=days)
    return con


def make_marts(con: duckdb.DuckDBPyConnection, *, on: date = ON, days: int = 14) -> None:
    span = {"from_on": on - timedelta(days=days - 1), "to_on": on + timedelta(days=1)}
    fill(con, "mart.cost_per_token_daily", "cost_per_token_daily", **span)
    fill(con, "mart.spend_daily", "spend_daily", **span)
    fill(con, "ops.coverage", "coverage", **span)
    fill(con, "mart.break_even", "break_even", **span)
    fill(con, "mart.cost_by_chip", "cost_by_chip", **span)
    fill(con, "mart.gpu_bill_daily", "gpu_bill_daily", target_percent=70, **span)


def _attempts(rng: random.Random, day: date, number: int) -> list[dict[str, Any]]:
    rows = []
    for place in range(number):
        started = datetime.combine(day, utc("2026-01-01T00:00").timetz()) + timedelta(
            minutes=rng.randrange(1440)
        )
        sizes = {
            "input_uncached_tokens": rng.randrange(2_000, 90_000),
            "output_text_tokens": rng.randrange(100, 9_000),
        }
        name = f"req-{day:%m%d}-{place:04d}"
        if place % 40 == 39:
            rows.append(
                attempt(
                    name, started, day, provider="example_ai", route="chat", model="mystery-9b", tenant="acme",
                    price_state="unpriced", unpriced_reason="unknown_model", usage_source="estimated",
                    estimated_usd=Decimal("0.031"), **sizes,
                )
            )  # fmt: skip
            continue
        route, provider, region, model, chip, rate = LANES[rng.randrange(len(LANES))]
        parts = {
            side: (Decimal(rate) * sizes[column] / 1_000_000).quantize(Decimal(1).scaleb(-12))
            for side, column in (("input_usd", "input_uncached_tokens"), ("output_usd", "output_text_tokens"))
        }
        rows.append(
            attempt(
                name, started, day, provider=provider, region=region, route=route, model=model, chip=chip,
                tenant=rng.choice(["acme", "globex"]), effective_usd=sum(parts.values()), **parts, **sizes,
            )
        )  # fmt: skip
    return rows


def _pool_hours(rng: random.Random, day: date, costs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the pool-hours of a day, and add the attempts that they served to the costs."""
    rows = []
    for deployment, provider, region, chip in POOLS:
        place = {"deployment": deployment, "provider": provider, "region": region, "chip": chip}
        for hour in (9, 14, 20):
            at = datetime.combine(day, utc("2026-01-01T00:00").timetz()) + timedelta(hours=hour)
            served = Decimal(rng.randrange(20, 300)).scaleb(-2)
            parts = {"serving_usd": served, "starting_usd": Decimal("0.21"), "idle_usd": Decimal("0.57")}
            if hour == 20:
                parts |= {"failed_usd": Decimal("0.11"), "serving_usd": Decimal(0)}
            rows.append(
                pool_hour(
                    at,
                    day,
                    **place,
                    model="llama-3.3-70b",
                    **parts,
                    serving_gpu_seconds=Decimal(0 if hour == 20 else 1800),
                    idle_gpu_seconds=Decimal(600),
                    starting_gpu_seconds=Decimal(200),
                )
            )
            if hour != 20:
                costs.append(
                    gpu_attempt(
                        f"gpu-{deployment}-{day:%m%d}-{hour}", at, day, **place, route=deployment,
                        model="llama-3.3-70b", effective_usd=served, input_usd=served, allocation_weight=Decimal(1000),
                        input_uncached_tokens=rng.randrange(100_000, 900_000), output_text_tokens=20_000,
                    )
                )  # fmt: skip
    return rows


def mistake(request_id: str, regret: str | None, **changes: Any) -> dict[str, Any]:
    cost = None if regret is None else Decimal(regret) * 2
    return {
        "accrued_on": ON, "source": "gateway", "request_id": request_id, "started_at": utc("2026-05-14T10:20"),
        "route": "chat", "kind": "dearer_provider", "also_kinds": [], "clause": "chat.simple", "policy_line": 12,
        "provider": "openai",
        "region": "us-east", "model": "gpt-4o", "cost_usd": cost, "alternative_provider": "groq",
        "alternative_region": "us", "alternative_model": "llama-3.3-70b",
        "alternative_usd": None if regret is None else Decimal(regret),
        "regret_usd": None if regret is None else Decimal(regret), "confidence_ratio": 0.8,
        "evidence": "groq serves the same family for less",
    } | changes  # fmt: skip


def regret_of_day(con: duckdb.DuckDBPyConnection, *extra: dict[str, Any]) -> None:
    """Roll the listed mistakes up into the daily table, with rows that the list does not hold."""
    con.execute(
        "INSERT INTO mart.routing_regret_daily BY NAME SELECT accrued_on, route, kind, count(*) AS attempt_count, "
        "sum(regret_usd) AS regret_usd, sum(regret_usd) / 2 AS regret_low_usd, sum(regret_usd) AS regret_high_usd, "
        "sum(cost_usd) AS cost_usd FROM mart.routing_mistakes GROUP BY ALL"
    )
    if extra:
        insert(con, "mart.routing_regret_daily", extra)


def cold_start(replica_id: str, requested_at: datetime, **changes: Any) -> dict[str, Any]:
    return {
        "started_on": ON, "replica_id": replica_id, "provider": "lambda", "region": "us", "chip": "H100",
        "deployment": "llama-pool", "commitment": "on_demand", "model": "llama-3.3-70b", "requested_at": requested_at,
        "ready_at": requested_at + timedelta(seconds=190), "outcome": "ready", "waiting_seconds": 20.0,
        "pulling_seconds": 50.0, "loading_seconds": 120.0, "total_seconds": 190.0, "start_usd": Decimal("0.21"),
        "delayed_request_count": 3, "added_seconds": 41.5, "is_inferred": False,
    } | changes  # fmt: skip


def burst(**changes: Any) -> dict[str, Any]:
    return {
        "started_on": ON, "burst_id": "llama-pool H100 us 2026-05-14T14:02Z", "provider": "lambda", "region": "us",
        "chip": "H100", "deployment": "llama-pool", "onset_at": utc("2026-05-14T14:02"),
        "ended_at": utc("2026-05-14T14:31"), "start_count": 9, "expected_count": 0.42, "p_value": 1e-9,
        "burst_usd": Decimal("12.48"), "delayed_request_count": 41, "added_seconds": 880.5,
        "abandoned_request_count": 2, "delayed_user_count": 17,
        "cause": "scale_from_zero", "evidence": "no replica was ready for 52 minutes before the first start",
        "cure_replica_count": 2, "cure_usd_per_day": Decimal("191.52"),
        "cure_keep_warm_seconds": 720.0, "cure_keep_warm_usd_per_day": Decimal("9.6"), "history_days": 20.0,
        "is_history_short": False,
    } | changes  # fmt: skip


def check_result(name: str, *, is_passed: bool, **changes: Any) -> dict[str, Any]:
    return {
        "checked_at": utc("2026-05-15T01:00"), "run_id": "run-1", "check_name": name,
        "table_name": "core.request_costs", "partition_from": "2026-05-14", "partition_to": "2026-05-15",
        "is_passed": is_passed, "severity": "warn", "failed_count": 0 if is_passed else 3,
        "summary": f"{name} says so.", "failed_ids": [],
    } | changes  # fmt: skip


def full_day() -> duckdb.DuckDBPyConnection:
    """Return a fleet whose last day has mistakes, starts, a burst and checks of every outcome."""
    con = fleet()
    rng = random.Random(3)
    wrong = [mistake(f"req-0514-{place:04d}", f"0.{rng.randrange(100, 999)}") for place in range(14)]
    wrong += [
        mistake(
            f"req-0514-005{place}", "1.75", kind="overpowered", clause="summaries", route="summaries",
            provider="anthropic",
            model="claude-sonnet-4-5", alternative_provider="together", alternative_model="deepseek-v3",
        )
        for place in range(4)
    ]  # fmt: skip
    wrong.append(
        mistake(
            "rule-1", None, kind="policy_violation", clause="chat.restricted", alternative_provider=None,
            alternative_model=None, alternative_region=None, cost_usd=Decimal("0.4"), confidence_ratio=1.0,
        )
    )  # fmt: skip
    insert(con, "mart.routing_mistakes", wrong)
    small = {"accrued_on": ON, "route": "batch", "kind": "dearer_provider", "attempt_count": 20}
    regret_of_day(
        con,
        small | {"regret_usd": Decimal("0.0042"), "cost_usd": Decimal("0.31")},
        small
        | {"kind": "not_evaluated", "attempt_count": 6, "cost_usd": Decimal(3), "wasted_usd": Decimal("1.2")},
    )
    starts = [
        cold_start(f"b-{step}", utc("2026-05-14T14:02") + timedelta(minutes=3 * step)) for step in range(9)
    ]
    starts += [
        cold_start(
            f"q-{hour}", utc("2026-05-14T00:10") + timedelta(hours=hour), deployment="qwen-pool", chip="H200",
            provider="coreweave", region="eu", delayed_request_count=0, added_seconds=0.0,
        )
        for hour in (1, 7, 8, 15, 22)
    ]  # fmt: skip
    starts.append(cold_start("f-1", utc("2026-05-14T18:00"), outcome="failed", ready_at=None, start_usd=None))
    insert(con, "mart.cold_starts", starts)
    insert(con, "mart.cold_start_bursts", [burst()])
    insert(
        con,
        "ops.check_results",
        [
            check_result("prices_cover_usage", is_passed=False, summary="2 attempts have no price; add one."),
            check_result("pool_is_conserved", is_passed=True, table_name="core.pool_hours"),
            check_result(
                "routing_mistakes", is_passed=False, severity="error", table_name="mart.routing_mistakes",
                partition_from="2026-05-01", partition_to="2026-05-15", summary="Routing mistakes cost $15.",
            ),
        ],
    )  # fmt: skip
    return con
