"""What a monitor reads of a project, in the text format of Prometheus: lag, rows, dollars, checks, runs, sizes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby

import dagster as dg
import duckdb

from models.errors import NanodollarError
from pipelines.masking import mask
from pipelines.warehouse.failing import failing_checks
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.statistics import METADATA

_RUNS_LOOKED_AT = 200
_RECENT = timedelta(days=7)
_SPEND = """
SELECT coalesce(sum(effective_usd), 0), count(*) FILTER (price_state = 'unpriced'),
       coalesce(sum(coalesce(input_uncached_tokens, 0) + coalesce(output_text_tokens, 0))
                FILTER (price_state = 'unpriced'), 0)
FROM core.request_costs WHERE accrued_hour >= ?
"""


@dataclass(frozen=True)
class Sample:
    """A value of a metric, with its labels."""

    name: str
    what: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def line(self) -> str:
        named = ",".join(f'{label}="{_escaped(text)}"' for label, text in self.labels)
        return f"{self.name}{f'{{{named}}}' if named else ''} {self.value:.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def metrics(warehouse: Warehouse, *, now: datetime) -> str:
    """Return the metrics of a project in the text format; the lake is only read.

    Raises:
        DataError: the lake cannot be read.
    """
    return exposition(samples(warehouse, now=now))


def samples(warehouse: Warehouse, *, now: datetime) -> list[Sample]:
    """Return the values of all metrics, those of one metric together."""
    with warehouse.reading() as con:
        found = [*_of_sources(con, now=now), *_of_lake(con), *_of_spend(con, now=now), *_of_checks(con)]
    return found + _of_runs(warehouse)


def metrics_server(warehouse: Warehouse, port: int) -> ThreadingHTTPServer:
    """Return a server on the loopback that answers GET /metrics with the metrics of that moment."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/metrics":
                self._answer(404, "There is only /metrics.\n")
                return
            try:
                self._answer(200, metrics(warehouse, now=datetime.now(UTC)))
            except (NanodollarError, duckdb.Error) as error:
                self._answer(503, f"{mask(str(error).splitlines()[0])}\n")

        def _answer(self, status: int, text: str) -> None:
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing of each request."""

    return ThreadingHTTPServer(("127.0.0.1", port), Answers)


def exposition(values: Iterable[Sample]) -> str:
    """Return values in the text format, those of one metric together."""
    lines = []
    for name, of_one in groupby(values, key=lambda sample: sample.name):
        same = list(of_one)
        lines += [f"# HELP {name} {same[0].what}", f"# TYPE {name} gauge", *(sample.line for sample in same)]
    return "".join(f"{line}\n" for line in lines)


def _of_sources(con: duckdb.DuckDBPyConnection, *, now: datetime) -> Iterator[Sample]:
    rows = con.execute(
        "SELECT source, max(last_at) FILTER (landed_count > 0), sum(landed_count)::BIGINT, "
        "sum(quarantined_count)::BIGINT FROM ops.landed_files GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for source, last, _, _ in rows:
        if last is not None:
            yield Sample(
                "nanodollar_source_lag_seconds",
                "Age of the newest record of a source.",
                (now - last).total_seconds(),
                (("source", source),),
            )
    for source, _, landed, _ in rows:
        yield Sample(
            "nanodollar_source_records", "Records that landed of a source.", landed, (("source", source),)
        )
    for source, _, _, quarantined in rows:
        yield Sample(
            "nanodollar_source_quarantined_records",
            "Records of a source that could not be used.",
            quarantined,
            (("source", source),),
        )


def _of_lake(con: duckdb.DuckDBPyConnection) -> Iterator[Sample]:
    rows = con.execute(
        "SELECT table_name, sum(row_count)::BIGINT, epoch(max(changed_at)) FROM ops.partitions "
        "GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for name, count, _ in rows:
        yield Sample("nanodollar_table_rows", "Rows of a table.", count, (("table", name),))
    for name, _, changed in rows:
        yield Sample(
            "nanodollar_table_changed_timestamp_seconds",
            "When a table changed last.",
            changed,
            (("table", name),),
        )
    ((files, size, snapshots),) = con.execute(
        f"SELECT (SELECT count(*) FROM {METADATA}.ducklake_data_file), "
        f"(SELECT coalesce(sum(file_size_bytes), 0)::BIGINT FROM {METADATA}.ducklake_data_file), "
        f"(SELECT count(*) FROM {METADATA}.ducklake_snapshot)"
    ).fetchall()
    yield Sample("nanodollar_lake_files", "Data files that the catalog names.", files)
    yield Sample("nanodollar_lake_bytes", "Bytes of the data files that the catalog names.", size)
    yield Sample("nanodollar_lake_snapshots", "Snapshots that are kept.", snapshots)


def _of_spend(con: duckdb.DuckDBPyConnection, *, now: datetime) -> Iterator[Sample]:
    ((usd, unpriced, tokens),) = con.execute(_SPEND, [now - _RECENT]).fetchall()
    yield Sample(
        "nanodollar_recent_usd", "Dollars of attempts of the last seven days, as far as priced.", float(usd)
    )
    yield Sample(
        "nanodollar_recent_unpriced_attempts", "Attempts of the last seven days without a price.", unpriced
    )
    yield Sample(
        "nanodollar_recent_unpriced_tokens", "Tokens of the last seven days without a price.", int(tokens)
    )


def _of_checks(con: duckdb.DuckDBPyConnection) -> Iterator[Sample]:
    failing = failing_checks(con)
    for severity in ("error", "warn"):
        yield Sample(
            "nanodollar_failing_checks",
            "Checks that fail and have not passed since.",
            len({(one.check_name, one.table_name) for one in failing if one.severity == severity}),
            (("severity", severity),),
        )


def _of_runs(warehouse: Warehouse) -> list[Sample]:
    """Return how long the newest run of each job took, and how it ended."""
    from pipelines.automation.runner import dagster_home  # which knows the sensor that sends these

    newest: dict[str, dg.RunRecord] = {}
    with dg.DagsterInstance.from_config(str(dagster_home(warehouse.project))) as instance:
        for record in instance.get_run_records(limit=_RUNS_LOOKED_AT):
            if record.end_time is not None:
                newest.setdefault(record.dagster_run.job_name, record)
    found = []
    for name, what, value in (
        ("nanodollar_job_seconds", "How long the newest run of a job took.", _seconds),
        ("nanodollar_job_ended_timestamp_seconds", "When the newest run of a job ended.", _ended),
        ("nanodollar_job_failed", "1 where the newest run of a job failed.", _failed),
    ):
        for job, record in sorted(newest.items()):
            found.append(Sample(name, what, value(record), (("job", job),)))
    return found


def _seconds(record: dg.RunRecord) -> float:
    return (record.end_time or 0) - (record.start_time or record.end_time or 0)


def _ended(record: dg.RunRecord) -> float:
    return record.end_time or 0


def _failed(record: dg.RunRecord) -> float:
    return float(record.dagster_run.status == dg.DagsterRunStatus.FAILURE)
