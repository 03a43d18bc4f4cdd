"""nanodollar maintain: keep the warehouse small."""

from datetime import UTC, datetime, timedelta

import click

from pipelines.cli.main import Context


@click.command(name="maintain")
@click.option(
    "--keep-days",
    type=click.IntRange(min=0),
    help="Keep each snapshot of so many days ([maintenance] keep_days).",
)
@click.option(
    "--now",
    "is_now",
    is_flag=True,
    help="Remove unused files at once, not after a day: readers that are at work may fail.",
)
@click.pass_obj
def command(obj: Context, keep_days: int | None, is_now: bool) -> None:
    """Merge small files, expire old snapshots, and remove unused files and old run logs.

    Figures stay the same, readers go on reading, and the snapshot of each close is kept.
    """
    import dagster as dg

    from pipelines.automation.maintenance import maintain_project
    from pipelines.automation.runner import dagster_home
    from pipelines.cli.progress import showing_progress
    from pipelines.warehouse.disk import full_disk_explained
    from pipelines.warehouse.maintenance import GRACE
    from pipelines.warehouse.resource import Warehouse
    from pipelines.warehouse.turns import run_turn

    project = obj.project()
    with (
        full_disk_explained(project),
        run_turn(project, on_wait=lambda note: click.echo(note, err=True)),
        showing_progress() as on_progress,
        dg.DagsterInstance.from_config(str(dagster_home(project))) as instance,
    ):
        done = maintain_project(
            Warehouse(project, on_progress),
            instance,
            now=datetime.now(UTC),
            keep_days=keep_days,
            grace=timedelta(0) if is_now else GRACE,
        )
    click.echo(done)
