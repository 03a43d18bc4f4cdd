"""nanodollar publish: bring the plain DuckDB file up to date."""

import click

from pipelines.cli.main import Context


@click.command(name="publish")
@click.pass_obj
def command(obj: Context) -> None:
    """Replace what changed in the published DuckDB file, atomically."""
    from pipelines.warehouse.publish import publish

    published = publish(obj.project())
    click.echo(
        f"Published {published.path} ({published.size_bytes / 1e6:.1f} MB, "
        f"{published.replaced_partitions} partitions replaced)."
    )
