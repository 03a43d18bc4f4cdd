"""nanodollar metrics: what a monitor reads."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from pipelines.cli.main import Context
from pipelines.replacing import replace_file


@click.command(name="metrics")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Replace a file, as node_exporter's textfile reads.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Answer GET /metrics on 127.0.0.1 until interrupted."
)
@click.option(
    "--otlp",
    is_flag=True,
    help="Send them, and a trace of each run of the last day, to the collector of OTEL_EXPORTER_OTLP_ENDPOINT.",
)
@click.pass_obj
def command(obj: Context, output: Path | None, port: int | None, otlp: bool) -> None:
    """Write the project's metrics in the text format of Prometheus; the lake is only read."""
    from pipelines.automation.metrics import metrics, metrics_server
    from pipelines.warehouse.resource import Warehouse

    warehouse = Warehouse(obj.project())
    if port is not None:
        click.echo(
            f"Metrics of {warehouse.project.folder}: http://127.0.0.1:{port}/metrics (Ctrl-C ends it)."
        )
        with metrics_server(warehouse, port) as server:
            server.serve_forever()
    if otlp:
        from pipelines.automation.telemetry import send_since

        now = datetime.now(UTC)
        sent = send_since(warehouse, since=now - timedelta(days=1), now=now)
        click.echo(f"Sent {sent.run_count} runs and {sent.sample_count} values.")
        return
    text = metrics(warehouse, now=datetime.now(UTC))
    if output is None:
        click.echo(text, nl=False)
        return
    replace_file(output, text)
    output.chmod(0o644)  # A monitor runs as a user of its own.
