"""nanodollar serve: the explorer, pages over the published file."""

import contextlib
import sys

import click

from pipelines.cli.main import Context
from pipelines.cli.ports import listening_socket


@click.command(name="serve")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8765, show_default=True, help="Port to listen on."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; by default this machine alone.",
)
@click.pass_obj
def command(obj: Context, port: int, host: str) -> None:
    """Serve the explorer until interrupted: spend, models, pools, mistakes, prices, requests and SQL as pages."""
    import uvicorn

    from pipelines.explorer.app import explorer
    from pipelines.explorer.guard import LOOPBACK
    from pipelines.explorer.published import PublishedFile

    project = obj.project()
    app = explorer(project, hosts=[*LOOPBACK, host], is_alone=host in LOOPBACK)
    PublishedFile(project.published).opened()
    listening = listening_socket(host, port)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
    )
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"The explorer of {project.folder}: http://{shown}:{port}   (Ctrl-C ends it)")
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
    click.echo("The explorer has stopped.", err=True)
    sys.exit(130)
