"""Every dialect of a usage record: who served it, each token class, each fee, as its provider documents them.

A row is an answer as it comes, with the public source of its rule. docs/sources.md lists which rows prove what.
"""

import re
from typing import Any

import polars as pl
import pytest

from models.importers import fitting, importers
from models.logs.served_by import owner_of
from models.prices.builtin import builtin_token_sheets
from tests.models.logs.reading import read_records, tokens_of
from tests.pipelines.small import gateway_row

AT = 1781085600
GEMINI = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
CLAUDE = {"input_tokens": 10, "output_tokens": 5}


def answer(
    model: str | None = "gpt-5-mini", *, usage: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Return a bare chat completion."""
    counts = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    body = {"id": "a-1", "object": "chat.completion", "created": AT, "model": model, "choices": []}
    return body | {"usage": counts if usage is None else counts | usage} | more


def details(**counts: int) -> dict[str, Any]:
    return {"prompt_tokens_details": counts}


PLAIN = {"input_uncached": 1000, "output_text": 100}
CACHED = {"input_uncached": 360, "cache_read": 640, "output_text": 100}

SERVED: list[tuple[str, dict[str, Any], str | None]] = [
    # A JSON null is no sign of Azure: learn.microsoft.com/azure/ai-services/openai/concepts/content-filter
    ("null_filter", answer(prompt_filter_results=None), "openai"),
    ("azure", answer(prompt_filter_results=[{"prompt_index": 0}]), "azure.ai.openai"),
    ("azure_responses", {"id": "resp_1", "object": "response", "created_at": AT, "model": "gpt-5-mini", "output": [],
                         "content_filters": [{"source_type": "prompt"}]}, "azure.ai.openai"),
    ("azure_choice", answer(choices=[{"content_filter_results": {"hate": {"filtered": False}}}]), "azure.ai.openai"),
    ("azure_other", answer("DeepSeek-V3.1", prompt_filter_results=[{"prompt_index": 0}]), "azure.ai.inference"),
    ("null_choice", answer(choices=[{"content_filter_results": None}]), "openai"),
    ("azure_headers", {"headers": {"x-ms-region": "East US 2"}, "response": answer("text-embedding-3-small")},
     "azure.ai.openai"),
    ("openai_headers", {"headers": {"x-request-id": "req_1"}, "response": answer("text-embedding-3-small")}, "openai"),
    ("empty_filter", answer(prompt_filter_results=[]), "openai"),
    ("o_series", answer("o4-mini-2025-04-16"), "openai"),
    ("fine_tune", answer("ft:gpt-4o-mini-2024-07-18:org:name:id"), "openai"),
    ("open_weights", answer("openai/gpt-oss-120b"), None),
    ("own_server", answer("meta-llama/Llama-3.1-8B-Instruct"), None),
    ("mistral", answer("mistral-large-latest"), "mistral_ai"),
    ("mistral_dated", answer("magistral-medium-2509"), "mistral_ai"),
    ("deepseek", answer("deepseek-reasoner"), "deepseek"),
    ("deepseek_weights", answer("deepseek-ai/DeepSeek-V3.1", usage={"prompt_cache_hit_tokens": 0}), None),
    ("grok", answer("grok-4-0709"), "x_ai"),
    # Bedrock's names: docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html; Oracle's have no version
    ("bedrock", answer("openai.gpt-oss-120b-1:0"), "aws.bedrock"),
    ("bedrock_profile", answer("eu.anthropic.claude-haiku-4-5-20251001-v1:0"), "aws.bedrock"),
    ("oracle", answer("meta.llama-3.3-70b-instruct"), None),
    ("xai_mark", answer("my-alias", usage={"num_sources_used": 0}), "x_ai"),
    ("kimi", answer("kimi-k2-0905-preview"), "moonshot_ai"),
    ("perplexity", answer("sonar-pro"), "perplexity"),
    ("perplexity_mark", answer("my-alias", citations=["https://example.com"]), "perplexity"),
    ("gemini", answer("gemini-2.5-flash"), "gcp.gemini"),
    ("vertex", answer("google/gemini-2.5-flash", usage={"extra_properties": {"google": {"traffic_type": "ON_DEMAND"}}}),
     "gcp.vertex_ai"),
    ("claude", answer("claude-sonnet-4-5-20250929"), "anthropic"),
    ("together", answer("meta-llama/Llama-3.3-70B-Instruct-Turbo", prompt=[]), "together"),
    ("deepinfra", answer("meta-llama/Llama-3.3-70B-Instruct", usage={"estimated_cost": 0.0001}), "deepinfra"),
    ("fireworks", answer("accounts/fireworks/models/kimi-k2-instruct"), "fireworks"),
    ("groq", answer("llama-3.3-70b-versatile", x_groq={"id": "req_1"}), "groq"),
    ("cerebras", answer("llama-3.3-70b", time_info={"total_time": 0.1}), "cerebras"),
    ("ollama", answer("llama3.2", system_fingerprint="fp_ollama"), "self_hosted"),
    ("llama_cpp", answer("any.gguf", timings={"prompt_n": 1}), "self_hosted"),
    ("tgi", answer("tgi", system_fingerprint="2.4.1-sha-d26950f"), "self_hosted"),
    ("beside", {"provider": "baseten", "response": answer("any")}, "baseten"),
]  # fmt: skip


def test_who_served_an_answer_is_told_by_its_marks_or_its_name_or_by_nothing() -> None:
    rows = read_records("openai_response", [record for _, record, _ in SERVED])
    tell = importers()["openai_response"].served_by
    assert tell is not None

    read_as = dict(zip([name for name, _, _ in SERVED], rows["provider"], strict=True))
    assert read_as == {name: provider for name, _, provider in SERVED}
    assert {name: tell(record) for name, record, _ in SERVED} == read_as, "detection says what reading does"
    assert rows["region"].drop_nulls().to_list() == ["eastus2"]


USAGE: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    # OpenAI: platform.openai.com/docs/api-reference/chat/object
    ("openai_cached", answer(usage=details(cached_tokens=640)), CACHED),
    # DeepSeek: api-docs.deepseek.com/api/create-chat-completion; prompt = hit + miss
    ("deepseek_hits", answer("deepseek-chat", usage={"prompt_cache_hit_tokens": 640, "prompt_cache_miss_tokens": 360}),
     CACHED),
    # Moonshot (platform.moonshot.ai) and Together count cached tokens at the top of usage
    ("top_cached", answer("kimi-k2-thinking", usage={"cached_tokens": 640}), CACHED),
    ("mistral_cached", answer("mistral-large-latest", usage={"num_cached_tokens": 640}), CACHED),
    # a 0 in one place hides no count in another: github.com/BerriAI/litellm/issues/16009
    ("zero_beside", answer(usage=details(cached_tokens=0) | {"cache_read_input_tokens": 640}), CACHED),
    ("nulls_beside", answer(usage={"prompt_tokens_details": None, "prompt_cache_hit_tokens": 640}), CACHED),
    ("written", answer(usage={"cache_creation_input_tokens": 200}),
     {"input_uncached": 800, "cache_write_5m": 200, "output_text": 100}),
    # Qwen, as Alibaba's Model Studio counts what is written: help.aliyun.com/zh/model-studio/context-cache
    ("written_inside", answer("qwen-plus", usage={"prompt_tokens_details": {
        "cached_tokens": 0, "cache_creation_input_tokens": 200,
        "cache_creation": {"ephemeral_5m_input_tokens": 200}}}),
     {"input_uncached": 800, "cache_write_5m": 200, "output_text": 100}),
    # some servers write a total of 0
    ("no_total", answer(usage={"total_tokens": 0}), PLAIN),
    # speech, whose output is audio: platform.openai.com/docs/api-reference/audio/speech-audio-done-event
    ("spoken", {"started_at": "2026-06-10T10:00:00Z", "requested_model": "gpt-4o-mini-tts", "response": {
        "type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}}},
     {"input_uncached": 14, "audio_output": 101}),
    ("written_1h", answer(usage={"cache_creation_input_tokens": 200,
                                 "cache_creation": {"ephemeral_1h_input_tokens": 150}}),
     {"input_uncached": 800, "cache_write_5m": 50, "cache_write_1h": 150, "output_text": 100}),
    ("written_0_beside_parts", answer(usage={"cache_creation_input_tokens": 0, "cache_creation": {
        "ephemeral_1h_input_tokens": 150}}), {"input_uncached": 850, "cache_write_1h": 150, "output_text": 100}),
    # the cache beside the prompt, as the total proves
    ("cache_beside", answer(usage={"cache_read_input_tokens": 5000, "total_tokens": 6100}),
     {"input_uncached": 1000, "cache_read": 5000, "output_text": 100}),
    # xAI: reasoning beside the completion where the total says so: docs.x.ai/docs/models, vercel/ai#12425
    ("reasoning_beside", answer("grok-4-0709", usage={
        "total_tokens": 1400, "completion_tokens_details": {"reasoning_tokens": 300}}),
     PLAIN | {"reasoning": 300}),
    ("reasoning_inside", answer("grok-4-0709", usage={"completion_tokens_details": {"reasoning_tokens": 30}}),
     {"input_uncached": 1000, "output_text": 70, "reasoning": 30}),
    ("four_disjoint", answer(usage={"total_tokens": 2040, "cache_read_input_tokens": 640,
                                    "completion_tokens_details": {"reasoning_tokens": 300}}),
     PLAIN | {"cache_read": 640, "reasoning": 300}),
    # Gemini's thoughts are in the total alone: ai.google.dev/gemini-api/docs/openai
    ("thoughts_in_total", answer("gemini-2.5-pro", usage={"total_tokens": 1600}), PLAIN | {"reasoning": 500}),
    # Perplexity: reasoning and citations beside all totals: docs.perplexity.ai/getting-started/pricing
    ("deep_research", answer("sonar-deep-research", usage={
        "citation_tokens": 7299, "num_search_queries": 74, "reasoning_tokens": 73248}),
     PLAIN | {"other_input": 7299, "reasoning": 73248}),
    # An event that an envelope holds is the answer that it holds
    ("event", {"started_at": "2026-06-10T10:00:00Z", "requested_model": "gpt-5-mini", "response": {
        "type": "response.completed", "response": {"id": "resp_e", "object": "response", "usage": {
            "input_tokens": 1000, "output_tokens": 100, "input_tokens_details": {"cached_tokens": 640}}}}}, CACHED),
    # Realtime: the event response.done, cached text and cached audio apart
    ("realtime", {"type": "response.done", "started_at": "2026-06-10T10:00:00Z", "requested_model": "gpt-realtime",
                  "response": {"id": "resp_r", "object": "realtime.response", "status": "completed", "usage": {
                      "total_tokens": 1100, "input_tokens": 1000, "output_tokens": 100,
                      "input_token_details": {"text_tokens": 400, "audio_tokens": 600, "cached_tokens": 500,
                                              "cached_tokens_details": {"text_tokens": 300, "audio_tokens": 200}},
                      "output_token_details": {"text_tokens": 20, "audio_tokens": 80}}}},
     {"input_uncached": 100, "cache_read": 300, "cache_read_audio": 200, "audio_input": 400, "output_text": 20,
      "audio_output": 80}),
    # Moonshot: the last event of a stream has its usage inside the choice: platform.moonshot.ai/docs/api/chat
    ("stream_in_choice", {"response": [
        answer("kimi-k2-0905-preview", object="chat.completion.chunk") | {"usage": None},
        {"id": "a-1", "object": "chat.completion.chunk", "choices": [{"delta": {}, "finish_reason": "stop", "usage": {
            "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "cached_tokens": 640}}]}]}, CACHED),
    # Images: output tokens are image tokens: platform.openai.com/docs/api-reference/images/object
    ("image", {"created": AT, "data": [{"b64_json": "AAAA"}], "requested_model": "gpt-image-1", "usage": {
        "input_tokens": 60, "input_tokens_details": {"image_tokens": 50, "text_tokens": 10}, "output_tokens": 600,
        "total_tokens": 660}},
     {"input_uncached": 10, "image_input": 50, "image_output": 600}),
    ("speech_in_tokens", {"started_at": "2026-06-10T10:00:00Z", "requested_model": "gpt-4o-mini-transcribe",
                          "response": {"text": "x", "usage": {
                              "type": "tokens", "input_tokens": 1014, "total_tokens": 1059, "output_tokens": 45,
                              "input_token_details": {"text_tokens": 14, "audio_tokens": 1000}}}},
     {"input_uncached": 14, "audio_input": 1000, "output_text": 45}),
]  # fmt: skip


def test_every_place_and_spelling_of_a_count_is_read() -> None:
    rows = read_records("openai_response", [record for _, record, _ in USAGE])

    for (name, _, tokens), row in zip(USAGE, rows.iter_rows(named=True), strict=True):
        assert row["quarantine_reason"] is None, (name, row["quarantine_reason"], row["quarantine_detail"])
        assert (name, tokens_of(row)) == (name, tokens)
        assert (name, row["usage_source"]) == (name, "provider")


def test_a_compound_answer_is_a_call_of_each_model_that_it_used() -> None:
    # console.groq.com/docs/compound: usage is the sum of usage_breakdown, and each model has its own price
    models = [
        {"model": model, "usage": {"prompt_tokens": into, "completion_tokens": 50, "total_tokens": into + 50}}
        for model, into in (("openai/gpt-oss-120b", 700), ("meta-llama/llama-4-scout-17b-16e-instruct", 300))
    ]
    whole = answer("groq/compound", usage_breakdown={"models": models}, x_groq={"id": "req_1"})

    rows = read_records("groq_response", [whole, answer("llama-3.3-70b-versatile", id="a-2")])

    assert rows.select(
        "request_id", "logical_request_id", "served_model", "input_uncached_tokens"
    ).rows() == [
        ("a-1", None, "openai/gpt-oss-120b", 700),
        ("a-1#2", "a-1", "meta-llama/llama-4-scout-17b-16e-instruct", 300),
        ("a-2", None, "llama-3.3-70b-versatile", 1000),
    ]
    assert rows["quarantine_reason"].null_count() == 3


def test_the_tools_of_a_compound_answer_are_a_call_that_leaves_its_models_priced() -> None:
    # console.groq.com/docs/compound/built-in-tools
    usage = {"prompt_tokens": 700, "completion_tokens": 50, "total_tokens": 750}
    ran = [
        {
            "message": {
                "content": "x",
                "executed_tools": [{"type": tool} for tool in ("search", "python", "search")],
            }
        }
    ]
    parts = {"models": [{"model": "openai/gpt-oss-120b", "usage": usage}]}
    whole = answer("groq/compound", usage_breakdown=parts, choices=ran)
    plain = answer("openai/gpt-oss-120b", id="a-2", x_groq={"id": "req_2"}, choices=ran)

    rows = read_records("groq_response", [whole, plain])

    tools = {"web_search": 2, "code_interpreter": 1}
    read_as = [(row["request_id"], dict(row["other_meters"] or {})) for row in rows.iter_rows(named=True)]
    assert read_as == [("a-1", {}), ("a-1#2", tools), ("a-2", tools)]
    assert rows["input_uncached_tokens"].to_list() == [700, None, 1000]


def test_what_claude_counts_beside_an_answer_is_a_call_of_its_own() -> None:
    # platform.claude.com/docs: build-with-claude/compaction and agents-and-tools/tool-use/advisor-tool
    def counted(what: str, into: int, out: int, **more: Any) -> dict[str, Any]:
        return {"type": what, "input_tokens": into, "output_tokens": out} | more

    def said(name: str, into: int, out: int, *iterations: dict[str, Any], **more: Any) -> dict[str, Any]:
        usage = {"input_tokens": into, "output_tokens": out, "iterations": list(iterations)} | more
        message = {"id": name, "type": "message", "model": "claude-sonnet-4-6", "stop_reason": "end_turn"}
        return {"started_at": "2026-06-10T10:00:00Z", "response": message | {"usage": usage}}

    rows = read_records(
        "anthropic_response",
        [
            said("msg_a", 23000, 1000, counted("compaction", 180000, 3500), counted("message", 23000, 1000),
                 inference_geo="us"),
            said("msg_b", 412, 531, counted("message", 412, 89),
                 counted("advisor_message", 823, 1612, model="claude-opus-4-6"),
                 counted("message", 1348, 442, cache_read_input_tokens=412)),
            said("msg_c", 10, 5, counted("message", 10, 5)),
        ],
    )  # fmt: skip

    assert rows.select("request_id", "served_model", "region", "logical_request_id").rows() == [
        ("msg_a", "claude-sonnet-4-6", "us", None),
        ("msg_a#2", "claude-sonnet-4-6", "us", "msg_a"),
        ("msg_b", "claude-sonnet-4-6", None, None),
        ("msg_b#2", "claude-opus-4-6", None, "msg_b"),
        ("msg_c", "claude-sonnet-4-6", None, None),
    ]
    assert [tokens_of(row) for row in rows.iter_rows(named=True)] == [
        {"input_uncached": 23000, "output_text": 1000},
        {"input_uncached": 180000, "output_text": 3500},
        {"input_uncached": 1760, "cache_read": 412, "output_text": 531},
        {"input_uncached": 823, "output_text": 1612},
        {"input_uncached": 10, "output_text": 5},
    ]
    assert rows["quarantine_reason"].null_count() == rows["unread_usage"].null_count() == rows.height


def test_two_counts_that_differ_are_an_estimate_that_says_so() -> None:
    row = read_records(
        "openai_response", [answer(usage=details(cached_tokens=640) | {"prompt_cache_hit_tokens": 500})]
    ).row(0, named=True)

    assert (row["cache_read_tokens"], row["usage_source"]) == (640, "estimated")
    assert dict(row["tags"]) == {"counts_differ": "cache_read"}


def gateway(usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a LiteLLM row of 1,000 tokens in and 100 out."""
    counts = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    return gateway_row(
        "row", "2026-06-10 10:00:00", **(counts | {"metadata": {"usage_object": counts | usage}} | more)
    )


def helicone(usage: dict[str, Any]) -> dict[str, Any]:
    """Return a request of Helicone whose answer is exported too."""
    return {
        "request_id": "h-1", "request_created_at": "2026-06-10T10:00:00Z", "response_status": 200,
        "provider": "OPENAI", "request_model": "gpt-5-mini", "prompt_tokens": 10, "completion_tokens": 5,
        "response_body": {"id": "chatcmpl-h", "usage": usage},
    }  # fmt: skip


def invoked(log: dict[str, int], usage: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a record of Bedrock's invocation log, with fields of the log's own and of the answer's usage."""
    return {
        "schemaType": "ModelInvocationLog", "timestamp": "2026-06-10T10:00:00Z", "requestId": "b-1",
        "modelId": "anthropic.claude-x-v1:0", "operation": "Converse",
        "input": {"inputContentType": "application/json", "inputTokenCount": 10} | log,
        "output": {"outputTokenCount": 5, "outputBodyJson": {"usage": usage}},
    }  # fmt: skip


def converse(**metadata: Any) -> dict[str, Any]:
    usage = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
    body = {"metadata": {"usage": usage | metadata}}
    return {"started_at": "2026-06-10T10:00:00Z", "requested_model": "m", "response": body}


UNREAD: list[tuple[str, dict[str, Any], str | None]] = [
    ("openai_response", answer(usage={"widget_units": 4}), "usage.widget_units"),
    ("litellm_spend_logs", gateway({"prompt_tokens_details": {"cached_tokens": 4, "blue_tokens": 7},
                                    "completion_tokens_details": {"text_tokens": 60}}),
     "usage_object.prompt_tokens_details.blue_tokens"),
    ("litellm_spend_logs", gateway({"blue_tokens": 0, "cost": 0.1,
                                    "server_tool_use": {"web_fetch_requests": 1}}), None),
    ("bedrock_invocation_log", invoked({"inputWidgetCount": 4}), "input.inputWidgetCount"),
    ("bedrock_invocation_log", invoked({"cacheReadInputTokenCount": 4}, {"inputTokens": 10, "blueTokens": 3}),
     "usage.blueTokens"),
    ("bedrock_invocation_log", invoked({"cacheReadInputTokenCount": 0}, {"inputTokens": 10, "outputTokens": 5}), None),
    ("bedrock_response", converse(blueTokens=3), "metadata.usage.blueTokens"),
    ("helicone_export", helicone({"prompt_tokens": 10, "blue_tokens": 3}), "response_body.usage.blue_tokens"),
    ("helicone_export", helicone({"input_tokens": 10, "output_tokens_details": {"reasoning_tokens": 3}}), None),
    ("vertex_request_log", {"logging_time": "2026-06-10T10:00:00Z", "metadata": {}, "full_response": {
        "usage_metadata": {"prompt_token_count": 10, "candidates_token_count": 5, "total_token_count": 15,
                           "blue_token_count": 3}}}, "usage_metadata.blue_token_count"),
    ("cohere_response", {"id": "c-1", "started_at": "2026-06-10T10:00:00Z", "requested_model": "m",
                         "meta": {"billed_units": {"input_tokens": 10, "output_tokens": 5, "blue_units": 2}}},
     "meta.billed_units.blue_units"),
]  # fmt: skip


def test_a_number_in_a_usage_object_that_no_rule_reads_is_named() -> None:
    for kind, record, unread in UNREAD:
        row = read_records(kind, [record]).row(0, named=True)
        assert (kind, row["quarantine_reason"], row["unread_usage"]) == (kind, None, unread)


def test_a_total_that_fits_no_dialect_is_refused() -> None:
    rows = read_records("openai_response", [answer(usage={"total_tokens": 1999})])

    assert rows["quarantine_reason"].to_list() == ["tokens_do_not_add_up"]


def searched(*actions: str | None) -> list[dict[str, Any]]:
    return [{"type": "web_search_call"} | ({"action": {"type": what}} if what else {}) for what in actions]


def response(model: str = "gpt-5-mini-2025-08-07", **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100} | more.pop("usage", {})
    body = {"id": "resp_1", "object": "response", "created_at": AT, "status": "completed", "model": model}
    return body | {"output": [], "usage": usage} | more


def ran(*containers: str) -> list[dict[str, Any]]:
    return [{"type": "code_interpreter_call", "container_id": container} for container in containers]


def scanned(**more: Any) -> dict[str, Any]:
    body = {"model": "mistral-ocr-2505-completion", "pages": [{"index": 0, "markdown": "x"}]}
    counted = {"usage_info": {"pages_processed": 29, "doc_size_bytes": 3002783}}
    return {"started_at": "2026-06-10T10:00:00Z", "response": body | counted | more}


FEES: list[tuple[str, str, dict[str, Any], dict[str, float]]] = [
    # OpenAI: only the action `search` is billed: platform.openai.com/docs/guides/tools-web-search
    ("searches", "openai_response", response(output=searched("search", "search", "open_page", "find_in_page", None)),
     {"web_search": 3}),
    ("told_searches", "openai_response", response(tool_usage={"web_search": {"num_requests": 2}}), {"web_search": 2}),
    ("preview_searches", "openai_response", response("gpt-4.1-2025-04-14", output=searched("search"),
                                                    tools=[{"type": "web_search_preview_2025_03_11"}]),
     {"web_search_preview": 1}),
    ("preview_reasoning", "openai_response",
     response(output=searched("search"), tools=[{"type": "web_search_preview"}]),
     {"web_search": 1}),
    ("files", "openai_response", response(output=[{"type": "file_search_call"}] * 2), {"file_search": 2}),
    ("containers", "openai_response", response(output=ran("", "")), {"code_interpreter": 1}),
    ("drawn", "openai_response", response(output=[{"type": "image_generation_call"}]), {"image_generation": 1}),
    # xAI: docs.x.ai/docs/guides/tools/overview, docs.x.ai/docs/guides/live-search
    ("xai_tools", "openai_response", response("grok-4-fast", usage={"server_side_tool_usage_details": {
        "web_search_calls": 1, "x_search_calls": 3, "code_interpreter_calls": 0, "document_search_calls": 2}}),
     {"web_search": 1, "x_search": 3, "document_search": 2}),
    ("xai_told_tools", "openai_response", response("grok-4-fast", usage={"num_server_side_tools_used": 3,
        "server_side_tool_usage_details": {"web_search_calls": 3}}), {"web_search": 3}),
    ("xai_items", "openai_response", response("grok-4-fast", usage={"num_server_side_tools_used": 1},
                                             output=searched("search")), {"web_search": 1}),
    # how many tools ran, and not which: a fee that nobody can know
    ("xai_untold_tools", "openai_response", answer("grok-4-fast", usage={"num_server_side_tools_used": 3}),
     {"server_side_tools": 3}),
    ("live_search", "openai_response", answer("grok-3", usage={"num_sources_used": 12}), {"live_search_sources": 12}),
    # Perplexity: a search has a fee in Deep Research; elsewhere the request has one, by the size of its context
    ("deep", "openai_response", answer("sonar-deep-research", usage={"num_search_queries": 74}), {"web_search": 74}),
    ("low", "openai_response", answer("sonar", usage={"search_context_size": "low"}), {}),
    ("high", "openai_response", answer("sonar-pro", usage={"search_context_size": "high", "num_search_queries": 1}),
     {"search_context_high": 1, "num_search_queries": 1}),
    # Whisper: developers.openai.com/api/docs/models/whisper-1
    ("seconds", "openai_response", {"requested_model": "whisper-1", "started_at": "2026-06-10T10:00:00Z",
                                    "response": {"text": "x", "usage": {"type": "duration", "seconds": 61}}},
     {"audio_seconds": 61}),
    # platform.openai.com/docs/guides/tools-web-search: in Chat Completions a search model always searches
    ("search_model", "openai_response", answer("gpt-4o-search-preview-2025-03-11"), {"web_search": 1}),
    # openrouter.ai/docs/features/web-search: what a search cost is in `cost`, so that the bill is the price
    ("router_search", "openrouter_response", answer("openai/gpt-5-mini", id="gen-1", provider="OpenAI", usage={
        "cost": 0.02, "server_tool_use": {"web_search_requests": 1}}), {"web_search": 1}),
    # docs.mistral.ai/capabilities/document_ai: pages, of which annotated ones cost more
    ("pages", "mistral_response", scanned(), {"pages": 29}),
    ("annotated", "mistral_response", scanned(document_annotation="{}"), {"annotated_pages": 29}),
    # Gemini: once a grounded prompt up to 2.5, each distinct query from 3 on: ai.google.dev/gemini-api/docs/pricing
    ("grounded_prompt", "gemini_response", {"responseId": "g1", "modelVersion": "gemini-2.5-flash",
        "createTime": "2026-06-10T10:00:00Z", "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}}],
        "usageMetadata": GEMINI}, {"web_search": 1}),
    ("grounded_queries", "gemini_response", {"responseId": "g2", "modelVersion": "gemini-3-pro-preview",
        "createTime": "2026-06-10T10:00:00Z",
        "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b", "b", ""]}}],
        "usageMetadata": GEMINI}, {"web_search": 2}),
    ("maps", "gemini_response", {"responseId": "g3", "modelVersion": "gemini-2.5-flash",
        "createTime": "2026-06-10T10:00:00Z",
        "candidates": [{"groundingMetadata": {"groundingChunks": [{"maps": {"uri": "u"}}, {"maps": {"uri": "v"}}]}}],
        "usageMetadata": GEMINI},
     {"maps_grounding": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    "kind", ["openai_response", "gemini_response", "mistral_response", "openrouter_response"]
)
def test_what_is_charged_beside_tokens_is_counted_once(kind: str) -> None:
    mine = [(name, record, meters) for name, of, record, meters in FEES if of == kind]
    rows = read_records(kind, [record for _, record, _ in mine])

    read_as = [dict(meters or {}) for meters in rows["other_meters"]]
    assert dict(zip([name for name, _, _ in mine], read_as, strict=True)) == {
        name: meters for name, _, meters in mine
    }
    assert rows["usage_source"].unique().to_list() == ["provider"]
    assert rows["unread_usage"].null_count() == rows.height


def picture(size: str = "1024x1024") -> dict[str, Any]:
    return {"type": "image_generation_call", "quality": "high", "size": size, "result": "AAAA"}


def test_pictures_and_containers_of_an_answer_are_calls_of_their_own() -> None:
    # platform.openai.com/docs/guides/tools-image-generation, .../tools-code-interpreter: billed apart from the answer
    drew = {"image_gen": {
        "input_tokens": 27, "input_tokens_details": {"image_tokens": 20, "text_tokens": 7},
        "output_tokens": 515, "output_tokens_details": {"image_tokens": 515}, "total_tokens": 542,
    }, "web_search": {"num_requests": 1}}  # fmt: skip
    tool = [{"type": "function"}, {"type": "image_generation", "model": "gpt-image-1-mini"}]
    rows = read_records("openai_response", [
        response(id="resp_a", output=[*ran("c1", "c1", "c2"), *searched("search")]),
        response(id="resp_b", output=ran("c1")),
        response(id="resp_c", output=[picture()], tools=tool, tool_usage=drew),
        response(id="resp_d", output=[picture(), picture("1024x1536")], tools=tool),
        response(id="resp_e", output=[picture("auto")], tools=tool),
        response(id="resp_f", output=[picture()], tools=[{"type": "image_generation", "model": "gpt-image-9"}]),
    ])  # fmt: skip

    read_as = [
        (row["request_id"], row["served_model"], row["usage_source"], dict(row["other_meters"] or {}))
        for row in rows.iter_rows(named=True)
    ]
    text = "gpt-5-mini-2025-08-07"
    assert read_as == [
        ("resp_a", text, "provider", {"web_search": 1}),
        ("c1", text, "estimated", {"code_interpreter": 1}),
        ("c2", text, "estimated", {"code_interpreter": 1}),
        ("resp_b", text, "provider", {}),
        # the id of before: a duplicate
        ("c1", text, "estimated", {"code_interpreter": 1}),
        ("resp_c", text, "provider", {"web_search": 1}),
        ("resp_c#2", "gpt-image-1-mini", "provider", {}),
        ("resp_d", text, "provider", {}),
        ("resp_d#2", "gpt-image-1-mini", "estimated", {}),
        ("resp_e", text, "provider", {"image_generation": 1}),
        ("resp_f", text, "provider", {"image_generation": 1}),
    ]
    drawn = [tokens_of(row) for row in rows.filter(pl.col("operation") == "image").iter_rows(named=True)]
    assert drawn == [
        {"input_uncached": 7, "image_input": 20, "image_output": 515},
        {"image_output": 4160 + 6240},
    ]
    assert rows["quarantine_reason"].null_count() == rows["unread_usage"].null_count() == rows.height


REPORTED: list[tuple[str, dict[str, Any], str, bool]] = [
    (
        "perplexity",
        answer("sonar-pro", usage={"cost": {"request_cost": 0.006, "total_cost": 0.0138}}),
        "0.0138",
        True,
    ),
    ("xai_ticks", answer("grok-4-0709", usage={"cost_in_usd_ticks": 232856001}), "0.0232856001", True),
    ("deepinfra", answer("any/model", usage={"estimated_cost": 0.00012}), "0.00012", False),
]


def test_what_a_provider_says_it_charged_is_kept() -> None:
    rows = read_records("openai_response", [record for _, record, _, _ in REPORTED])

    for (name, _, dollars, is_billed), row in zip(REPORTED, rows.iter_rows(named=True), strict=True):
        assert (name, f"{row['provider_reported_cost_usd']:f}".rstrip("0")) == (name, dollars)
        assert (name, bool(row["is_cost_billed"])) == (name, is_billed)


GATEWAY: list[tuple[str, dict[str, Any], dict[str, int], dict[str, float]]] = [
    # github.com/BerriAI/litellm/issues/16009: hits beside empty details
    ("deepseek", gateway({"prompt_tokens_details": None, "prompt_cache_hit_tokens": 640}, model="deepseek-chat",
                         custom_llm_provider="deepseek"), CACHED, {}),
    ("zero", gateway({"prompt_tokens_details": {"cached_tokens": 0}, "cache_read_input_tokens": 640}), CACHED, {}),
    ("xai", gateway({"total_tokens": 1400, "completion_tokens_details": {"reasoning_tokens": 300}}, total_tokens=1400,
                    model="grok-3-mini", custom_llm_provider="xai"), PLAIN | {"reasoning": 300}, {}),
    ("gemini", gateway({"total_tokens": 1600}, total_tokens=1600, model="gemini/gemini-2.5-pro",
                       custom_llm_provider="gemini"), PLAIN | {"reasoning": 500}, {}),
    ("perplexity", gateway({"citation_tokens": 70, "num_search_queries": 7, "reasoning_tokens": 900},
                           model="perplexity/sonar-deep-research", custom_llm_provider="perplexity"),
     PLAIN | {"other_input": 70, "reasoning": 900}, {"web_search": 7}),
    ("hour", gateway({"cache_creation_input_tokens": 200, "cache_creation": {"ephemeral_1h_input_tokens": 200}}),
     {"input_uncached": 800, "cache_write_1h": 200, "output_text": 100}, {}),
    ("grounded", gateway({"prompt_tokens_details": {"web_search_requests": 3}}, model="gemini/gemini-2.5-flash",
                         custom_llm_provider="gemini"), PLAIN, {"web_search": 1}),
    # images: platform.openai.com/docs/api-reference/images/object, as the gateway hands it on
    ("drawn", gateway({"input_tokens_details": {"image_tokens": 900, "text_tokens": 100}}, model="gpt-image-1",
                      custom_llm_provider="openai", call_type="aimage_generation"),
     {"input_uncached": 100, "image_input": 900, "image_output": 100}, {}),
    ("search_model", gateway({}, model="gpt-4o-mini-search-preview", custom_llm_provider="openai"), PLAIN,
     {"web_search": 1}),
    ("reranked", gateway({"search_units": 2}, model="rerank-v3.5", custom_llm_provider="cohere", call_type="arerank"),
     PLAIN, {"search_units": 2}),
    # a gateway that states a tool's dollars and no count: github.com/BerriAI/litellm/issues/31316
    ("tool_fee", gateway({}, metadata={"usage_object": {"prompt_tokens": 1000, "completion_tokens": 100},
                                       "cost_breakdown": {"tool_usage_cost": 0.04}}), PLAIN, {"tool_fees_usd": 0.04}),
]  # fmt: skip


def test_a_gateways_row_has_each_providers_counts_wherever_it_puts_them() -> None:
    rows = read_records("litellm_spend_logs", [record for _, record, _, _ in GATEWAY])

    for (name, _, tokens, meters), row in zip(GATEWAY, rows.iter_rows(named=True), strict=True):
        assert row["quarantine_reason"] is None, (name, row["quarantine_detail"])
        assert (name, tokens_of(row)) == (name, tokens)
        assert (name, {key: float(value) for key, value in (row["other_meters"] or {}).items()}) == (
            name,
            meters,
        )


NAMES: list[tuple[str, str, str, str | None, str]] = [
    ("bedrock", "bedrock/converse/us.anthropic.claude-x-v1:0", "us.anthropic.claude-x-v1:0", None, "default"),
    ("bedrock", "bedrock/eu-central-1/anthropic.claude-x-v1:0", "anthropic.claude-x-v1:0", "eu-central-1", "default"),
    ("bedrock_converse", "bedrock/invoke/global.anthropic.claude-x-v1:0", "global.anthropic.claude-x-v1:0", None,
     "default"),
    ("bedrock", "bedrock/us-gov-west-1/anthropic.claude-x-v1:0", "anthropic.claude-x-v1:0", "us-gov-west-1", "default"),
    ("bedrock", "bedrock/us-east-1/1-month-commitment/anthropic.claude-x", "anthropic.claude-x", "us-east-1",
     "provisioned"),
    ("bedrock", "bedrock/arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x",
     "us.anthropic.claude-x", "us-east-1", "default"),
    ("bedrock", "bedrock/converse/arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
     "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", "us-east-1", "default"),
    ("azure", "azure/eu/gpt-4o-2024-08-06", "gpt-4o-2024-08-06", "eu", "default"),
    ("azure", "azure/global-standard/gpt-4o", "gpt-4o", None, "default"),
    ("openrouter", "openrouter/anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5", None, "default"),
]  # fmt: skip


def test_what_chooses_the_price_leaves_a_gateways_name_for_its_own_column() -> None:
    records = [
        gateway({}, custom_llm_provider=provider, model=model, api_base="") for provider, model, *_ in NAMES
    ]
    rows = read_records("litellm_spend_logs", records)

    read_as = rows.select("served_model", "region", "service_tier").rows()
    assert read_as == [(served, region, tier) for _, _, served, region, tier in NAMES]


def test_a_call_at_vertex_is_placed_by_the_address_it_was_sent_to() -> None:
    addresses = {
        "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1/x": "europe-west1",
        "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/x": "global",
        "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/publishers/x": "eu",
        "": None,
    }
    calls = [
        gateway({}, custom_llm_provider="vertex_ai", model="vertex_ai/m", api_base=told) for told in addresses
    ]

    assert read_records("litellm_spend_logs", calls)["region"].to_list() == [*addresses.values()]


BATCH: list[tuple[str, str, dict[str, Any], str | None]] = [
    ("bedrock_response", "aws.bedrock", {"recordId": "R1", "modelInput": {}, "modelOutput": {
        "id": "msg_bdrk_1", "model": "claude-sonnet-4-20250514", "usage": CLAUDE}}, "R1"),
    ("gemini_response", "gcp.gemini", {"key": "k1", "response": {"responseId": "b", "modelVersion": "gemini-2.5-flash",
        "usageMetadata": GEMINI}}, "k1"),
    ("gemini_response", "gcp.vertex_ai", {"status": "", "processed_time": "2026-06-10T10:00:00Z", "request": {},
        "response": {"responseId": "c", "modelVersion": "gemini-2.5-flash",
            "usageMetadata": GEMINI}}, None),
    ("anthropic_response", "anthropic", {"custom_id": "a1", "result": {"type": "succeeded", "message": {
        "id": "msg_1", "model": "claude-sonnet-4-5", "usage": CLAUDE}}}, "a1"),
    ("openai_response", "openai", {"id": "batch_req_1", "custom_id": "b1", "error": None, "response": {
        "status_code": 200,
        "body": answer(usage={"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15})}}, "b1"),
]  # fmt: skip


def test_a_line_of_batch_results_is_told_and_has_the_batch_tier() -> None:
    for kind, provider, record, line in BATCH:
        assert [fit.kind for fit in fitting(record)] == [kind]
        row = read_records(kind, [record | {"started_at": "2026-06-10T10:00:00Z"}]).row(0, named=True)
        assert (row["provider"], row["service_tier"], row["logical_request_id"]) == (provider, "batch", line)
        assert tokens_of(row) == {"input_uncached": 10, "output_text": 5}


def test_a_name_that_is_given_to_one_provider_is_in_no_sheet_of_another_with_that_shape() -> None:
    sharing = (
        "openai",
        "mistral_ai",
        "deepseek",
        "x_ai",
        "perplexity",
        "moonshot_ai",
        "together",
        "baseten",
        "groq",
    )
    sheets = {
        name.removesuffix(".yml").rsplit("/", 1)[-1]: text for name, text in builtin_token_sheets().items()
    }
    for provider in sharing:
        names = re.findall(r"^  - model: \"?([^\"\n]+)\"?$", sheets[provider], flags=re.MULTILINE)
        owners = pl.Series(names).to_frame("name").select(owner_of(pl.col("name"))).to_series()
        assert names
        assert set(owners) <= {None, provider}, provider
