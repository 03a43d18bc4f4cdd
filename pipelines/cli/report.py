"""nanodollar report: write a report by hand that the schedules write by themselves."""

from datetime import datetime

import click

from pipelines.cli.dates import DAY
from pipelines.cli.main import Context


@click.group(name="report")
def command() -> None:
    """Write a report."""


@command.command(name="daily")
@click.option("--date", "on", type=DAY, help="Business day; by default the latest with rows.")
@click.option("--format", "output_format", type=click.Choice(["html"]), default="html", show_default=True)
@click.pass_obj
def daily(obj: Context, on: datetime | None, output_format: str) -> None:
    """Write the page of one business day."""
    from models.errors import DataError
    from pipelines.assets.reports import write_daily
    from pipelines.warehouse.resource import Warehouse

    del output_format  # HTML is the only one so far; the option keeps its name when others come.
    warehouse = Warehouse(obj.project())
    day = on.date() if on else None
    if day is None:
        with warehouse.reading() as con:
            row = con.execute("SELECT max(accrued_on) FROM mart.cost_per_token_daily").fetchone()
        day = row[0] if row else None
        if day is None:
            raise DataError("The warehouse holds no day yet; run `nanodollar run` first.")
    click.echo(f"Wrote {write_daily(warehouse, [day])[0]}")
