"""Helicone's requests from its API and from its ClickHouse table."""

from typing import Any

import pytest

from tests.models.logs.reading import read_one, read_records

KIND = "helicone_export"
ROW: dict[str, Any] = {
    "request_id": "h-1", "request_created_at": "2026-11-02T09:00:00.000Z",
    "response_created_at": "2026-11-02T09:00:04.200Z",
    "response_status": 200, "provider": "OPENAI", "request_model": "gpt-5-mini", "model_override": None,
    "response_model": "gpt-5-mini-2025-08-07", "delay_ms": 4200, "time_to_first_token": 600, "prompt_tokens": 1000,
    "prompt_cache_read_tokens": 0, "completion_tokens": 300, "total_tokens": 1300, "costUSD": 0.00071,
    "request_user_id": "u1", "request_properties": {"team": "search", "Helicone-Session-Id": "s1"},
}  # fmt: skip
TABLE: dict[str, Any] = {
    "request_id": "h-1", "request_created_at": "2026-11-02 09:00:00.000",
    "response_created_at": "2026-11-02 09:00:04.200",
    "status": 200, "provider": "OPENAI", "model": "gpt-5-mini-2025-08-07", "latency": 4200, "time_to_first_token": 600,
    "prompt_tokens": 1000, "prompt_cache_read_tokens": 0, "completion_tokens": 300, "cost": 710000, "user_id": "u1",
    "properties": {"team": "search", "Helicone-Session-Id": "s1"}, "organization_id": "acme", "proxy_key_id": "k",
    "cache_reference_id": "00000000-0000-0000-0000-000000000000",
}  # fmt: skip


@pytest.mark.parametrize("record", [ROW, TABLE], ids=["api", "clickhouse"])
def test_a_request_has_its_times_cost_and_who_asked(record: dict[str, Any]) -> None:
    row = read_one(KIND, record)

    assert (row["started_at"].isoformat(), row["finished_at"].isoformat()) == (
        "2026-11-02T09:00:00+00:00", "2026-11-02T09:00:04.200000+00:00")  # fmt: skip
    assert (row["first_token_at"] - row["started_at"]).total_seconds() == 0.6
    assert str(row["provider_reported_cost_usd"]) == "0.000710000000"
    assert (row["team"], row["user_id"], row["session_id"]) == ("search", "u1", "s1")
    assert (row["served_model"], row["provider"]) == ("gpt-5-mini-2025-08-07", "openai")
    assert (row["status"], row["usage_source"], row["is_gateway_cache_hit"]) == ("ok", "provider", False)


def test_searches_are_counted_by_the_answer_or_the_name_of_a_model_that_always_searches() -> None:
    told = {"response_body": {"usage": {"server_tool_use": {"web_search_requests": 2}}}}
    rows = read_records(
        KIND, [ROW | told, ROW | {"request_model": "gpt-4o-search-preview", "response_model": None}, ROW]
    )

    assert [dict(meters or {}) for meters in rows["other_meters"]] == [
        {"web_search": 2},
        {"web_search": 1},
        {},
    ]


def test_a_cached_prompt_that_may_be_counted_either_way_is_estimated_and_bedrock_is_named() -> None:
    row = read_one(KIND, ROW | {"prompt_cache_read_tokens": 640, "provider": "AWS"})

    assert (row["input_uncached_tokens"], row["usage_source"]) == (360, "estimated")
    assert row["provider"] == "aws.bedrock"


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [(429, "error", "http_429"), (-1, "error", "http_-1"), (-3, "cancelled", None), (200, "ok", None)],
)
def test_special_codes_are_errors_and_a_cancelled_call_is_none(
    code: int, status: str, error: str | None
) -> None:
    row = read_one(KIND, ROW | {"response_status": code})

    assert (row["status"], row["error_class"]) == (status, error)


def test_an_answer_from_helicones_own_cache_is_a_gateway_hit() -> None:
    assert read_one(KIND, TABLE | {"cache_reference_id": "11111111-2222-4333-8444-555555555555"})[
        "is_gateway_cache_hit"
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"request_id": None}, "missing_request_id"),
        ({"request_created_at": None}, "missing_started_at"),
        ({"request_created_at": "soon"}, "bad_value"),
        ({"prompt_tokens": "many"}, "bad_value"),
        ({"delay_ms": -4}, "bad_value"),
        ({"completion_tokens": -4}, "negative_tokens"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(change: dict[str, Any], reason: str) -> None:
    assert read_records(KIND, [ROW | change])["quarantine_reason"].to_list() == [reason]
