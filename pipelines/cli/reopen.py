"""nanodollar reopen: a closed month is opened again, with a reason."""

import getpass
from datetime import UTC, datetime

import click

from pipelines.cli.main import Context


@click.command(name="reopen")
@click.argument("month", metavar="YYYY-MM")
@click.option("--why", required=True, metavar="TEXT", help="The reason, kept with the close.")
@click.option("--by", metavar="NAME", help="Who opens it; by default the user of this machine.")
@click.pass_obj
def command(obj: Context, month: str, why: str, by: str | None) -> None:
    """Open the last closed month again.

    Corrections of it that were booked since are taken back today: the next run computes its facts anew, with what was
    corrected in them. The close stays in ops.closed_periods, with who opened it and why.
    """
    from pipelines.automation.reopening import reopen_month
    from pipelines.warehouse.resource import Warehouse

    warehouse = Warehouse(obj.project())
    taken_back = reopen_month(
        warehouse, month, why=why, reopened_by=by or getpass.getuser(), now=datetime.now(UTC)
    )
    click.echo(
        f"{month} is open again; {taken_back:,} corrections of it are taken back. `nanodollar run` computes it anew, "
        f"then close it again."
    )
