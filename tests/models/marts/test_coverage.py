from datetime import date
from decimal import Decimal

import polars as pl

from models.schemas import table
from tests.models.marts.warehouse import attempt, fill, insert, open_warehouse, utc

DAY = date(2026, 5, 4)
NOON = utc("2026-05-04T12:00")
DAYS = {"from_on": DAY, "to_on": date(2026, 5, 5)}


def _record(request_id: str, line_number: int, **changes: object) -> dict[str, object]:
    return {
        "source": "gateway", "source_kind": "requests", "request_id": request_id, "started_at": NOON,
        "started_hour": NOON, "status": "ok", "usage_source": "provider", "is_gateway_cache_hit": False,
        "ingested_at": NOON, "file_hash": "f1", "line_number": line_number, "record_number": 1,
    } | changes  # fmt: skip


def test_coverage_counts_what_is_priced_measured_removed_refused_and_late():
    con = open_warehouse()
    insert(
        con,
        "core.request_costs",
        [
            attempt("a", NOON, DAY, effective_usd=Decimal(1), output_text_tokens=10),
            attempt("b", NOON, DAY, price_state="free", effective_usd=Decimal(0), usage_source="estimated"),
            attempt(
                "c", NOON, DAY, price_state="unpriced", usage_source="missing", input_uncached_tokens=7,
                estimated_usd=Decimal("0.25"),
            ),
            attempt("d", NOON, DAY, attempt_no=0, price_state="free", effective_usd=Decimal(0)),
        ],
    )  # fmt: skip
    records = [_record(name, line) for line, name in enumerate("abcd", start=1)]
    records[1]["ingested_at"] = utc("2026-05-06T00:00")
    records[0]["unread_usage"] = "usage.citation_tokens"
    insert(con, "core.requests", records)
    insert(
        con,
        "ops.duplicates",
        [
            {
                "started_hour": NOON, "dedupe_key": "k", "file_hash": "f2", "line_number": 9, "record_number": 1,
                "source": "gateway", "request_id": "a", "winner_source": "gateway", "winner_file_hash": "f1",
                "winner_line_number": 1, "reason": "redelivered",
            }
        ],
    )  # fmt: skip
    insert(
        con,
        "ops.landed_files",
        [
            {
                "file_hash": "f1", "source": "gateway", "source_kind": "requests", "path": "a.jsonl", "size_bytes": 9,
                "read_count": 7, "landed_count": 4, "quarantined_count": 3, "ignored_count": 0, "landed_at": NOON,
            }
        ],
    )  # fmt: skip
    (row,) = fill(con, "ops.coverage", "coverage", **DAYS).to_dicts()
    assert row == {
        "accrued_on": DAY, "source": "gateway", "attempt_count": 3, "priced_count": 1, "free_count": 1,
        "unpriced_count": 1, "unpriced_tokens": 7, "unpriced_estimated_usd": Decimal("0.25"),
        "provider_usage_count": 1, "estimated_usage_count": 1, "missing_usage_count": 1, "duplicate_count": 1,
        "quarantined_count": 3, "late_count": 1, "priced_ratio": 2 / 3, "measured_ratio": 1 / 3,
        "assumed_rate_count": 0, "old_price_count": 0, "oldest_price_on": None,
        "unread_usage_count": 1, "unread_usage_example": "requests: usage.citation_tokens",
    }  # fmt: skip


def test_a_day_without_attempts_has_no_row():
    con = open_warehouse()
    assert fill(con, "ops.coverage", "coverage", **DAYS).is_empty()


def test_every_mart_gives_the_columns_of_its_table():
    con = open_warehouse()
    for dotted, name, span in (
        ("mart.cost_per_token_hourly", "cost_per_token_hourly", {"from_hour": NOON, "to_hour": NOON}),
        ("mart.cost_per_token_daily", "cost_per_token_daily", DAYS),
        ("ops.coverage", "coverage", DAYS),
    ):
        assert isinstance(fill(con, dotted, name, **span), pl.DataFrame)
        assert con.execute(f"FROM {dotted}").pl().columns == table(dotted).column_names
