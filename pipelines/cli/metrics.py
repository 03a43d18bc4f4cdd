"""nanodollar metrics: what a monitor reads."""

from datetime import UTC, datetime
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
@click.pass_obj
def command(obj: Context, output: Path | None, port: int | None) -> None:
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
    text = metrics(warehouse, now=datetime.now(UTC))
    if output is None:
        click.echo(text, nl=False)
        return
    replace_file(output, text)
    output.chmod(0o644)  # A monitor runs as a user of its own.
