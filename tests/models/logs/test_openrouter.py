"""OpenRouter's generations and completions: who answered, at which price, through which router."""

import json
from typing import Any

import pytest

from tests.models.logs.reading import read_one, read_records, shared, tokens_of

KIND = "openrouter_generation"
CALL: dict[str, Any] = {
    "id": "gen-1", "created_at": "2026-11-02T09:00:00.000000+00:00", "model": "openai/gpt-5-mini:nitro", "router": None,
    "provider_name": "OpenAI", "generation_time": 3100.0, "native_tokens_prompt": 1010, "native_tokens_cached": 640,
    "native_tokens_completion": 300, "native_tokens_reasoning": 120, "total_cost": 0.00071, "is_byok": False,
    "provider_responses": [{"status": 503, "provider_name": "Azure"}, {"status": 200, "provider_name": "OpenAI"}],
}  # fmt: skip


def test_the_recorded_generation_has_its_tokens_and_who_it_was() -> None:
    row = read_one(KIND, json.loads(shared("log-openrouter/generation.json").read_text()))

    # native: 10 in of which 3 cached, 25 out of which 5 reasoning
    assert tokens_of(row) == {"input_uncached": 7, "cache_read": 3, "output_text": 20, "reasoning": 5}
    assert (row["provider"], row["route"], row["requested_model"]) == (
        "openrouter", "openrouter/auto", "openrouter/auto")  # fmt: skip
    assert (row["served_model"], row["service_tier"], row["user_id"]) == (
        "sao10k/l3-stheno-8b", "priority", "user-123")  # fmt: skip
    assert row["logical_request_id"] == "req-1727282430-aBcDeFgHiJkLmNoPqRsT"
    assert (row["finished_at"] - row["started_at"]).total_seconds() == 1.2
    assert str(row["provider_reported_cost_usd"]) == "0.001500000000"
    assert row["is_cost_billed"] is True
    assert dict(row["tags"])["upstream_cost_usd"] == "0.0012"
    assert dict(row["tags"])["upstream_provider"] == "Infermatic"
    assert dict(row["other_meters"]) == {"media_prompt": 1, "search_results": 5}


def test_a_generation_without_its_envelope_is_the_same() -> None:
    whole, bare = read_one(KIND, {"data": CALL}), read_one(KIND, CALL)

    assert tokens_of(whole) == tokens_of(bare)
    assert whole["dedupe_key"] == bare["dedupe_key"] == "id:gen-1"


def test_a_suffix_is_no_part_of_the_served_model_and_a_second_provider_is_a_fallback() -> None:
    row = read_one(KIND, CALL)

    assert (row["requested_model"], row["served_model"]) == ("openai/gpt-5-mini:nitro", "openai/gpt-5-mini")
    assert row["is_fallback"] is True
    assert (
        read_one(KIND, CALL | {"provider_responses": CALL["provider_responses"][1:]})["is_fallback"] is False
    )


def test_a_cancelled_call_and_a_cached_answer_say_so() -> None:
    row = read_one(KIND, CALL | {"cancelled": True, "response_cache_source_id": "gen-0"})

    assert (row["status"], row["is_gateway_cache_hit"]) == ("cancelled", True)


def test_counts_of_another_tokenizer_are_not_taken_for_the_providers() -> None:
    native = {
        "native_tokens_prompt",
        "native_tokens_completion",
        "native_tokens_cached",
        "native_tokens_reasoning",
    }
    normalised = {name: value for name, value in CALL.items() if name not in native}

    row = read_one(KIND, {"data": normalised | {"tokens_prompt": 1000, "tokens_completion": 290}})

    assert (row["usage_source"], row["input_uncached_tokens"]) == ("missing", None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"created_at": None}, "missing_started_at"),
        ({"created_at": "soon"}, "bad_value"),
        ({"native_tokens_prompt": "many"}, "bad_value"),
        ({"native_tokens_completion": 3}, "negative_tokens"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(change: dict[str, Any], reason: str) -> None:
    assert read_records(KIND, [CALL | change])["quarantine_reason"].to_list() == [reason]


def test_with_a_key_of_ones_own_the_provider_bills_and_openrouter_its_fee() -> None:
    usage = {
        "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "cost": 0.00071, "is_byok": True,
        "cost_details": {"upstream_inference_cost": 0.0005}, "prompt_tokens_details": {"cached_tokens": 40},
    }  # fmt: skip
    answer = {
        "id": "gen-2", "provider": "DeepInfra", "model": "meta-llama/llama-3.3-70b-instruct:floor", "choices": [],
        "object": "chat.completion", "created": 1793610000, "usage": usage,
    }  # fmt: skip

    rows = [read_one("openrouter_response", answer), read_one("openrouter_response", {"response": answer})]

    for row in rows:
        assert (row["provider"], row["served_model"]) == ("DeepInfra", "meta-llama/llama-3.3-70b-instruct")
        assert (str(row["provider_reported_cost_usd"]), row["is_cost_billed"]) == ("0.001210000000", True)
        assert dict(row["tags"]) == {
            "gateway": "openrouter",
            "upstream_provider": "DeepInfra",
            "upstream_cost_usd": "0.0005",
            "is_byok": "true",
        }
