"""Spans as the frameworks write them: each spelling of a count, what each instrumentation includes, and which spans are
calls. One row a dialect, with where it is told of."""

from typing import Any

import polars as pl

from tests.models.logs.reading import read_records, tokens_of
from tests.models.logs.test_otel_genai import KIND, export, span

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
OPENAI = CHAT | {"gen_ai.provider.name": "openai"}
ANTHROPIC = CHAT | {"gen_ai.provider.name": "anthropic"}
GEMINI = CHAT | {"gen_ai.provider.name": "gcp.gemini"}
USED = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 200}
READ = {"input_uncached": 600, "cache_read": 400, "output_text": 200}
WRITTEN = {"input_uncached": 500, "cache_read": 400, "cache_write_5m": 100, "output_text": 200}
THOUGHT = {"input_uncached": 600, "cache_read": 400, "output_text": 150, "reasoning": 50}


def usage(**counts: int) -> dict[str, int]:
    return {f"gen_ai.usage.{name}": value for name, value in counts.items()}


DIALECTS: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    # https://github.com/pydantic/pydantic-ai/issues/2262
    "Pydantic AI over OpenAI": (OPENAI | USED | {"gen_ai.usage.details.cached_tokens": 400}, READ),
    "Pydantic AI over Anthropic": (
        ANTHROPIC | USED | {
            "gen_ai.usage.details.cache_read_tokens": 400, "gen_ai.usage.details.cache_write_tokens": 100,
            "gen_ai.usage.details.input_tokens": 500, "gen_ai.usage.details.output_tokens": 200,
        },
        WRITTEN,
    ),
    "Pydantic AI, details of Anthropic's own names": (
        ANTHROPIC | USED | {
            "gen_ai.usage.details.cache_read_input_tokens": 400,
            "gen_ai.usage.details.cache_creation_input_tokens": 100,
        },
        WRITTEN,
    ),
    "a 0 in one place and a count in another": (
        OPENAI | USED | {"gen_ai.usage.cache_read.input_tokens": 0, "gen_ai.usage.details.cached_tokens": 400}, READ
    ),
    # https://github.com/strands-agents/harness-sdk/issues/1267
    "Strands over Bedrock, four disjoint counts in the total": (
        ANTHROPIC | {"gen_ai.provider.name": "aws.bedrock"} | usage(
            input_tokens=500, output_tokens=200, cache_read_input_tokens=400, cache_write_input_tokens=100,
            total_tokens=1200,
        ),
        WRITTEN,
    ),
    # https://develop.sentry.dev/sdk/telemetry/traces/modules/ai-agents/
    "Sentry": (
        OPENAI | USED | {
            "gen_ai.usage.input_tokens.cached": 400, "gen_ai.usage.output_tokens.reasoning": 50,
            "gen_ai.usage.total_tokens": 1200,
        },
        THOUGHT,
    ),
    "Sentry, cache writes": (
        ANTHROPIC | USED | {"gen_ai.usage.input_tokens.cached": 400, "gen_ai.usage.input_tokens.cache_write": 100},
        WRITTEN,
    ),
    # openllmetry, semconv_ai
    "openllmetry": (
        {"llm.request.type": "chat", "gen_ai.system": "OpenAI", "gen_ai.request.model": "m"} | usage(
            prompt_tokens=1000, completion_tokens=200, cache_read_input_tokens=400, reasoning_tokens=50,
        ) | {"llm.usage.total_tokens": 1200},
        THOUGHT,
    ),
    # https://github.com/Arize-ai/openinference, semantic conventions
    "OpenInference": (
        {
            "openinference.span.kind": "LLM", "llm.provider": "openai", "llm.model_name": "m",
            "llm.token_count.prompt": 1000, "llm.token_count.completion": 200,
            "llm.token_count.prompt_details.cache_read": 400, "llm.token_count.completion_details.reasoning": 50,
        },
        THOUGHT,
    ),
    # https://ai-sdk.dev/docs/ai-sdk-core/telemetry
    "AI SDK 4": (
        {
            "ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "m", "ai.model.provider": "openai.chat",
            "ai.usage.promptTokens": 1000, "ai.usage.completionTokens": 200,
            "ai.response.providerMetadata": '{"openai":{"cachedPromptTokens":400,"reasoningTokens":50}}',
        },
        THOUGHT,
    ),
    "AI SDK 5 over OpenAI": (
        {
            "ai.operationId": "ai.streamText.doStream", "ai.model.id": "m", "ai.model.provider": "openai.responses",
            "ai.usage.inputTokens": 1000, "ai.usage.outputTokens": 200, "ai.usage.totalTokens": 1200,
            "ai.usage.cachedInputTokens": 400, "ai.usage.reasoningTokens": 50,
        },
        THOUGHT,
    ),
    "AI SDK 5 over Anthropic, whose input is without the cache": (
        {
            "ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "m",
            "ai.model.provider": "anthropic.messages", "ai.usage.inputTokens": 600, "ai.usage.outputTokens": 200,
            "ai.usage.totalTokens": 800, "ai.usage.cachedInputTokens": 400,
        },
        READ,
    ),
    "AI SDK 6": (
        {
            "ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "m",
            "ai.model.provider": "anthropic.messages", "ai.usage.inputTokens": 1000, "ai.usage.outputTokens": 200,
            "ai.usage.inputTokenDetails.noCacheTokens": 500, "ai.usage.inputTokenDetails.cacheReadTokens": 400,
            "ai.usage.inputTokenDetails.cacheWriteTokens": 100, "ai.usage.outputTokenDetails.textTokens": 200,
        },
        WRITTEN,
    ),
    # langsmith SDK, otel exporter
    "LangSmith": (
        OPENAI | USED | {
            "langsmith.span.kind": "llm", "gen_ai.usage.input_token_details": '{"cache_read": 400}',
            "gen_ai.usage.output_token_details": '{"reasoning": 50}',
        },
        THOUGHT,
    ),
    # https://mlflow.org/docs/latest/genai/tracing
    "MLflow": (
        {
            "mlflow.spanType": '"CHAT_MODEL"', "gen_ai.request.model": "m",
            "mlflow.chat.tokenUsage":
                '{"input_tokens": 1000, "output_tokens": 200, "total_tokens": 1200, "cache_read_input_tokens": 400}',
        },
        READ,
    ),
    # mlflow.entities.span.SpanAttributeKey: texts are JSON, quotes included
    "MLflow, its own model and provider": (
        {
            "mlflow.spanType": '"LLM"', "mlflow.llm.model": '"m"', "mlflow.llm.provider": '"openai"',
            "mlflow.trace.session": '"s1"', "mlflow.llm.cost": '{"input_cost": 0.1, "total_cost": 0.25}',
            "mlflow.chat.tokenUsage": '{"input_tokens": 1000, "output_tokens": 200, "cache_read_input_tokens": 400}',
        },
        READ,
    ),
    # github.com/google/adk-python, telemetry: the answer's own usage stands in its text
    "ADK": (
        {
            "gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-flash",
            "gcp.vertex.agent.session_id": "s1", "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 150,
            "gcp.vertex.agent.llm_response":
                '{"content": {"parts": [{"function_call": {"args": {"input": 9, "s": "\\"total_token_count\\": 7"}}}]},'
                ' "usage_metadata": {"cached_content_token_count": 400, "candidates_token_count": 150, '
                '"prompt_token_count": 1000, "prompt_tokens_details": [{"modality": "TEXT", "token_count": 1000}], '
                '"thoughts_token_count": 50, "total_token_count": 1200}}',
        },
        THOUGHT,
    ),
    "Langtrace": (
        CHAT | {"llm.token.counts": '{"input_tokens": 1000, "output_tokens": 200, "cached_tokens": 400}'}, READ
    ),
    "OpenLIT": (
        OPENAI | USED | {
            "gen_ai.usage.prompt_tokens_details.cache_read": 400,
            "gen_ai.usage.completion_tokens_details.reasoning": 50,
        },
        THOUGHT,
    ),
    "DeepSeek's own names": (
        CHAT | usage(
            prompt_tokens=1000, completion_tokens=200, prompt_cache_hit_tokens=400, prompt_cache_miss_tokens=600
        ),
        READ,
    ),
    # https://ai.google.dev/gemini-api/docs/thinking: thoughts stand beside the candidates
    "Gemini, thoughts in the total": (
        GEMINI | usage(input_tokens=1000, output_tokens=150, reasoning_tokens=50, total_tokens=1200)
        | {"gen_ai.usage.cached_content_tokens": 400},
        THOUGHT,
    ),
    # OpenLLMetry hands on Gemini's total, and no thoughts: github.com/traceloop/openllmetry/issues/3439
    "Gemini, thoughts in the total alone": (
        CHAT | {"gen_ai.system": "Google", "gen_ai.request.model": "gemini-2.5-pro"}
        | usage(input_tokens=1000, output_tokens=150, total_tokens=1200, cached_content_tokens=400),
        THOUGHT,
    ),
    "Gemini, more thoughts than candidates": (
        GEMINI | usage(input_tokens=1000, output_tokens=20, thoughts_tokens=50),
        {"input_uncached": 1000, "output_text": 20, "reasoning": 50},
    ),
    "xAI, reasoning in the total": (
        CHAT | {"gen_ai.provider.name": "x_ai"}
        | usage(input_tokens=1000, output_tokens=150, reasoning_tokens=50, total_tokens=1200)
        | {"gen_ai.usage.cached_tokens": 400},
        THOUGHT,
    ),
    "a write for an hour": (
        ANTHROPIC | USED | {
            "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens": 100, "gen_ai.usage.cache_read.input_tokens": 400,
            "gen_ai.usage.cache_creation.input_tokens": 100,
        },
        {"input_uncached": 500, "cache_read": 400, "cache_write_1h": 100, "output_text": 200},
    ),
    "an embedding of the AI SDK": (
        {"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "m", "ai.usage.tokens": 12}, {"input_uncached": 12}
    ),
    "Semantic Kernel's name of the operation": (USED | {"gen_ai.operation.name": "chat.completions"}, {
        "input_uncached": 1000, "output_text": 200,
    }),
}  # fmt: skip


def test_every_dialect_has_its_classes() -> None:
    spans = [span(names, spanId=f"{number:016x}") for number, (names, _) in enumerate(DIALECTS.values())]

    rows = read_records(KIND, [export(*spans)])

    assert rows.height == len(DIALECTS)
    for (name, (_, tokens)), row in zip(DIALECTS.items(), rows.rows(named=True), strict=True):
        assert (name, row["quarantine_reason"], row["is_ignored"], row["is_sum"]) == (
            name,
            None,
            False,
            False,
        )
        assert (name, tokens_of(row)) == (name, tokens)
        assert (name, row["unread_usage"]) == (name, None)


SUMS = {
    "OpenInference agent": {"openinference.span.kind": "AGENT", "llm.token_count.prompt": 9},
    "OpenInference chain": {"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 9},
    "OpenTelemetry agent": {"gen_ai.operation.name": "invoke_agent", **USED},
    "OpenTelemetry workflow": {"gen_ai.operation.name": "invoke_workflow", **USED},
    "openllmetry workflow": {"traceloop.span.kind": "workflow", **USED},
    "openllmetry task": {"traceloop.span.kind": "task", **USED},
    "AI SDK, outer call": {"ai.operationId": "ai.generateText", "ai.usage.promptTokens": 9},
    "AI SDK, older": {"operation.name": "ai.streamText my-function", "ai.usage.inputTokens": 9},
    "Pydantic AI, older agent run": {"agent_name": "a", "final_result": "x", "model_name": "m", **USED},
    "LangSmith chain": {"langsmith.span.kind": "chain", **USED},
    "MLflow agent": {"mlflow.spanType": '"AGENT"', **USED},
    "Langfuse agent": {"langfuse.observation.type": "agent", **USED},
    "Strands cycle": {"gen_ai.operation.name": "execute_event_loop_cycle", **USED},
}


def test_what_makes_calls_is_a_sum_and_no_call() -> None:
    spans = [span(names, spanId=f"{number:016x}") for number, names in enumerate(SUMS.values())]

    rows = read_records(KIND, [export(*spans)])

    told = dict(zip(SUMS, rows.select("is_sum", "is_ignored").rows(), strict=True))
    assert told == dict.fromkeys(SUMS, (True, False))


def test_a_span_that_nobody_counts_lies_between_and_the_counted_one_above_is_named() -> None:
    chain = [
        span(USED, spanId="a", name="framework"),
        span({"http.method": "POST"}, spanId="b", parentSpanId="a"),
        span({"gen_ai.operation.name": "execute_tool"}, spanId="c", parentSpanId="b"),
        span(OPENAI | USED, spanId="d", parentSpanId="c"),
        span(OPENAI | USED, spanId="e", parentSpanId="elsewhere"),
    ]

    rows = read_records(KIND, [export(*chain[:2]), export(*chain[2:])]).filter(~pl.col("is_ignored"))

    assert rows.select("span_id", "parent_span_id").rows() == [("a", None), ("d", "a"), ("e", "elsewhere")]


def test_who_serves_a_call_is_told_by_it_or_above_it_or_by_a_name_that_one_cloud_gives() -> None:
    bedrock, openai = ({"gen_ai.request.model": name} for name in ("us.amazon.nova-pro-v1:0", "gpt-4o-mini"))
    spans = [
        span(USED | {"openinference.span.kind": "LLM", "llm.provider": "openai"}, spanId="a"),
        span(USED | openai | {"openinference.span.kind": "LLM"}, spanId="b", parentSpanId="a"),
        span(CHAT | USED | bedrock | {"gen_ai.system": "strands-agents"}, spanId="c"),
        # Azure's calls bear the same name.
        span(CHAT | USED | openai, spanId="d"),
    ]

    rows = read_records(KIND, [export(*spans)])

    assert rows["provider"].to_list() == ["openai", "openai", "aws.bedrock", None]


def test_a_usage_field_that_no_rule_reads_is_named_and_others_are_not() -> None:
    names = (
        OPENAI | USED | {"gen_ai.usage.citation_tokens": 7, "gen_ai.usage.smell": 0, "gen_ai.usage.cost": 0.5}
    )

    row = read_records(KIND, [export(span(names))]).row(0, named=True)

    assert row["unread_usage"] == "gen_ai.usage.citation_tokens"
    assert float(row["provider_reported_cost_usd"]) == 0.5


def test_who_asked_is_told_by_attributes_and_resources() -> None:
    names = OPENAI | USED | {
        "user.id": "u1", "session.id": "s1", "metadata.tenant_id": "acme",
        "traceloop.association.properties.team": "ml",
        "ai.telemetry.metadata.feature": "search", "langfuse.trace.tags": "beta", "input.value": "secret words",
    }  # fmt: skip

    row = read_records(KIND, [export(span(names), service_name="api", deployment_environment="prod")]).row(
        0, named=True
    )

    assert (row["user_id"], row["session_id"], row["tenant"], row["team"]) == ("u1", "s1", "acme", "ml")
    tags = dict(row["tags"])
    assert (tags["feature"], tags["environment"], tags["service"]) == ("search", "prod", "api")
    assert "secret" not in str(row)
    bare = read_records(KIND, [export(span(OPENAI | USED), service_name="api", tenant_id="acme")]).row(
        0, named=True
    )
    assert (bare["tenant"], bare["team"]) == ("acme", "api")


def test_a_response_and_an_observation_name_what_of_their_usage_is_not_read() -> None:
    usage = {
        "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "queue_time": 0.5, "smell": 0,
        "prompt_tokens_details": {"cached_tokens": 0, "secret_tokens": 3}, "note": 'a "quoted": 5, text',
    }  # fmt: skip
    answer = {
        "id": "chatcmpl-x",
        "object": "chat.completion",
        "created": 1781085600,
        "model": "m",
        "usage": usage,
    }
    known = answer | {
        "usage": {"prompt_tokens": 10, "input_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    }

    rows = read_records("openai_response", [answer, {"response": answer, "provider": "openai"}, known])

    field = "usage.prompt_tokens_details.secret_tokens"
    assert rows["unread_usage"].to_list() == [field, field, None]
