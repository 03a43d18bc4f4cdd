"""nanodollar publish: bring the plain DuckDB file up to date."""

import click


@click.command(name="publish")
@click.pass_obj
def command(obj: object) -> None:
    """Replace what changed in the published DuckDB file, atomically."""
    from pipelines.warehouse.publish import publish

    published = publish(obj.project())  # type: ignore[attr-defined]
    click.echo(
        f"Published {published.path} ({published.size_bytes / 1e6:.1f} MB, "
        f"{published.replaced_partitions} partitions replaced)."
    )
