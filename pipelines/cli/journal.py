"""nanodollar journal: a month as lines for the general ledger."""

import click

from pipelines.cli.main import Context


@click.command(name="journal")
@click.argument("month", metavar="YYYY-MM")
@click.option("--currency", metavar="CODE", help="Currency of the amounts; by default [reporting] currency.")
@click.pass_obj
def command(obj: Context, month: str, currency: str | None) -> None:
    """Print a month's journal as CSV: costs by account and cost centre against what is owed, balanced to zero.

    Accounts come from journal.yml. What it has no account for stands under (no account).
    """
    from pipelines.automation.closing import month_bounds
    from pipelines.csv_text import csv_bytes
    from pipelines.reports.journal import journal_of
    from pipelines.warehouse.resource import Warehouse

    project = obj.project()
    first, _ = month_bounds(month)
    with Warehouse(project).reading() as con:
        rows = journal_of(con, first, currency=currency or project.settings.reporting.currency)
    click.echo(csv_bytes(rows).decode(), nl=False)
