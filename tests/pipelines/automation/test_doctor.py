"""The doctor says of each part whether it is well, and repairs what can be."""

import gzip
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pipelines.automation.metrics import Sample, metrics_server
from pipelines.project import Project
from pipelines.warehouse.backup import copy_catalog
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.small import make_project, nanodollar


def findings(project: Project, *options: str) -> dict[str, dict[str, Any]]:
    """Return the worst finding of each part."""
    worst = {"ok": 0, "warn": 1, "fail": 2}
    told = json.loads(nanodollar(project, "doctor", "--format", "json", *options).out)
    return {one["part"]: one for one in sorted(told, key=lambda one: worst[one["state"]])}


def flip_keeping_the_time(file: Path) -> None:
    """Flip a bit of a file's data, as a disk may, and leave its size and time as they are."""
    kept = file.stat()
    content = bytearray(file.read_bytes())
    group = pyarrow.parquet.read_metadata(file).row_group(0)
    column = next(
        at for i in range(group.num_columns) if (at := group.column(i)).path_in_schema == "effective_usd"
    )
    content[column.data_page_offset + column.total_compressed_size - 12] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def test_the_doctor_finds_what_is_wrong_and_repairs_it(company_copy: Project) -> None:
    project = company_copy
    well = findings(project, "--thorough")
    for part in (
        "versions",
        "extensions",
        "catalog",
        "files",
        "partitions",
        "waiting",
        "orphans",
        "size",
        "closed months",
        "published",
    ):
        assert well[part]["state"] == "ok", well[part]
    assert well["checks"]["state"] == "fail"  # of the company's figures: a model has no price
    assert well["source gateway"]["state"] == "warn"
    assert "its newest record is of 2026-11-02 10:10 UTC" in well["source gateway"]["what"]
    assert all(one["remedy"] for one in well.values() if one["state"] != "ok")

    catalog = project.folder / "warehouse/catalog.sqlite"
    copy_catalog(project, project.folder / "earlier.sqlite")
    data = project.folder / "warehouse/data"
    flip_keeping_the_time(max((data / "core/request_costs").glob("*.parquet")))
    (data / "core/requests/of_a_kill.parquet").write_bytes(b"half")
    project.reports.chmod(0o755)
    project.published.write_bytes(b"half")
    ill = findings(project)
    assert [ill[part]["state"] for part in ("orphans", "privacy", "published")] == ["warn", "warn", "warn"]
    assert findings(project, "--thorough")["files"]["state"] == "fail"

    repaired = nanodollar(project, "doctor", "--repair", "--thorough")
    assert "of core.request_costs " in repaired.err
    assert not (data / "core/requests/of_a_kill.parquet").exists()
    after = findings(project)
    for part in ("files", "partitions", "orphans", "privacy"):
        assert after[part]["state"] == "ok", after[part]
    assert (after["waiting"]["state"], after["waiting"]["remedy"]) == ("warn", "`nanodollar run`")
    assert after["waiting"]["what"].startswith("2 hours and 0 days lack rows")

    # A catalog that lost its last commits, as with its write-ahead log, is told from one that is damaged.
    for kept in catalog.parent.glob("catalog.sqlite-*"):
        kept.unlink()
    (project.folder / "earlier.sqlite").replace(catalog)
    lagging = findings(project)["catalog"]
    assert lagging["state"] == "fail"
    assert "were last written by another copy of this catalog" in lagging["what"]
    catalog.write_bytes(b"no database" * 1000)
    lost = findings(project)["catalog"]
    assert lost["state"] == "fail"
    for said in (lost["what"], nanodollar(project, "backup", "b").err, nanodollar(project, "run").err):
        assert "is damaged (not a database)" in said
        assert "Restore the newest backup into a new folder (`nanodollar restore`)" in said


def test_the_doctor_finds_no_fault_in_a_project_that_never_ran(tmp_path: Path) -> None:
    found = findings(make_project(tmp_path))

    catalog = found["catalog"]
    assert (catalog["state"], catalog["what"]) == ("warn", "nothing has run yet")
    assert catalog["remedy"] == "`nanodollar run` makes the warehouse"
    assert {one["state"] for one in found.values()} == {"ok", "warn"}


def test_metrics_are_what_a_monitor_reads(company: Project, tmp_path: Path) -> None:
    told = nanodollar(company, "metrics")
    assert told.code == 0, told.err
    lines = told.out.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert values['nanodollar_source_records{source="gateway"}'] == "3"
    assert values['nanodollar_source_quarantined_records{source="gateway"}'] == "1"
    assert values['nanodollar_table_rows{table="core.requests"}'] == "5"
    assert values['nanodollar_failing_checks{severity="error"}'] == "1"
    assert float(values['nanodollar_source_lag_seconds{source="gateway"}']) > 0
    assert float(values['nanodollar_job_seconds{job="facts"}']) > 0
    assert values['nanodollar_job_failed{job="facts"}'] == "0"
    # Each metric is explained once, before its values, which stand together.
    helps = [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert len(helps) == len(set(helps)) >= 12

    with metrics_server(Warehouse(company), 0) as server:
        port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answered = httpx.get(f"http://127.0.0.1:{port}/metrics")
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 404
        server.shutdown()
    assert answered.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'nanodollar_table_rows{table="core.requests"} 5' in answered.text

    file = tmp_path / "nanodollar.prom"
    assert nanodollar(company, "metrics", "--output", str(file)).code == 0
    assert "nanodollar_recent_usd" in file.read_text(encoding="utf-8")


def test_traces_and_metrics_reach_a_collector(company: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, bytes] = {}

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked[self.path] = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        sent = nanodollar(company, "metrics", "--otlp")
        server.shutdown()
    assert sent.code == 0, sent.err
    traces = ExportTraceServiceRequest.FromString(asked["/v1/traces"]).resource_spans[0]
    spans = [span for scope in traces.scope_spans for span in scope.spans]
    runs = {span.name: span for span in spans if not span.parent_span_id}
    assert {"land", "facts", "marts", "publish"} <= runs.keys()
    steps = [span for span in spans if span.parent_span_id == runs["facts"].span_id]
    assert steps
    for step in steps:
        assert step.trace_id == runs["facts"].trace_id
        assert runs["facts"].start_time_unix_nano <= step.start_time_unix_nano < step.end_time_unix_nano
    told = ExportMetricsServiceRequest.FromString(asked["/v1/metrics"]).resource_metrics[0]
    assert {item.key: item.value.string_value for item in told.resource.attributes}[
        "service.name"
    ] == "nanodollar"
    points = {
        (metric.name, *(item.value.string_value for item in point.attributes)): point.as_double
        for metric in told.scope_metrics[0].metrics
        for point in metric.gauge.data_points
    }
    assert points["nanodollar_table_rows", "core.requests"] == 5
    assert points["nanodollar_source_lag_seconds", "gateway"] > 0
    assert points["nanodollar_recent_unpriced_tokens",] >= 0

    # Messages as lines of JSON say the same as the sentences do.
    monkeypatch.setenv("NANODOLLAR_LOG_FORMAT", "json")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("pipelines.automation.telemetry._TIMEOUT_SECONDS", 0.1)
    refused = nanodollar(company, "metrics", "--otlp")
    assert refused.code == 1
    told_last = json.loads(refused.err.splitlines()[-1])
    assert told_last["level"] == "error"
    assert "collector at http://127.0.0.1:9 does not take what is sent" in told_last["message"]
    monkeypatch.setenv("NANODOLLAR_LOG_FORMAT", "xml")
    assert "NANODOLLAR_LOG_FORMAT is 'xml' in the environment" in nanodollar(company, "doctor").err


def test_a_label_may_hold_any_text() -> None:
    line = Sample("a", "A.", 1, (("source", 'it"s\\\nx'),)).line
    assert line == 'a{source="it\\"s\\\\\\nx"} 1'
