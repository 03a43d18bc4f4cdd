"""Arize Phoenix' spans: its REST API and client, and its data frames as Parquet, CSV or JSON lines.

Attributes are OpenInference's: in an object, or in columns `attributes.NAME`, of which those listed here are read. A
span of the kind LLM or EMBEDDING is a call; chains and agents repeat the tokens beneath them. The provider's id is
taken from the logged answer, where there is one, so that a gateway's log of the same call is told as such.
Source: arize-phoenix 20.26, phoenix.client (its own output), OpenInference semantic conventions, read 2026-11-29.
"""

from models.logs.span_rows import SpanRows, span_rows_importer
from models.records import tried

_NAMES = (
    "openinference.span.kind",
    "llm.system",
    "llm.provider",
    "llm.model_name",
    "embedding.model_name",
    "reranker.model_name",
    "llm.token_count.prompt",
    "llm.token_count.completion",
    "llm.token_count.total",
    "llm.token_count.prompt_details.cache_read",
    "llm.token_count.prompt_details.cache_write",
    "llm.token_count.prompt_details.cache_input",
    "llm.token_count.prompt_details.audio",
    "llm.token_count.completion_details.reasoning",
    "llm.token_count.completion_details.audio",
    "llm.cost.total",
    "session.id",
    "user.id",
    "output.value",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.system",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.response.id",
    "gen_ai.conversation.id",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
)


def _context(name: str) -> str:
    inner = tried("context", f"json_extract_string({{}}, '$.{name}')")
    return f'coalesce("context.{name}", {inner}, "{name}")'


IMPORTER = span_rows_importer(
    SpanRows(
        kind="phoenix_spans",
        columns=(
            "context", "context.trace_id", "context.span_id", "trace_id", "span_id", "parent_id", "span_kind",
            "start_time", "end_time", "status_code",
        ),
        fields={
            "trace_id": _context("trace_id"),
            "span_id": _context("span_id"),
            "parent_id": "parent_id",
            "started": "start_time",
            "ended": "end_time",
            "status_code": "status_code",
        },
        objects=("attributes",),
        nested=_NAMES,
        prefix="attributes.",
        more={"openinference.span.kind": "span_kind"},
        signature=(
            frozenset({"context.span_id", "span_kind", "start_time"}),
            frozenset({"context.span_id", "attributes.openinference.span.kind"}),
            frozenset({"span_id", "span_kind", "attributes.openinference.span.kind"}),
        ),
        rank=13,
    )
)  # fmt: skip
