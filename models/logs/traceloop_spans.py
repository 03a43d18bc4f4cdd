"""Traceloop's spans as its API tells them (`GET /v2/warehouse/spans`).

Attributes are OpenLLMetry's, in `span_attributes`; the time is in milliseconds, and the end is the start and
`duration`. What OpenLLMetry sends as OTLP is read by `otel_genai`.
Source: traceloop.com/docs/api-reference/warehouse/get_spans, opentelemetry-instrumentation-openai 0.62 (its own
output), read 2026-11-29.
"""

from models.logs.span_rows import SpanRows, span_rows_importer
from models.records import tried


def _resource(name: str) -> str:
    return tried("resource_attributes", f"json_extract_string({{}}, '$.\"{name}\"')")


IMPORTER = span_rows_importer(
    SpanRows(
        kind="traceloop_spans",
        columns=(
            "trace_id", "span_id", "parent_span_id", "span_kind", "timestamp", "duration", "status_code",
            "service_name", "environment", "scope_name", "resource_attributes",
        ),
        fields={
            "trace_id": "trace_id",
            "span_id": "span_id",
            "parent_id": "parent_span_id",
            "span_kind": "span_kind",
            "started": '"timestamp"',
            "status_code": "status_code",
            "service": "service_name",
            "environment": "environment",
            "scope": "scope_name",
            "region": _resource("cloud.region"),
            "pod": _resource("k8s.pod.name"),
        },
        duration_ms="duration",
        objects=("span_attributes",),
        signature=(frozenset({"span_attributes", "span_id", "trace_id"}),),
        rank=13,
    )
)  # fmt: skip
