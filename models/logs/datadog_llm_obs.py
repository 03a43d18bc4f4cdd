"""Datadog's LLM Observability spans: its export API, and what its SDK and intake API take.

Spans of the kinds `llm` and `embedding` are calls; agents, workflows, tasks and tools repeat or hold none. The SDK
counts `input_tokens` with what was read from and written to a cache. Durations are nanoseconds. Costs are Datadog's
own.
Source: docs.datadoghq.com/llm_observability (HTTP API, metrics), ddtrace 4.16 (its own span events), read 2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer

_CALLS = ("llm", "embedding")
_NANOSECONDS = 1e9


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_call = pl.col("span_kind").str.to_lowercase().is_in(_CALLS).fill_null(value=False)
    has_counts = pl.col("prompt").is_not_null() | pl.col("completion").is_not_null()
    is_sum = ~is_call & has_counts & pl.col("trace_id").is_not_null()
    entry = pl.element().struct.field
    app = pl.col("tag_entries").list.eval(entry("value").filter(entry("key") == "ml_app")).list.first()
    root = pl.col("parent_id").is_in(["undefined", "0", ""])
    return frame.with_columns(
        cache_apart=pl.lit(value=False),
        is_sum=is_sum,
        is_ignored=~is_call & ~is_sum,
        parent_id=pl.when(~root.fill_null(value=False)).then("parent_id"),
        team=pl.coalesce("app", app, "team"),
        operation_name=pl.when(is_call).then("span_kind"),
        provider=pl.col("provider").replace({"amazon_bedrock": "aws.bedrock"}),
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="datadog_llm_obs",
        texts={
            "request_id": ("span_id", "attributes$.span_id"),
            "logical_request_id": ("trace_id", "attributes$.trace_id"),
            "trace_id": ("trace_id", "attributes$.trace_id"),
            "span_id": ("span_id", "attributes$.span_id"),
            "parent_id": ("parent_id", "attributes$.parent_id"),
            "span_kind": (
                "meta$.kind", "meta$.span.kind", "attributes$.span_kind", "attributes$.meta.kind", "span_kind",
            ),
            "provider": (
                "meta$.model_provider", "meta$.metadata.model_provider", "attributes$.model_provider",
                "attributes$.meta.model_provider", "model_provider",
            ),
            "served_model": (
                "meta$.model_name", "meta$.metadata.model_name", "attributes$.model_name",
                "attributes$.meta.model_name", "model_name",
            ),
            "session_id": ("session_id", "attributes$.session_id"),
            "app": ("ml_app", "attributes$.ml_app"),
            "team": ("service",),
            "state": ("status", "attributes$.status"),
        },
        instants={
            "started": ("start_ns", "attributes$.start_ns", "attributes$.start_ms", "start", "attributes$.timestamp"),
        },
        durations={"latency": ("duration", "attributes$.duration")},
        duration_scale=_NANOSECONDS,
        usage=(UsagePlaces(place="metrics"), UsagePlaces(place="attributes$.metrics")),
        metadata="meta$.metadata",
        tag_list="tags",
        amend=_amend,
        signature=(
            frozenset({"span_id", "metrics", "meta.kind"}),
            frozenset({"span_id", "metrics", "meta.span.kind"}),
            frozenset({"span_id", "start_ns", "meta.kind"}),
            frozenset({"attributes.span_kind", "attributes.trace_id", "attributes.ml_app"}),
        ),
        rank=14,
    )
)  # fmt: skip
