"""The check of what providers say they charged, on a real DuckDB."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from pipelines.checks.reported_costs_agree import CHECK
from tests.models.marts.warehouse import attempt, insert, open_warehouse

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_charge_other_than_ours_is_told_by_model_with_the_day_it_began() -> None:
    # grok drifts from the 19th on; sonar agrees to the digits that are printed; a gateway's estimate is no charge.
    calls = [
        ("grok", 18, "0.05", "0.05", True),
        ("grok", 19, "0.02", "0.05", True),
        ("grok", 20, "0.02", "0.05", True),
        ("sonar", 20, "0.0138", "0.013803", True),
        ("gpt", 20, "0.5", "0.1", False),
    ]
    con = open_warehouse()
    for number, (model, day, said, ours, is_billed) in enumerate(calls):
        at = NOON + timedelta(days=day - 20)
        cost = attempt(
            f"r{number}", at, date(2026, 11, day), model=model, provider="x_ai", effective_usd=Decimal(ours),
            gateway_reported_usd=Decimal(said),
        )  # fmt: skip
        insert(con, "core.request_costs", [cost])
        call = {
            "source": "gateway", "source_kind": "openai_response", "request_id": f"r{number}", "started_at": at,
            "started_hour": at, "status": "ok", "usage_source": "provider", "is_gateway_cache_hit": False,
            "ingested_at": at, "file_hash": "f", "line_number": 1, "record_number": 1, "is_cost_billed": is_billed,
        }  # fmt: skip
        insert(con, "core.requests", [call])

    outcome = CHECK.judge(con, NOON, NOON + timedelta(hours=1))

    assert (outcome.is_passed, outcome.severity, outcome.failed_count) == (False, "warn", 2)
    assert outcome.failed_ids == [
        "gateway x_ai grok since 2026-11-19: 2 calls, charged 0.040000000000, ours 0.100000000000"
    ]
    estimates = con.execute(
        "SELECT model, call_count FROM reported_cost_drift() WHERE NOT is_billed"
    ).fetchall()
    assert estimates == [("gpt", 1)]
    assert CHECK.judge(con, NOON - timedelta(days=2), NOON - timedelta(days=2, hours=-1)).is_passed
