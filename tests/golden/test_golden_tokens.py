"""What each provider's own count means: a raw usage object, and the disjoint classes that it is, worked by hand.

Unless a line says otherwise it is the same call: 1,000 tokens of input, of which 400 were read from a cache (and, where
the format tells writes, 100 written to it), and 200 of output, of which 50 were reasoning.
"""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from models.errors import ConfigurationError
from models.schemas.vocabulary import TOKEN_CLASSES
from pipelines.landing.detect import detect_kind
from pipelines.sources.stored import StoredFile
from tests.models.logs.reading import read_one, read_records, tokens_of
from tests.models.logs.test_otel_genai import export, span
from tests.pipelines.small import gateway_row

AT, SECONDS = "2026-11-02T09:00:00Z", 1793610000
READ = {"input_uncached": 600, "cache_read": 400, "output_text": 150, "reasoning": 50}
WRITTEN = {
    "input_uncached": 500,
    "cache_read": 400,
    "cache_write_5m": 100,
    "output_text": 150,
    "reasoning": 50,
}
PLAIN = {"input_uncached": 600, "cache_read": 400, "output_text": 200}

INCLUSIVE = {
    "prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200,
    "prompt_tokens_details": {"cached_tokens": 400}, "completion_tokens_details": {"reasoning_tokens": 50},
}  # fmt: skip
RESPONSES = {
    "input_tokens": 1000, "output_tokens": 200, "total_tokens": 1200,
    "input_tokens_details": {"cached_tokens": 400}, "output_tokens_details": {"reasoning_tokens": 50},
}  # fmt: skip
# Anthropic, Bedrock: 500 fresh beside 400 read and 100 written.
MESSAGE = {
    "input_tokens": 500, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 100, "output_tokens": 200,
    "output_tokens_details": {"thinking_tokens": 50},
}  # fmt: skip
TTL = MESSAGE | {"cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70}}
CONVERSE = {
    "inputTokens": 500, "cacheReadInputTokens": 400, "cacheWriteInputTokens": 100, "outputTokens": 200,
    "totalTokens": 1200,
}  # fmt: skip
# Gemini: 150 candidates and 50 thoughts apart.
GEMINI = {
    "promptTokenCount": 1000, "cachedContentTokenCount": 400, "candidatesTokenCount": 150, "thoughtsTokenCount": 50,
    "totalTokenCount": 1200,
}  # fmt: skip
SNAKE = {
    "prompt_token_count": 1000, "cached_content_token_count": 400, "candidates_token_count": 150,
    "thoughts_token_count": 50, "total_token_count": 1200,
}  # fmt: skip
SPAN = {
    "gen_ai.operation.name": "chat", "gen_ai.response.id": "r", "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.cache_read.input_tokens": 400, "gen_ai.usage.cache_creation.input_tokens": 100,
    "gen_ai.usage.output_tokens": 200, "gen_ai.usage.reasoning.output_tokens": 50,
}  # fmt: skip


def chat(usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": SECONDS, "model": "m", "choices": [], "usage": usage
    } | more  # fmt: skip


def litellm(usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a row of LiteLLM, which counts every provider as OpenAI does."""
    row = gateway_row("r", "2026-11-02 09:00:00", **more)
    return row | {"metadata": json.dumps({"usage_object": usage})}


def bedrock_log(counts: dict[str, int], written: int, body: dict[str, Any]) -> dict[str, Any]:
    """Return a record of Bedrock's invocation log."""
    return {
        "schemaType": "ModelInvocationLog", "timestamp": AT, "requestId": "r", "modelId": "anthropic.claude-x",
        "operation": "InvokeModel", "region": "us-east-1", "input": counts,
        "output": {"outputTokenCount": written, "outputBodyJson": body},
    }  # fmt: skip


def langfuse(**details: int) -> dict[str, Any]:
    return {"id": "o", "trace_id": "t", "type": "GENERATION", "start_time": AT, "usage_details": details}


def helicone(**changes: Any) -> dict[str, Any]:
    return {
        "request_id": "h", "request_created_at": AT, "provider": "OPENAI", "response_status": 200,
        "prompt_tokens": 1000, "prompt_cache_read_tokens": 400, "completion_tokens": 200, "total_tokens": 1200,
    } | changes  # fmt: skip


TABLE: list[tuple[str, str, dict[str, Any], dict[str, int]]] = [
    # Cached and reasoning are inside: subtracted.
    ("OpenAI chat", "openai_response", chat(INCLUSIVE, model="gpt-4o"), READ),
    ("OpenAI Responses", "openai_response",
     {"id": "resp_1", "object": "response", "created_at": SECONDS, "model": "gpt-5-mini", "usage": RESPONSES},
     READ),
    ("OpenAI, 60 of audio in and 20 out", "openai_response",
     chat(INCLUSIVE | {"prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 60},
                       "completion_tokens_details": {"reasoning_tokens": 50, "audio_tokens": 20}},
          model="gpt-audio"),
     {"input_uncached": 540, "audio_input": 60, "cache_read": 400, "output_text": 130, "audio_output": 20,
      "reasoning": 50}),
    ("OpenAI embedding", "openai_response",
     {"object": "list", "data": [{"object": "embedding"}], "model": "text-embedding-3-small", "started_at": AT,
      "request_id": "e", "usage": {"prompt_tokens": 8, "total_tokens": 8}},
     {"input_uncached": 8}),
    ("OpenAI batch line", "openai_response",
     {"custom_id": "c", "response": {"status_code": 200, "body": chat(INCLUSIVE, model="o3")}}, READ),
    ("Azure OpenAI", "openai_response", chat(INCLUSIVE, prompt_filter_results=[{"prompt_index": 0}]), READ),
    ("Groq", "groq_response", chat(INCLUSIVE, x_groq={"id": "req_1"}), READ),
    ("Cerebras", "cerebras_response", chat(INCLUSIVE, time_info={"total_time": 1}), READ),
    ("Fireworks", "fireworks_response", chat(INCLUSIVE, model="accounts/fireworks/models/m"), READ),
    ("Together", "together_response",
     chat({"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "cached_tokens": 400}), PLAIN),
    ("Baseten", "baseten_response", chat(INCLUSIVE), READ),
    ("Mistral", "mistral_response",
     chat({"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "prompt_audio_seconds": None,
           "prompt_token_details": {"cached_tokens": 400}}), PLAIN),
    ("vLLM", "vllm_response", chat(INCLUSIVE, kv_transfer_params=None), READ),
    ("vLLM, details not told", "vllm_response",
     chat({"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "prompt_tokens_details": None},
          kv_transfer_params=None), {"input_uncached": 1000, "output_text": 200}),
    ("SGLang, reasoning at two places", "sglang_response",
     chat(INCLUSIVE | {"reasoning_tokens": 50}, choices=[{"matched_stop": 1}]), READ),
    ("SGLang request metrics", "sglang_request_metrics",
     {"id": "r", "request_parameters": "{}", "prompt_tokens": 1000, "cached_tokens": 400, "completion_tokens": 200,
      "reasoning_tokens": 50, "request_received_ts": float(SECONDS)}, READ),
    ("SGLang request metrics, 30 of images", "sglang_request_metrics",
     {"id": "r", "request_parameters": "{}", "prompt_tokens": 1000, "cached_tokens": 400, "completion_tokens": 200,
      "image_tokens": 30, "request_received_ts": float(SECONDS)},
     {"input_uncached": 570, "image_input": 30, "cache_read": 400, "output_text": 200}),
    ("OpenRouter response", "openrouter_response",
     chat(INCLUSIVE | {"cost": 0.1, "prompt_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100}},
          id="gen-1"), WRITTEN),
    # The native counts are the provider's; the others are of another tokenizer.
    ("OpenRouter generation", "openrouter_generation",
     {"data": {"id": "gen-1", "created_at": AT, "tokens_prompt": 990, "tokens_completion": 180,
               "native_tokens_prompt": 1000, "native_tokens_cached": 400, "native_tokens_completion": 200,
               "native_tokens_reasoning": 50}}, READ),
    # LiteLLM: everything inside, whoever the provider is.
    ("LiteLLM, OpenAI", "litellm_spend_logs", litellm(INCLUSIVE), READ),
    ("LiteLLM, Anthropic", "litellm_spend_logs",
     litellm(INCLUSIVE | {"cache_read_input_tokens": 400, "cache_creation_input_tokens": 100},
             custom_llm_provider="anthropic"), WRITTEN),
    # OpenTelemetry: everything inside, by the specification.
    ("OpenTelemetry", "otel_genai", export(span(SPAN)), WRITTEN),
    # Anthropic: the input excludes the cache, the output includes thinking.
    ("Anthropic", "anthropic_response",
     {"id": "msg_1", "type": "message", "model": "m", "started_at": AT, "usage": MESSAGE}, WRITTEN),
    ("Anthropic, 70 of the 100 written for an hour", "anthropic_response",
     {"id": "msg_1", "type": "message", "model": "m", "started_at": AT, "usage": TTL},
     WRITTEN | {"cache_write_5m": 30, "cache_write_1h": 70}),
    # Bedrock: as Anthropic; Converse has no reasoning count.
    ("Bedrock Converse", "bedrock_response",
     {"usage": CONVERSE, "stopReason": "end_turn", "output": {}, "started_at": AT},
     {"input_uncached": 500, "cache_read": 400, "cache_write_5m": 100, "output_text": 200}),
    ("Bedrock log of InvokeModel", "bedrock_invocation_log",
     bedrock_log({"inputTokenCount": 500, "cacheReadInputTokenCount": 400, "cacheWriteInputTokenCount": 100}, 200,
                 {"usage": MESSAGE}), WRITTEN),
    # Gemini: the cache is inside, thoughts are apart, tool results (30) are input of their own.
    ("Gemini", "gemini_response", {"responseId": "r", "started_at": AT, "usageMetadata": GEMINI}, READ),
    ("Gemini, 30 of tool results", "gemini_response",
     {"responseId": "r", "started_at": AT,
      "usageMetadata": GEMINI | {"toolUsePromptTokenCount": 30, "totalTokenCount": 1230}},
     READ | {"input_uncached": 630}),
    ("Gemini, 100 of audio of which 40 were cached", "gemini_response",
     {"responseId": "r", "started_at": AT,
      "usageMetadata": GEMINI | {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 100}],
                                 "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 40}]}},
     {"input_uncached": 540, "audio_input": 60, "cache_read": 360, "cache_read_audio": 40, "output_text": 150,
      "reasoning": 50}),
    ("Vertex, from Python", "gemini_response",
     {"response_id": "r", "create_time": AT, "usage_metadata": SNAKE | {"traffic_type": "ON_DEMAND"}}, READ),
    ("Vertex log, Gemini", "vertex_request_log",
     {"logging_time": AT, "full_response": {"response_id": "r", "create_time": AT, "usage_metadata": SNAKE}}, READ),
    ("Vertex log, Claude", "vertex_request_log",
     {"logging_time": AT, "metadata": {"request_latency": 1000},
      "full_response": {"id": "msg_vrtx_1", "usage": MESSAGE}},
     {"input_uncached": 500, "cache_read": 400, "cache_write_5m": 100, "output_text": 200}),
    # Langfuse: keys are disjoint; a total of input plus output alone says that they are not.
    ("Langfuse", "langfuse_export",
     langfuse(input=500, input_cached_tokens=400, input_cache_creation=100, output=150, output_reasoning_tokens=50,
              total=1200), WRITTEN),
    ("Langfuse, details as subsets", "langfuse_export",
     langfuse(input=1000, input_cached_tokens=400, input_cache_creation=100, output=200, output_reasoning_tokens=50,
              total=1200), WRITTEN),
    # Helicone: apart for Anthropic and where the total says so, else inside.
    ("Helicone, OpenAI", "helicone_export", helicone(), PLAIN),
    ("Helicone, Anthropic", "helicone_export",
     helicone(provider="ANTHROPIC", prompt_tokens=500, prompt_cache_write_tokens=100),
     {"input_uncached": 500, "cache_read": 400, "cache_write_5m": 100, "output_text": 200}),
    ("Helicone, a total that holds the cache beside", "helicone_export",
     helicone(prompt_tokens=600), PLAIN),
    # Those who tell no cache.
    ("Cohere, billed 58 of 1,000", "cohere_response",
     {"id": "c", "started_at": AT, "usage": {"billed_units": {"input_tokens": 58, "output_tokens": 119},
                                             "tokens": {"input_tokens": 1000, "output_tokens": 119}}},
     {"input_uncached": 58, "output_text": 119}),
    ("Voyage", "voyage_response",
     {"object": "list", "model": "voyage-3", "started_at": AT, "usage": {"total_tokens": 12}}, {"input_uncached": 12}),
    ("Ollama", "ollama_response",
     {"model": "m", "created_at": AT, "done": True, "total_duration": 10**9, "prompt_eval_count": 17, "eval_count": 66},
     {"input_uncached": 17, "output_text": 66}),
    ("watsonx", "watsonx_response",
     {"model_id": "m", "created_at": AT, "results": [{"input_token_count": 7, "generated_token_count": 2}]},
     {"input_uncached": 7, "output_text": 2}),
    ("generic", "requests",
     {"request_id": "r", "started_at": AT, **{f"{name}_tokens": count for name, count in WRITTEN.items()}}, WRITTEN),
]  # fmt: skip
LINES = pytest.mark.parametrize(
    ("kind", "record", "tokens"), [pytest.param(*line[1:], id=line[0]) for line in TABLE]
)


@LINES
def test_a_usage_object_has_the_classes_worked_by_hand(
    kind: str, record: dict[str, Any], tokens: dict[str, int]
) -> None:
    assert tokens_of(read_one(kind, record)) == tokens


NOT_TOLD = {"together_response", "baseten_response"}
"""Their responses are OpenAI's to the letter, of a model that anybody may serve: the setting names them."""


def stored(record: dict[str, Any]) -> StoredFile:
    data = json.dumps(record).encode()
    return StoredFile("file", len(data), datetime(2026, 11, 2, tzinfo=UTC), lambda: io.BytesIO(data))


@pytest.mark.parametrize(
    ("kind", "record"),
    [pytest.param(kind, record, id=name) for name, kind, record, _ in TABLE if kind not in NOT_TOLD],
)
def test_the_kind_of_a_file_is_told_by_its_content(kind: str, record: dict[str, Any]) -> None:
    assert detect_kind(stored(record)).kind == kind


@pytest.mark.parametrize(
    "record", [pytest.param(record, id=name) for name, kind, record, _ in TABLE if kind in NOT_TOLD]
)
def test_a_response_that_anybody_may_have_served_is_asked_about(record: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigurationError, match="nothing in its records tells whose they are: say it with --kind"
    ):
        detect_kind(stored(record))


# A remainder below zero is never clamped: 1,000 read of a prompt of 10.
OVERDRAWN = {"prompt_tokens": 10, "completion_tokens": 200, "prompt_tokens_details": {"cached_tokens": 1000}}


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("openai_response", chat(OVERDRAWN)),
        ("openrouter_response", chat(OVERDRAWN, id="gen-1")),
        ("sglang_request_metrics",
         {"id": "r", "prompt_tokens": 10, "cached_tokens": 1000, "completion_tokens": 2,
          "request_received_ts": SECONDS}),
        ("openrouter_generation",
         {"data": {"id": "g", "created_at": AT, "native_tokens_prompt": 10, "native_tokens_cached": 1000,
                   "native_tokens_completion": 2}}),
        ("gemini_response",
         {"responseId": "r", "started_at": AT, "usageMetadata": GEMINI | {"cachedContentTokenCount": 1001}}),
        ("vertex_request_log",
         {"logging_time": AT, "full_response": {"usage_metadata": SNAKE | {"cached_content_token_count": 1001}}}),
        ("langfuse_export", langfuse(input=10, input_cached_tokens=400, output=5, total=15)),
        ("helicone_export", helicone(prompt_tokens=-1)),
        ("bedrock_invocation_log", bedrock_log({"inputTokenCount": -1}, 5, {})),
    ],
)  # fmt: skip
def test_a_negative_remainder_is_quarantined(kind: str, record: dict[str, Any]) -> None:
    assert read_records(kind, [record])["quarantine_reason"].to_list() == ["negative_tokens"]


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("litellm_spend_logs", gateway_row("r", "2026-11-02 09:00:00", prompt_tokens=600, cached_tokens=1000,
                                           completion_tokens=200)),
        ("otel_genai", export(span(SPAN | {"gen_ai.usage.input_tokens": 600,
                                           "gen_ai.usage.cache_read.input_tokens": 1000,
                                           "gen_ai.usage.cache_creation.input_tokens": 0,
                                           "gen_ai.usage.reasoning.output_tokens": 0}))),
        ("helicone_export", helicone(prompt_tokens=600, prompt_cache_read_tokens=1000, total_tokens=800)),
    ],
)  # fmt: skip
def test_a_documented_exclusive_variant_is_read_as_such_and_estimated(
    kind: str, record: dict[str, Any]
) -> None:
    row = read_one(kind, record)

    assert tokens_of(row) == {"input_uncached": 600, "cache_read": 1000, "output_text": 200}
    assert row["usage_source"] == "estimated"


def test_every_class_that_a_row_does_not_have_is_zero_and_not_unknown() -> None:
    row = read_one("openai_response", chat(INCLUSIVE))

    assert all(row[f"{name}_tokens"] is not None for name in TOKEN_CLASSES)
    assert sum(row[f"{name}_tokens"] for name in TOKEN_CLASSES) == INCLUSIVE["total_tokens"]
