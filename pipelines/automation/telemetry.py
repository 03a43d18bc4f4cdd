"""Traces and metrics for an OpenTelemetry collector: a span for each Dagster run and step, and the monitor's metrics.

All is read from Dagster's event log and the lake after a run has ended, so that runs of every kind are told alike and
none waits for a collector. Where to send is said by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from itertools import groupby
from typing import TYPE_CHECKING, Any

import dagster as dg

from models.errors import ConfigurationError, DataError
from pipelines.automation.described import sensor
from pipelines.automation.metrics import Sample, samples
from pipelines.warehouse.resource import Warehouse

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_RUNS_AT_ONCE = 1000
_TIMEOUT_SECONDS = 10
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True)
class Sent:
    """How many runs and values were sent, and up to when runs are told."""

    run_count: int
    sample_count: int
    told_until: datetime


@sensor(60)
def telemetry(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Send a trace of each run that has ended, and the metrics, to the collector of OTEL_EXPORTER_OTLP_ENDPOINT."""
    if not os.environ.get(ENDPOINT):
        return dg.SkipReason(f"No collector is named: {ENDPOINT} is not set.")
    begun = datetime.now(UTC)
    since = datetime.fromisoformat(context.cursor) if context.cursor else begun - timedelta(hours=1)
    sent = send_telemetry(context.resources.warehouse, context.instance, since=since, now=begun)
    context.update_cursor(sent.told_until.isoformat())
    return dg.SkipReason(f"Sent {sent.run_count} runs and {sent.sample_count} values.")


def send_since(warehouse: Warehouse, *, since: datetime, now: datetime) -> Sent:
    """Send what `send_telemetry` does, of the project's own Dagster instance."""
    from pipelines.automation.runner import dagster_home  # which knows the sensor above

    with dg.DagsterInstance.from_config(str(dagster_home(warehouse.project))) as instance:
        return send_telemetry(warehouse, instance, since=since, now=now)


def send_telemetry(
    warehouse: Warehouse, instance: dg.DagsterInstance, *, since: datetime, now: datetime
) -> Sent:
    """Send the spans of runs that ended after an instant, and the metrics of now.

    A run's ids are its own: one that is sent twice is one trace.

    Raises:
        ConfigurationError: the SDK is not installed.
        DataError: the collector does not take them.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics.export import MetricExportResult
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import SpanExportResult
    except ImportError as error:
        raise ConfigurationError(
            f"{ENDPOINT} is set, but OpenTelemetry is not installed; run `pip install 'nanodollar[otel]'`."
        ) from error
    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "nanodollar"),
            "service.version": version("nanodollar"),
            "nanodollar.project": warehouse.project.folder.name,
        }
    )
    records = instance.get_run_records(
        dg.RunsFilter(statuses=_ENDED, updated_after=since), limit=_RUNS_AT_ONCE, ascending=True
    )
    spans = [span for record in records for span in _spans(instance, record, resource)]
    values = samples(warehouse, now=now)
    is_taken = True
    if spans:
        exporter = OTLPSpanExporter(timeout=_TIMEOUT_SECONDS)
        is_taken = exporter.export(spans) is SpanExportResult.SUCCESS
        exporter.shutdown()  # type: ignore[no-untyped-call]
    if is_taken:
        metric_exporter = OTLPMetricExporter(timeout=_TIMEOUT_SECONDS)
        is_taken = metric_exporter.export(_metrics(values, resource, now=now)) is MetricExportResult.SUCCESS
        metric_exporter.shutdown()
    if not is_taken:
        raise DataError(
            f"The collector at {os.environ.get(ENDPOINT, 'the endpoint of OpenTelemetry')} does not take what is sent; "
            f"check {ENDPOINT} and whether it speaks OTLP over HTTP. The next attempt sends the same again."
        )
    last = max((record.update_timestamp for record in records), default=since)
    return Sent(len(records), len(values), last)


def _spans(instance: dg.DagsterInstance, record: dg.RunRecord, resource: "Resource") -> Iterator[Any]:
    """Yield the span of a run, and one below it for each of its steps."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

    run = record.dagster_run
    trace = uuid.UUID(run.run_id).int

    def context(name: str) -> SpanContext:
        number = uuid.uuid5(uuid.UUID(run.run_id), name).int >> 64
        return SpanContext(trace, number, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def span(name: str, start: float, end: float, *, is_failed: bool, parent: SpanContext | None) -> Any:
        return ReadableSpan(
            name=name,
            context=context(name if parent else ""),
            parent=parent,
            resource=resource,
            attributes={"dagster.run_id": run.run_id, "dagster.job": run.job_name},
            status=Status(StatusCode.ERROR if is_failed else StatusCode.OK),
            start_time=int(start * 1e9),
            end_time=int(end * 1e9),
        )

    if record.start_time is None or record.end_time is None:
        return
    is_failed = run.status == dg.DagsterRunStatus.FAILURE
    yield span(run.job_name, record.start_time, record.end_time, is_failed=is_failed, parent=None)
    for step in instance.get_run_step_stats(run.run_id):
        if step.start_time is not None and step.end_time is not None:
            failed = step.status is not None and step.status.value == "FAILURE"
            yield span(step.step_key, step.start_time, step.end_time, is_failed=failed, parent=context(""))


def _metrics(values: list[Sample], resource: "Resource", *, now: datetime) -> Any:
    from opentelemetry.sdk.metrics.export import (
        Gauge,
        Metric,
        MetricsData,
        NumberDataPoint,
        ResourceMetrics,
        ScopeMetrics,
    )
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    at = int(now.timestamp() * 1e9)
    metrics = []
    for name, of_one in groupby(values, key=lambda value: value.name):
        same = list(of_one)
        points = [NumberDataPoint(dict(one.labels), at, at, float(one.value)) for one in same]
        metrics.append(Metric(name=name, description=same[0].what, unit="", data=Gauge(points)))
    scope = ScopeMetrics(InstrumentationScope("nanodollar"), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])
