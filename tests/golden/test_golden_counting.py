"""Rows that other tools count wrong, from the log file to the dollar: each answer is worked by hand."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.project import Project
from tests.pipelines.small import gateway_row, make_project, nanodollar, query, write_lines

SETTINGS = """\
[warehouse]
start_on = 2026-11-01
[[sources]]
name = "gateway"
kind = "litellm_spend_logs"
path = "landing/gateway/*.jsonl"
[[sources]]
name = "sdk"
kind = "otel_genai"
path = "landing/sdk/*.jsonl"
"""
AT = "2026-11-02 09:00:00"
SONNET = {"model": "claude-sonnet-4-5", "custom_llm_provider": "anthropic"}


def span(response_id: str) -> dict[str, Any]:
    """Return the export of one span that an SDK wrote of a call to gpt-4o-mini."""
    values: dict[str, Any] = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini", "gen_ai.response.id": response_id,
        "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.cache_read.input_tokens": 400,
        "gen_ai.usage.output_tokens": 200,
    }  # fmt: skip
    attributes = [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]
    nanoseconds = 1_793_610_000_000_000_000  # 2026-11-02 09:00:00 UTC
    sole = {
        "traceId": "a" * 32, "spanId": "b" * 16, "name": "chat gpt-4o-mini", "kind": 3, "status": {"code": 1},
        "startTimeUnixNano": str(nanoseconds), "endTimeUnixNano": str(nanoseconds + 10**9), "attributes": attributes,
    }  # fmt: skip
    return {
        "resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": [sole]}]}]
    }


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder: Path = tmp_path_factory.mktemp("counting")
    write_lines(
        folder / "landing/gateway/a.jsonl",
        [
            gateway_row(
                "cached", AT, prompt_tokens=50_000, cached_tokens=48_000, completion_tokens=100, **SONNET
            ),
            # Fewer prompt tokens than were read from the cache: the exclusive variant of the log.
            gateway_row(
                "exclusive", AT, prompt_tokens=2_000, cached_tokens=48_000, completion_tokens=100, **SONNET
            ),
            gateway_row("negative", AT, prompt_tokens=-5, cached_tokens=0),
            gateway_row("seen-twice", AT),
            gateway_row("tried-attempt-0", AT, litellm_call_id="call-1", status="failure"),
            gateway_row("tried-attempt-1", AT, litellm_call_id="call-1", status="failure"),
            gateway_row("tried", AT, litellm_call_id="call-1", metadata={"attempted_retries": 2}),
        ],
    )
    write_lines(folder / "landing/sdk/a.jsonl", [span("seen-twice")])
    project = make_project(folder, SETTINGS)
    assert "Error" not in nanodollar(project, "run").err
    return project


def test_1_cached_tokens_that_the_prompt_includes_are_charged_once(counted: Project) -> None:
    # 2,000 x $3 + 48,000 cached x $0.30 + 100 x $15 per million = 0.006 + 0.0144 + 0.0015; twice-charged: $0.1659.
    rows = query(
        counted,
        "SELECT input_uncached_tokens, cache_read_tokens, effective_usd FROM core.request_costs "
        "WHERE request_id = 'cached'",
    )

    assert rows == [(2_000, 48_000, Decimal("0.0219"))]


def test_2_an_exclusive_count_is_read_as_such_and_a_negative_one_is_quarantined(counted: Project) -> None:
    exclusive = query(
        counted,
        "SELECT input_uncached_tokens, cache_read_tokens, effective_usd, usage_source FROM core.request_costs "
        "WHERE request_id = 'exclusive'",
    )
    refused = query(counted, "SELECT line_number, reason FROM ops.quarantine")

    assert exclusive == [(2_000, 48_000, Decimal("0.0219"), "estimated")]
    assert refused == [(3, "negative_tokens")]


def test_15_a_call_that_gateway_and_sdk_saw_is_one_attempt(counted: Project) -> None:
    rows = query(
        counted, "SELECT source, effective_usd FROM core.request_costs WHERE request_id LIKE '%seen-twice%'"
    )
    removed = query(counted, "SELECT source, reason FROM ops.duplicates")

    # 600 x $0.15 + 400 cached x $0.075 + 200 x $0.60 per million.
    assert rows == [("gateway", Decimal("0.00024"))]
    assert removed == [("sdk", "seen_by_another_source")]


def test_16_retries_are_attempts_of_one_request_and_each_costs(counted: Project) -> None:
    attempts = query(
        counted,
        "SELECT attempt_no, logical_request_id, effective_usd FROM core.request_costs "
        "WHERE logical_request_id = 'call-1' ORDER BY 1",
    )
    (row,) = query(
        counted,
        "SELECT sum(attempt_count), sum(request_count), sum(usage_usd) FROM mart.cost_per_token_daily "
        "WHERE model LIKE 'gpt-4o-mini%'",
    )

    assert attempts == [(number, "call-1", Decimal("0.00024")) for number in (1, 2, 3)]
    # With the call that was seen twice: four attempts, two requests.
    assert row == (4, 2, Decimal("0.00096"))
