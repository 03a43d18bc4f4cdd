"""nanodollar ui: Dagster's webserver and daemon on this machine."""

import os
import signal
import subprocess
import sys

import click

from pipelines.cli.main import Context
from pipelines.cli.ports import listening_socket


@click.command(name="ui")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port on 127.0.0.1."
)
@click.pass_obj
def command(obj: Context, port: int) -> None:
    """Serve the Dagster UI with schedules, sensors and backfills, until interrupted."""
    from pipelines.automation.runner import dagster_home

    project = obj.project()
    listening_socket("127.0.0.1", port).close()
    environment = os.environ | {
        "DAGSTER_HOME": str(dagster_home(project)),
        "NANODOLLAR_PROJECT": str(project.folder),
    }
    click.echo(f"Dagster for {project.folder}: http://127.0.0.1:{port}   (Ctrl-C ends it)")
    arguments = ["-m", "dagster", "dev", "-m", "pipelines.definitions", "-h", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen([sys.executable, *arguments], env=environment) as dagster:  # noqa: S603  our own words
        # Whoever stops this process alone, such as a supervisor, means Dagster with its servers and its daemon.
        signal.signal(signal.SIGTERM, lambda *_: dagster.send_signal(signal.SIGINT))
        try:
            code = dagster.wait()
        except KeyboardInterrupt:
            # Dagster is told by the terminal too, and takes its servers and its daemon down with it.
            dagster.wait()
            raise
    raise SystemExit(code)
