"""380 recorded responses of eleven providers, as each came over the wire: bodies, event streams, lines of JSON.

A sample of each provider is worked by hand; the rest is counted again here, in plain Python.
"""

import gzip
import json
from functools import cache
from typing import Any

import polars as pl
import pytest

from tests.models.logs.reading import read_records, shared, tokens_of

KINDS = {
    "openai": "openai_response",
    "anthropic": "anthropic_response",
    "bedrock": "bedrock_response",
    "cohere": "cohere_response",
    "google-generativeai": "gemini_response",
    "groq": "groq_response",
    "mistralai": "mistral_response",
    "ollama": "ollama_response",
    "together": "together_response",
    "voyageai": "voyage_response",
    "watsonx": "watsonx_response",
}
# The recording holds the body in one of three fields; the envelope has one name for them.
ENVELOPE = {"started_at": "date_header", "requested_model": "request_model", "headers": "token_headers"}


@cache
def recordings() -> list[dict[str, Any]]:
    path = shared("log-recorded-responses/responses.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def body(recording: dict[str, Any]) -> Any:
    return next(
        recording[key] for key in ("response_json", "response_sse", "response_text") if key in recording
    )


@cache
def read(provider: str) -> pl.DataFrame:
    records = [
        {"response": body(recording), "date_header": "Sat, 01 Aug 2026 00:00:00 GMT"}
        | {name: value for name in ENVELOPE.values() if (value := recording[name]) is not None}
        for recording in recordings()
        if recording["provider"] == provider
    ]
    return read_records(KINDS[provider], records, ENVELOPE)


def events(text: str) -> list[dict[str, Any]]:
    lines = (line.removeprefix("data:").strip() for line in text.splitlines())
    return [json.loads(line) for line in lines if line.startswith("{")]


def counted(recording: dict[str, Any]) -> tuple[int, int] | None:
    """Count input and output of a recording, whatever its provider, without the importers."""
    whole = body(recording)
    found = events(whole) if isinstance(whole, str) else [whole]
    inputs: list[int] = []
    outputs: list[int] = []
    for event in found:
        for usage in usages(event):
            # Streams report cumulative counts, and each side in some event: the largest is the final one.
            inputs.append(side(usage, "input") + cached(usage))
            outputs.append(side(usage, "output"))
    headers = recording["token_headers"]
    inputs.append(int(headers.get("x-amzn-bedrock-input-token-count", 0)) + header_cache(headers))
    outputs.append(int(headers.get("x-amzn-bedrock-output-token-count", 0)))
    return (max(inputs), max(outputs)) if max(inputs) else None


def usages(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a body that count tokens, deepest names that providers use."""
    if isinstance(value, list):
        return [usage for item in value for usage in usages(item)]
    if not isinstance(value, dict):
        return []
    if "billed_units" in value:
        return [value["billed_units"]]
    names = {"prompt_tokens", "input_tokens", "inputTokens", "promptTokenCount", "output_tokens", "prompt_eval_count",
             "inputTextTokenCount", "prompt_token_count", "input_token_count"}  # fmt: skip
    nested = [usage for key, item in value.items() if key != "trace" for usage in usages(item)]
    is_count = names & set(value) or set(value) == {"total_tokens"}
    return [value, *nested] if is_count else nested


def side(usage: dict[str, Any], name: str) -> int:
    names = {
        "input": ("prompt_tokens", "input_tokens", "inputTokens", "promptTokenCount", "inputTextTokenCount",
                  "prompt_token_count", "input_token_count", "prompt_eval_count"),
        "output": ("completion_tokens", "output_tokens", "outputTokens", "generation_token_count",
                   "generated_token_count", "eval_count"),
    }[name]  # fmt: skip
    if name == "output" and "candidatesTokenCount" in usage:
        return int(usage["candidatesTokenCount"]) + int(usage.get("thoughtsTokenCount", 0))
    if name == "output" and "inputTextTokenCount" in usage:
        return sum(int(result["tokenCount"]) for result in usage["results"])
    if name == "input" and set(usage) == {"total_tokens"}:
        return int(usage["total_tokens"])
    return next((int(usage[key]) for key in names if usage.get(key) is not None), 0)


def cached(usage: dict[str, Any]) -> int:
    """Return what Anthropic and Bedrock count beside their input; elsewhere it is inside."""
    pairs = (
        ("cache_read_input_tokens", "cache_creation_input_tokens"),
        ("cacheReadInputTokens", "cacheWriteInputTokens"),
    )
    return sum(int(usage.get(name) or 0) for pair in pairs for name in pair)


def header_cache(headers: dict[str, str]) -> int:
    return sum(
        int(headers.get(f"x-amzn-bedrock-cache-{way}-input-token-count", 0)) for way in ("read", "write")
    )


@pytest.mark.parametrize("provider", KINDS)
def test_every_recorded_response_sums_to_what_its_provider_counted(provider):
    recorded = [recording for recording in recordings() if recording["provider"] == provider]
    rows = read(provider).rows(named=True)
    assert len(rows) == len(recorded)
    wrong = []
    for recording, row in zip(recorded, rows, strict=True):
        known = counted(recording)
        if known is None:
            continue
        split = tokens_of(row)
        outputs = {"output_text", "reasoning", "audio_output", "image_output", "other_output"}
        ours = (
            sum(count for name, count in split.items() if name not in outputs),
            sum(count for name, count in split.items() if name in outputs),
        )
        if ours != known or row["quarantine_reason"] or row["usage_source"] != "provider":
            wrong.append((recording["cassette"], known, ours, row["quarantine_reason"]))
    assert wrong == []


def test_a_count_is_found_in_all_but_rerankings_and_a_list_of_models():
    uncounted = [
        recording["cassette"].rsplit("/")[-1] for recording in recordings() if counted(recording) is None
    ]
    assert len(recordings()) == 380
    assert sum("rerank" in name for name in uncounted) == 3
    assert len(uncounted) == 4


# Worked by hand from the recorded body: cassette, then what each class must be.
BY_HAND = [
    # prompt 15, completion 24
    ("openai", 120, {"input_uncached": 15, "output_text": 24}),
    # embeddings: prompt 8 = total 8
    ("openai", 263, {"input_uncached": 8}),
    # response.completed: input 11, output 15, no reasoning
    ("openai", 346, {"input_uncached": 11, "output_text": 15}),
    # message_start input 17; last message_delta output 108, not the placeholder 1
    ("anthropic", 7, {"input_uncached": 17, "output_text": 108}),
    # headers 26 in, 42 out: AI21's body has no count
    ("bedrock", 44, {"input_uncached": 26, "output_text": 42}),
    # Titan writes 28.0 and 197.0
    ("bedrock", 50, {"input_uncached": 28, "output_text": 197}),
    # input 4 beside 18,131 written to the cache
    ("bedrock", 52, {"input_uncached": 4, "cache_write_5m": 18131, "output_text": 50}),
    # the body stops at inputTokens 30; the header tells 51 out
    ("bedrock", 60, {"input_uncached": 30, "output_text": 51}),
    # billed 58 and 119, not the 69 of the template
    ("cohere", 64, {"input_uncached": 58, "output_text": 119}),
    # stream: message-end bills 7 and 109
    ("cohere", 71, {"input_uncached": 7, "output_text": 109}),
    # candidates 877, thoughts 1,058 apart: total 1,940 = 5 + 877 + 1,058
    ("google-generativeai", 83, {"input_uncached": 5, "output_text": 877, "reasoning": 1058}),
    # x_groq.usage of the last chunk
    ("groq", 97, {"input_uncached": 18, "output_text": 73}),
    # prompt 20 of which 10 cached
    ("mistralai", 105, {"input_uncached": 10, "cache_read": 10, "output_text": 18}),
    ("ollama", 113, {"input_uncached": 17, "output_text": 66}),
    # lines of JSON, the last one counts
    ("ollama", 112, {"input_uncached": 17, "output_text": 63}),
    ("together", 369, {"input_uncached": 18, "output_text": 35}),
    ("voyageai", 371, {"input_uncached": 12}),
    ("watsonx", 375, {"input_uncached": 7, "output_text": 2}),
    # the input count is in the first event only, the output count grows to 11
    ("watsonx", 376, {"input_uncached": 8, "output_text": 11}),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "position", "tokens"), BY_HAND)
def test_a_recorded_response_has_the_classes_worked_by_hand(provider, position, tokens):
    recording = recordings()[position]
    assert recording["provider"] == provider
    first = next(n for n, other in enumerate(recordings()) if other["provider"] == provider)
    row = read(provider).row(position - first, named=True)
    assert row["quarantine_reason"] is None
    assert tokens_of(row) == tokens


def test_a_rerank_counts_search_units_and_no_tokens():
    row = read("cohere").filter(pl.col("line_number") == 17).row(0, named=True)
    assert (row["operation"], row["usage_source"], row["input_uncached_tokens"]) == (
        "rerank",
        "provider",
        None,
    )
    assert dict(row["other_meters"]) == {"search_units": 1}


def test_a_list_of_models_is_no_response():
    rows = read("watsonx").filter(pl.col("quarantine_reason").is_not_null())
    assert rows.select("line_number", "quarantine_reason").rows() == [(4, "unknown_shape")]


def test_groq_and_ollama_durations_become_times():
    groq = read("groq").row(12, named=True)  # queue 0.28245049, prompt 0.002698174, total 0.063531507
    ollama = read("ollama").row(1, named=True)  # ended 20:01:31.01558, took 10.386172208 s
    assert groq["queue_seconds"] == pytest.approx(0.28245049)
    assert (groq["first_token_at"] - groq["started_at"]).total_seconds() == pytest.approx(0.285149, abs=1e-6)
    assert ollama["finished_at"].isoformat() == "2024-05-24T20:01:31.015580+00:00"


def test_the_provider_is_told_by_what_only_it_writes():
    azure = [
        recording["uri"].find("azure") > 0 for recording in recordings() if recording["provider"] == "openai"
    ]
    rows = read("openai")
    read_as = rows.get_column("provider").to_list()
    is_open = rows.get_column("served_model").str.starts_with("meta-llama/")
    assert rows.filter(is_open).get_column("provider").to_list() == [None] * 4, (
        "any server may have served it"
    )
    assert set(rows.filter(~is_open & ~pl.Series(azure)).get_column("provider")) == {"openai"}
    assert sum(provider == "azure.ai.openai" for provider in read_as) == 33
    assert "aws.bedrock" in read("anthropic").get_column("provider")
