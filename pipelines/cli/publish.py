"""nanodollar publish: bring the plain DuckDB file up to date."""

import os
from pathlib import Path

import click

from pipelines.cli.main import Context
from pipelines.project import Project


@click.command(name="publish")
@click.option("--audience", "name", metavar="NAME", help="Write the rows of an audience of [explorer] alone.")
@click.option(
    "--to",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where; takes the place of the last.",
)
@click.pass_obj
def command(obj: Context, name: str | None, file: Path | None) -> None:
    """Replace what changed in the published DuckDB file, atomically; or write what an audience may see of it."""
    from pipelines.warehouse.publish import publish

    if (name is None) != (file is None):
        raise click.UsageError("--audience NAME and --to FILE go together.")
    project = obj.project()
    if name is not None and file is not None:
        _publish_rows_of(project, name, file)
        return
    published = publish(project)
    click.echo(
        f"Published {published.path} ({published.size_bytes / 1e6:.1f} MB, "
        f"{published.replaced_partitions} partitions replaced)."
    )


def _publish_rows_of(project: Project, name: str, file: Path) -> None:
    from pipelines.explorer.audience import audience_named
    from pipelines.explorer.own_rows import write_own_rows
    from pipelines.explorer.published import PublishedFile

    audience = audience_named(project.settings.explorer, name)
    whole = PublishedFile(project.published).opened()
    draft = file.with_name(f".{file.name}.{os.getpid()}.draft")
    try:
        write_own_rows(whole.path, draft, audience, last_on=whole.last_on)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    click.echo(f"Published {file} ({file.stat().st_size / 1e6:.1f} MB, {audience.rows}).")
