"""Logs of coding agents: transcripts, rollouts and OpenTelemetry events. Each call counts once, and nothing is kept of
what was said.

Sources: ccusage issues 888, 901, 938 (several lines of one answer), 876, 884, 1288 (repeated counts); Claude Code's
monitoring page; openai/codex otel events; google-gemini/gemini-cli docs/cli/telemetry.md.
"""

import json
from typing import Any

import polars as pl

from models.importers import fitting
from models.logs.dedupe import dedupe
from models.schemas import table
from tests.models.logs.reading import read_records, tokens_of
from tests.models.logs.test_dedupe import NOON, WINDOW
from tests.models.logs.test_otel_genai import attribute


def landed(kind: str, records: list[dict[str, Any]]) -> pl.LazyFrame:
    """Return a file's records as they land."""
    rows = read_records(kind, records).filter(~pl.col("is_ignored"))
    assert rows["quarantine_reason"].null_count() == rows.height, rows["quarantine_detail"].to_list()
    stamped = rows.lazy().with_columns(
        source=pl.lit("dev"), source_kind=pl.lit(kind), ingested_at=pl.lit(NOON), file_hash=pl.lit("f")
    )
    if "content_hash" in rows.columns:
        stamped = stamped.with_columns(
            pl.coalesce(name, pl.concat_str(pl.lit("content:"), "content_hash")).alias(name)
            for name in ("request_id", "dedupe_key")
        )
    return table("raw.requests").conform(stamped, fill=True)


def attempts(
    kind: str, records: list[dict[str, Any]], *, beside: pl.LazyFrame | None = None
) -> list[dict[str, Any]]:
    """Return the attempts of a file's records, and of those `beside` it, by time."""
    every = pl.concat([landed(kind, records), *([] if beside is None else [beside])])
    hours = {"from_hour": NOON.replace(year=2000), "to_hour": NOON.replace(year=2099)}
    winners, _ = dedupe(every, window=WINDOW, **hours)
    return winners.collect().sort("started_at").to_dicts()


def answer(message: str, second: int, output: int, **usage: Any) -> dict[str, Any]:
    counts = {"input_tokens": 4, "cache_read_input_tokens": 20_000, "output_tokens": output} | usage
    return {
        "type": "assistant", "uuid": f"u{second}", "timestamp": f"2026-03-01T10:00:{second:02}Z", "sessionId": "s1",
        "requestId": "req_1", "cwd": "/home/me/shop",
        "message": {"id": message, "model": "claude-opus-4-6", "content": [{"text": "secret words"}], "usage": counts},
    }  # fmt: skip


def test_an_answer_on_several_lines_is_one_call_with_its_last_counts() -> None:
    asked = {"type": "user", "uuid": "u0", "sessionId": "s1", "message": {"content": "secret words"}}
    written = {
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "standard",
    }
    lines = [
        asked, answer("msg_a", 1, 2, **written), answer("msg_a", 2, 90, **written), answer("msg_b", 5, 40),
        answer("msg_c", 9, 7) | {"isApiErrorMessage": True}, answer("msg_bdrk_d", 9, 7, speed="fast"),
        {"type": "summary", "summary": "secret words", "leafUuid": "u2"},
    ]  # fmt: skip

    assert [fit.kind for fit in fitting(lines[0])] == ["claude_code_transcript"]
    assert [fit.kind for fit in fitting(lines[1])] == ["claude_code_transcript"]
    first, second, third = attempts("claude_code_transcript", lines)

    assert tokens_of(first) == {
        "input_uncached": 4, "cache_read": 20_000, "cache_write_5m": 100, "cache_write_1h": 200, "output_text": 90,
    }  # fmt: skip
    assert (first["request_id"], first["provider"], first["session_id"]) == ("msg_a", "anthropic", "s1")
    assert dict(first["other_meters"]) == {"web_search": 2}
    assert dict(first["tags"])["project"] == "shop"
    assert tokens_of(second) == {"input_uncached": 4, "cache_read": 20_000, "output_text": 40}
    assert (third["provider"], third["service_tier"]) == ("aws.bedrock", "fast")
    assert "secret" not in json.dumps([first, second, third], default=str)


def test_an_advisor_is_a_call_of_its_own_and_an_event_of_an_answer_is_none() -> None:
    # platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool; code.claude.com/docs/en/monitoring-usage
    advised = {
        "type": "advisor_message",
        "model": "claude-opus-4-8",
        "input_tokens": 823,
        "output_tokens": 1612,
    }
    own = {"type": "message", "input_tokens": 4, "cache_read_input_tokens": 20_000, "output_tokens": 90}
    counts = {"model": "claude-opus-4-6", "input_tokens": 4, "cache_read_tokens": 20_000, "output_tokens": 90}
    events = [
        event("api_request", counts | {"duration_ms": 900, "request_id": request})
        for request in ("req_1", "req_2")
    ]

    rows = attempts(
        "claude_code_transcript",
        [answer("msg_a", 1, 90, iterations=[own, advised])],
        beside=landed("otel_genai", events),
    )

    assert {row["request_id"]: (row["served_model"], tokens_of(row)) for row in rows} == {
        "msg_a": ("claude-opus-4-6", {"input_uncached": 4, "cache_read": 20_000, "output_text": 90}),
        "msg_a#2": ("claude-opus-4-8", {"input_uncached": 823, "output_text": 1612}),
        "req_2": ("claude-opus-4-6", {"input_uncached": 4, "cache_read": 20_000, "output_text": 90}),
    }


def count(
    second: int, total: tuple[int, int, int, int], last: tuple[int, int, int, int] | None
) -> dict[str, Any]:
    names = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")

    def usage(counts: tuple[int, int, int, int]) -> dict[str, int]:
        return dict(zip(names, counts, strict=True)) | {"total_tokens": counts[0] + counts[2]}

    info = {"total_token_usage": usage(total), "last_token_usage": usage(last) if last else None}
    at = f"2026-03-01T{10 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
    return {"timestamp": at, "type": "event_msg", "payload": {"type": "token_count", "info": info}}


def test_a_rollout_counts_each_call_once_whether_told_again_or_only_as_a_sum() -> None:
    def meta(session: str, **more: Any) -> dict[str, Any]:
        payload = {"id": session, "cwd": "/home/me/shop"} | more
        return {"timestamp": "2026-03-01T10:00:00Z", "type": "session_meta", "payload": payload}

    def turn(model: str) -> dict[str, Any]:
        payload = {"model": model, "user_instructions": "secret words"}
        return {"timestamp": "2026-03-01T10:00:00Z", "type": "turn_context", "payload": payload}

    lines = [
        meta("one"), turn("gpt-5.2"), count(1, (100, 20, 30, 5), (100, 20, 30, 5)),
        count(2, (100, 20, 30, 5), (100, 20, 30, 5)), turn("gpt-5.2-codex"), count(9, (300, 120, 60, 15), None),
        # Told again when the session goes on, hours later.
        count(4 * 3600, (300, 120, 60, 15), (200, 100, 30, 10)),
        {"timestamp": "2026-03-01T10:00:03Z", "type": "event_msg", "payload": {"type": "token_count", "info": None}},
        {"timestamp": "2026-03-01T10:00:03Z", "type": "response_item", "payload": {"type": "message", "content": "x"}},
        meta("two", model_provider="azure"), turn("gpt-5.2"), count(2, (100, 20, 30, 5), (100, 20, 30, 5)),
    ]  # fmt: skip

    assert {fit.kind for line in lines for fit in fitting(line)} == {"codex_rollout"}
    first, other, second = attempts("codex_rollout", lines)

    assert tokens_of(first) == {"input_uncached": 80, "cache_read": 20, "output_text": 25, "reasoning": 5}
    assert tokens_of(second) == {"input_uncached": 100, "cache_read": 100, "output_text": 20, "reasoning": 10}
    assert [row["served_model"] for row in (first, second, other)] == ["gpt-5.2", "gpt-5.2-codex", "gpt-5.2"]
    assert [row["session_id"] for row in (first, second, other)] == ["one", "one", "two"]
    assert (first["provider"], other["provider"]) == ("openai", "azure")


def event(name: str, attributes: dict[str, Any], *, in_attributes: bool = True) -> dict[str, Any]:
    held = attributes | ({"event.name": name} if in_attributes else {})
    record = {
        "timeUnixNano": "1772359204000000000",
        "body": {"stringValue": name},
        "attributes": [attribute(*item) for item in held.items()],
    }
    service = {"attributes": [attribute("service.name", "agent")]}
    return {"resourceLogs": [{"resource": service, "scopeLogs": [{"logRecords": [record]}]}]}


def test_events_of_agents_are_calls_and_other_logs_and_metrics_are_passed_over() -> None:
    claude = event(
        "api_request",
        {
            "model": "claude-opus-4-6", "input_tokens": "3", "output_tokens": 256, "cache_read_tokens": 22_137,
            "cache_creation_tokens": 2_285, "cost_usd": "0.019", "duration_ms": 4_000, "session.id": "s1",
            "user.email": "me@example.com", "organization.id": "org-1", "request_id": "req_1",
        },
    )  # fmt: skip
    codex = event(
        "codex.sse_event",
        {
            "event.kind": "response.completed", "model": "gpt-5.2-codex", "input_token_count": 300,
            "cached_token_count": 120, "output_token_count": 60, "reasoning_token_count": 15, "tool_token_count": 360,
            "conversation.id": "c1",
        },
    )  # fmt: skip
    gemini = event(
        "gemini_cli.api_response",
        {
            "model": "gemini-2.5-pro", "input_token_count": 1000, "output_token_count": 200, "duration_ms": 900,
            "cached_content_token_count": 400, "thoughts_token_count": 90, "tool_token_count": 10,
        },
        in_attributes=False,
    )  # fmt: skip
    others = [
        event("user_prompt", {"prompt": "secret words", "prompt_length": 12}),
        event("codex.sse_event", {"event.kind": "response.created", "model": "gpt-5.2-codex"}),
        {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "claude_code.token.usage"}]}]}]},
    ]

    rows = attempts("otel_genai", [claude, codex, gemini, *others])

    tokens = {row["served_model"]: tokens_of(row) for row in rows}
    assert tokens == {
        "claude-opus-4-6": {
            "input_uncached": 3,
            "cache_read": 22_137,
            "cache_write_5m": 2_285,
            "output_text": 256,
        },
        "gpt-5.2-codex": {"input_uncached": 180, "cache_read": 120, "output_text": 45, "reasoning": 15},
        "gemini-2.5-pro": {"input_uncached": 610, "cache_read": 400, "output_text": 200, "reasoning": 90},
    }
    first = rows[0]
    assert (first["provider"], first["tenant"], first["user_id"]) == ("anthropic", "org-1", "me@example.com")
    assert (first["started_at"].second, first["finished_at"].second) == (0, 4)
    assert float(first["provider_reported_cost_usd"]) == 0.019
    assert "secret" not in json.dumps(rows, default=str)
