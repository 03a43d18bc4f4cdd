"""The real OpenTelemetry SDK and its OTLP encoding: spans of an instrumented call, as the file exporter writes them."""

import base64
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as names
from opentelemetry.trace import SpanKind, Status, StatusCode

from tests.models.logs.reading import read_records, tokens_of

IDS = ("traceId", "spanId", "parentSpanId")


class OtlpJson(SpanExporter):
    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.lines.append(MessageToDict(encode_spans(spans)))
        return SpanExportResult.SUCCESS


def hexed(line: Any) -> Any:
    """Write ids as OTLP JSON does, in hexadecimal; plain protobuf JSON has base64."""
    if isinstance(line, list):
        return [hexed(item) for item in line]
    if not isinstance(line, dict):
        return line
    return {key: base64.b64decode(value).hex() if key in IDS else hexed(value) for key, value in line.items()}


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    exporter = OtlpJson()
    provider = TracerProvider(
        resource=Resource.create({"service.name": "search-api", "cloud.region": "us-east-1"})
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("nanodollar.test")
    with tracer.start_as_current_span("invoke_agent") as agent:
        agent.set_attribute(names.GEN_AI_OPERATION_NAME, "invoke_agent")
        agent.set_attribute(names.GEN_AI_USAGE_INPUT_TOKENS, 1000)
        with tracer.start_as_current_span("chat gpt-x", kind=SpanKind.CLIENT) as chat:
            chat.set_attributes(
                {
                    names.GEN_AI_OPERATION_NAME: "chat",
                    names.GEN_AI_PROVIDER_NAME: "anthropic",
                    names.GEN_AI_REQUEST_MODEL: "claude-sonnet-4-5",
                    names.GEN_AI_RESPONSE_MODEL: "claude-sonnet-4-5-20250929",
                    names.GEN_AI_RESPONSE_ID: "msg_1",
                    names.GEN_AI_USAGE_INPUT_TOKENS: 1000,
                    "gen_ai.usage.cache_read.input_tokens": 400,
                    names.GEN_AI_USAGE_OUTPUT_TOKENS: 200,
                    names.GEN_AI_RESPONSE_FINISH_REASONS: ["stop"],
                }
            )
        with tracer.start_as_current_span("chat gpt-x", kind=SpanKind.CLIENT) as failed:
            failed.set_attributes({names.GEN_AI_OPERATION_NAME: "chat", "error.type": "RateLimitError"})
            failed.set_status(Status(StatusCode.ERROR, "429"))
    provider.shutdown()
    return exporter.lines


@pytest.mark.parametrize("write", [hexed, lambda lines: lines], ids=["hexadecimal ids", "base64 ids"])
def test_spans_of_the_real_sdk_have_their_tokens(lines, write):
    rows = read_records("otel_genai", write(lines))
    assert rows["is_sum"].sum() == 1
    chat, failed = rows.filter(~pl.col("is_sum")).rows(named=True)
    assert tokens_of(chat) == {"input_uncached": 600, "cache_read": 400, "output_text": 200}
    assert (chat["provider"], chat["team"], chat["region"]) == ("anthropic", "search-api", "us-east-1")
    assert chat["started_at"] <= chat["finished_at"]
    assert chat["quarantine_reason"] is failed["quarantine_reason"] is None
    assert (failed["status"], failed["error_class"], failed["usage_source"]) == (
        "error",
        "RateLimitError",
        "missing",
    )
    assert failed["request_id"] != chat["request_id"]
