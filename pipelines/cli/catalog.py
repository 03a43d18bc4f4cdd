"""nanodollar catalog: what every table holds, on a page that works offline."""

import click

from pipelines.cli.main import Context


@click.command(name="catalog")
@click.pass_obj
def command(obj: Context) -> None:
    """Write the catalog: every table with its columns, units, sums, joins, checks and an example."""
    from pipelines.reports.catalog import write_catalog
    from pipelines.steps import made_of
    from pipelines.warehouse.resource import Warehouse

    click.echo(write_catalog(Warehouse(obj.project()), made_of()))
