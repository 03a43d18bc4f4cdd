"""The check of completeness on a real DuckDB."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
import pytest

from models.schemas import table
from pipelines.checks.logs_are_complete import judge
from pipelines.limits import CompletenessSettings, GapLimits

START = datetime(2026, 11, 2, tzinfo=UTC)
END = START + timedelta(days=1)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'; CREATE SCHEMA ops")
        for dotted in ("ops.completeness", "ops.completeness_daily"):
            for statement in table(dotted).ddl():
                con.execute(statement)
        yield con


def count(con: duckdb.DuckDBPyConnection, provider: str, counted: int, logged: int) -> None:
    """Add an hour of calls of a hundred tokens each."""
    counts = table("ops.completeness").columns
    row: dict[str, Any] = {
        column.name: 0 for column in counts if column.required and column.dtype == pl.Int64
    }
    row |= {
        "bucket_hour": START + timedelta(hours=9), "bucket_seconds": 3600, "source": "usage", "source_kind": "u",
        "provider": provider,
        "counted_count": counted, "logged_count": logged, "gap_count": counted - logged,
        "counted_tokens": 100 * counted, "gap_tokens": 100 * (counted - logged),
    }  # fmt: skip
    con.register("rows", table("ops.completeness").frame([row]).to_arrow())
    con.execute("INSERT INTO ops.completeness FROM rows")


@pytest.mark.parametrize(
    ("logged", "is_passed", "severity"),
    [(10_000, True, "warn"), (9_990, True, "warn"), (9_989, False, "warn"), (9_899, False, "error")],
)
def test_it_warns_above_a_thousandth_and_fails_above_a_hundredth(
    con: duckdb.DuckDBPyConnection, logged: int, is_passed: bool, severity: str
) -> None:
    count(con, "openai", 10_000, logged)

    found = judge(con, START, END)

    assert (found.is_passed, found.severity) == (is_passed, severity)


def test_a_provider_has_limits_of_its_own_and_only_what_breaks_them_is_told(
    con: duckdb.DuckDBPyConnection,
) -> None:
    count(con, "openai", 1_000, 1_000)
    count(con, "self_hosted", 1_000, 960)
    limits = CompletenessSettings(
        providers={"self_hosted": GapLimits(warn_above_ratio=0.03, fail_above_ratio=0.05)}
    )

    by_default, by_own = judge(con, START, END), judge(con, START, END, limits)
    strict = judge(con, START, END, CompletenessSettings(warn_above_ratio=0, fail_above_ratio=0))

    assert (by_default.severity, by_own.severity, strict.severity) == ("error", "warn", "error")
    assert by_own.summary.startswith("40 of 1,000 counted calls and 4,000 of 100,000 counted tokens")
    assert by_own.failed_ids == [
        "2026-11-02T09:00Z self_hosted all models by usage: 40 calls and 4,000 tokens"
    ]
    assert judge(con, START, END, limits.model_copy(update={"warn_above_ratio": 1.0})).failed_count == 1


def test_days_that_nobody_counted_pass_and_say_so(con: duckdb.DuckDBPyConnection) -> None:
    found = judge(con, START, END)

    assert found.is_passed
    assert "is not known" in found.summary
