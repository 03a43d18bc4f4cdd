"""A changed sheet prices again the hours of its models or chips, and no other; the same sheets change nothing."""

from decimal import Decimal

import pytest

from pipelines.project import Project
from tests.pipelines.small import HOUSE_SHEET, nanodollar, query

LAMBDA = """\
vendor: lambda
currency: USD
source_url: https://example.com/prices
checked_on: 2026-11-01
billing: {granularity_seconds: 60, minimum_seconds: 60, billed_phases: [pulling, loading, serving, idle, draining]}
rates:
  - {chip: H100, region: us-east-1, commitment: on_demand, usd_per_gpu_hour: 6.00, valid_from: 2026-01-01}
"""
HOURS = """
SELECT hour(accrued_hour), count(*) FILTER (price_state = 'unpriced') FROM core.request_costs GROUP BY 1 ORDER BY 1
"""


@pytest.fixture
def company(company_copy: Project) -> Project:
    """A copy of its own for each test."""
    return company_copy


def test_a_price_that_is_added_prices_the_hours_of_its_model_and_mends_the_check_of_all(
    company: Project,
) -> None:
    assert query(company, HOURS) == [(9, 1), (10, 0)]
    # A day's counts are compared as a whole: ops.completeness is computed with every hour of its day.
    loads = (
        "SELECT table_name, loaded_at FROM ops.partitions WHERE partition_key = '2026-11-02T10:00Z' "
        "AND table_name NOT IN ('ops.completeness', 'ops.counter_duplicates') ORDER BY ALL"
    )
    before = query(company, loads)
    sheet = company.folder / "prices/tokens/house.yml"
    sheet.parent.mkdir(parents=True)
    sheet.write_text(HOUSE_SHEET.format(rate=10), encoding="utf-8")

    outcome = nanodollar(company, "run")

    # One hour was priced anew; the check failed over ten.
    assert "Computed 1 hours and 1 days" in outcome.out
    assert "prices_cover_usage" not in outcome.out
    assert outcome.code == 0
    # 90 x $10 + 200 x $20 per million.
    assert query(company, "SELECT effective_usd FROM core.request_costs WHERE request_id = 'r2'") == [
        (Decimal("0.0049"),)
    ]
    assert query(company, "SELECT sum(usage_usd) FROM mart.cost_per_token_daily") == [(Decimal("3.33038"),)]
    assert query(company, loads) == before
    again = nanodollar(company, "run")
    assert "Computed 0 hours and 0 days" in again.out
    assert again.code == 0


def test_a_gpu_rate_that_is_added_prices_the_hours_of_its_pool(company: Project) -> None:
    sheet = company.folder / "prices/gpu/lambda_contract.yml"
    sheet.parent.mkdir(parents=True)
    sheet.write_text(LAMBDA, encoding="utf-8")

    outcome = nanodollar(company, "run")

    # 58 and 51 billed minutes at $6.00.
    assert "Computed 2 hours and 1 days" in outcome.out
    assert query(company, "SELECT sum(billed_usd) FROM core.pool_hours") == [(Decimal("10.9"),)]
