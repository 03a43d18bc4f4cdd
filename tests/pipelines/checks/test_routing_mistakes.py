from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from models.routing.policy import load_policy
from pipelines.checks.routing_mistakes import CHECK
from tests.models.marts.warehouse import attempt, insert, open_warehouse

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def regret(kind, usd, *, route="chat", on=DAY, count=1):
    return {
        "accrued_on": on, "route": route, "kind": kind, "attempt_count": count,
        "regret_usd": None if usd is None else Decimal(usd), "cost_usd": Decimal(1),
    }  # fmt: skip


def mistake(name, usd):
    return {
        "accrued_on": DAY, "source": "s", "request_id": name, "started_at": NOON, "route": "chat", "also_kinds": [],
        "kind": "dearer_provider", "clause": "default", "regret_usd": Decimal(usd), "confidence_ratio": 1.0,
        "evidence": "a fact",
    }  # fmt: skip


def checked(days, *, spend="100", mistakes=(), policy="", evaluated=()):
    con = open_warehouse()
    insert(con, "mart.routing_regret_daily", days)
    insert(con, "mart.routing_mistakes", mistakes)
    insert(con, "core.request_costs", [attempt("r", NOON, DAY, route="chat", effective_usd=Decimal(spend))])
    insert(con, "ref.routing_policy", load_policy(policy, path="routing.yml"))
    insert(
        con,
        "mart.routing_coverage_daily",
        [
            {
                "accrued_on": on,
                "route": "chat",
                "kind": "dearer_provider",
                "attempt_count": 1,
                "evaluated_count": 1,
            }
            for on in evaluated
        ],
    )
    return CHECK.judge(con, DAY, DAY + timedelta(days=1))


def test_no_mistake_passes():
    assert checked([regret("not_evaluated", None)]).is_passed


@pytest.mark.parametrize(
    ("usd", "policy", "is_passed", "severity"),
    [
        ("0.01", "", True, "warn"),
        ("0.02", "", False, "warn"),
        ("2.00", "", False, "warn"),
        ("2.01", "", False, "error"),
        ("2.01", "version: 1\ncheck: {fail_above_ratio: 0.05}\n", False, "warn"),
        ("0.02", "version: 1\ncheck: {warn_above_usd: 1}\n", True, "warn"),
        ("0.02", "version: 1\nroutes: {chat: {check: {fail_above_usd: 0.01}}}\n", False, "error"),
        ("0.02", "version: 1\nroutes: {other: {check: {fail_above_usd: 0.01}}}\n", False, "warn"),
        (
            "0.02",
            "version: 1\ncheck: {fail_above_usd: 0.01}\nroutes: {chat: {check: {fail_above_usd: 9}}}\n",
            False,
            "warn",
        ),
    ],
)  # fmt: skip
def test_it_warns_before_it_fails_by_the_limits_of_the_route(usd, policy, is_passed, severity):
    found = checked([regret("dearer_provider", usd)], policy=policy)
    assert (found.is_passed, found.severity) == (is_passed, severity)


def test_a_large_share_of_a_few_cents_only_warns():
    assert checked([regret("dearer_provider", "0.50")], spend="1").severity == "warn"


def test_a_broken_rule_warns_though_it_cost_nothing():
    assert not checked([regret("policy_violation", None)]).is_passed


def test_a_kind_that_is_new_to_its_route_warns():
    before = DAY - timedelta(days=1)
    days = [regret("dearer_provider", "0.001"), regret("dearer_provider", "0.001", on=before)]
    assert checked(days, evaluated=[before]).is_passed
    found = checked([*days, regret("overpowered", "0.001")], evaluated=[before])
    assert not found.is_passed
    assert "new overpowered on chat" in found.summary
    # A route without an earlier day has nothing to compare with.
    assert checked([regret("overpowered", "0.001")]).is_passed


def test_the_ten_worst_are_named_and_the_report_is():
    found = checked(
        [regret("dearer_provider", "7", count=12)], mistakes=[mistake(f"r{n}", n) for n in range(1, 13)]
    )
    assert [name.split()[0] for name in found.failed_ids] == [f"r{n}" for n in range(12, 2, -1)]
    assert found.failed_count == 12
    assert found.summary == (
        "Routing mistakes cost $7.00 (7.00% of spend): dearer_provider 12; failing chat on 2026-11-20 ($7.00 of "
        "$100.00); the fixes are in reports/daily/2026-11-20.html."
    )
