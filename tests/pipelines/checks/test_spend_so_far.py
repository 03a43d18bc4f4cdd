"""An open day that has cost more than a whole day of its kind is told before it ends."""

from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest

from pipelines.checks.spend_so_far_is_usual import CHECK

DAY = date(2026, 11, 18)


@pytest.mark.parametrize(
    ("tokens", "pool", "on", "told"),
    [
        # Ten weeks of $100 a day, $80 of them for tokens: a fifth more is the range.
        ("90", "31", DAY, ["provider b: $31.00", "total total: $121.00"]),
        ("99", "20", DAY, ["provider a: $99.00"]),
        ("121", "5", DAY, ["provider a: $121.00", "total total: $126.00"]),
        ("20", "3", DAY, []),
        # A day that is built is told by its mart.
        ("500", "5", DAY - timedelta(days=1), []),
    ],
)
def test_an_open_day_is_told_once_it_has_cost_too_much(tokens, pool, on, told) -> None:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'; CREATE SCHEMA core; CREATE SCHEMA mart")
    con.execute(
        "CREATE TABLE mart.spend_daily AS SELECT day::DATE AS accrued_on, provider, usd::DECIMAL(38,12) AS usd "
        "FROM generate_series(DATE '2026-11-18' - 70, DATE '2026-11-17', INTERVAL 1 DAY) t(day), "
        "(VALUES ('a', 80), ('b', 20)) p(provider, usd)"
    )
    hour = datetime(on.year, on.month, on.day, 10, tzinfo=UTC)
    con.execute(
        "CREATE TABLE core.request_costs AS SELECT $1::DATE AS accrued_on, $2::TIMESTAMPTZ AS accrued_hour, "
        "'a' AS provider, basis AS cost_basis, usd::DECIMAL(38,12) AS effective_usd "
        "FROM (VALUES ('token', $3), ('gpu', '7')) c(basis, usd)",
        [on, hour, tokens],
    )
    con.execute(
        "CREATE TABLE core.pool_hours AS SELECT $1::DATE AS accrued_on, $2::TIMESTAMPTZ AS pool_hour, 'b' AS provider, "
        "$3::DECIMAL(38,12) AS billed_usd",
        [on, hour, pool],
    )
    outcome = CHECK.judge(con, hour, hour + timedelta(hours=1))
    found = [words.removeprefix(f"{DAY} ").split(" so far")[0] for words in outcome.failed_ids]
    assert found == told
    assert outcome.is_passed is not bool(told)
    assert outcome.severity == "warn" or not told
