"""The check of bursts on a real DuckDB."""

from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pytest

from models.schemas import table
from pipelines.checks.cold_start_bursts import judge
from pipelines.limits import BurstLimits, ColdStartSettings

ON, NEXT = date(2026, 11, 20), date(2026, 11, 21)


@pytest.fixture
def con():
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'; CREATE SCHEMA mart")
        for statement in table("mart.cold_start_bursts").ddl():
            con.execute(statement)
        yield con


def burst(deployment, usd, *, on=ON, requests=0):
    return {
        "started_on": on,
        "burst_id": f"{deployment}-{usd}-{on}",
        "provider": "vendor",
        "region": "us-east-1",
        "chip": "H100",
        "deployment": deployment,
        "onset_at": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "ended_at": datetime(2026, 11, 20, 12, 5, tzinfo=UTC),
        "start_count": 9,
        "expected_count": 0.1,
        "p_value": 1e-9,
        "burst_usd": usd,
        "delayed_request_count": requests,
        "added_seconds": 0.0,
        "cause": "deploy",
        "evidence": "reason deploy",
        "history_days": 30.0,
        "is_history_short": False,
    }


def add(con, *arguments, **more):
    rows = table("mart.cold_start_bursts").frame([burst(*arguments, **more)])
    con.register("rows", rows.to_arrow())
    con.execute("INSERT INTO mart.cold_start_bursts FROM rows")


def test_range_without_bursts_passes(con):
    add(con, "llama", "100", on=NEXT)
    assert judge(con, ON, NEXT).is_passed


def test_burst_warns_and_dear_ones_fail(con):
    add(con, "llama", "30", requests=5)
    found = judge(con, ON, NEXT)
    assert (found.is_passed, found.severity, found.failed_count) == (False, "warn", 1)
    assert found.summary == "1 bursts of cold starts cost $30.00 and held up 5 requests: llama."
    assert found.failed_ids == ["llama 2026-11-20 12:00: 9 starts (deploy)"]
    add(con, "llama", "20.01")
    assert judge(con, ON, NEXT).severity == "error"


def test_dollars_count_by_deployment(con):
    for name in ("llama", "qwen", "mistral"):
        add(con, name, "40")
    assert judge(con, ON, NEXT).severity == "warn"


def test_deployment_has_limits_of_its_own(con):
    add(con, "batch", "40")
    add(con, "chat", "2")
    limits = ColdStartSettings(
        fail_above_usd=Decimal(1), deployments={"batch": BurstLimits(warn_above_usd=100, fail_above_usd=1000)}
    )
    found = judge(con, ON, NEXT, limits)
    assert (found.severity, found.failed_count) == ("error", 1)
    assert "chat" in found.summary
    assert "batch" not in found.summary


def test_burst_without_a_price_warns(con):
    add(con, "llama", None)
    assert judge(con, ON, NEXT).severity == "warn"
    assert not judge(con, ON, NEXT).is_passed
