"""nanodollar close: a month is closed once; from then on only corrections move it."""

import getpass
from datetime import UTC, datetime

import click

from pipelines.cli.main import Context

_REOPENED = """
SELECT period, reopened_at, reopened_by, reopen_reason FROM ops.closed_periods
WHERE reopened_at IS NOT NULL ORDER BY reopened_at
"""


@click.command(name="close")
@click.argument("month", required=False, metavar="[YYYY-MM]")
@click.option("--list", "is_list", is_flag=True, help="Show the closed months, their spend and corrections.")
@click.option("--by", metavar="NAME", help="Who closes it; by default the user of this machine.")
@click.pass_obj
def command(obj: Context, month: str | None, is_list: bool, by: str | None) -> None:
    """Close a month of business days, and write its pack into reports/close.

    Refused while the month can still move, days of it are missing or out of date, or a check of its figures fails.
    Late rows and changed prices then book corrections; the rows of the month stay as they are. Closing a month that is
    closed writes its pack again, from the lake as it was at the close.
    """
    from pipelines.automation.closing import close_month, closed_months
    from pipelines.reports.close_pack import write_pack
    from pipelines.reports.trust import trust_of_days
    from pipelines.warehouse.resource import Warehouse, days_between

    if (month is None) != is_list:
        raise click.UsageError("Name one month, such as `nanodollar close 2026-10`, or ask for --list.")
    project = obj.project()
    warehouse = Warehouse(project)
    is_new = month is not None and close_month(
        warehouse, month, now=datetime.now(UTC), closed_by=by or getpass.getuser()
    )
    with warehouse.reading() as con:
        closed = [item for item in closed_months(con) if month in {None, item.period}]
    if is_list:
        click.echo(
            f"{'month':9}{'closed at (UTC)':18}{'zone':18}{'spend USD':>20}{'corrections':>13}{'of USD':>20}"
        )
        for item in closed:
            click.echo(
                f"{item.period:9}{item.closed_at:%Y-%m-%d %H:%M}  {item.time_zone:18}{item.spend_usd:>20,.6f}"
                f"{item.correction_count:>13,}{item.correction_usd:>+20,.6f}"
            )
        with warehouse.reading() as con:
            for period, at, who, why in con.execute(_REOPENED).fetchall():
                click.echo(f"{period:9}opened again {at:%Y-%m-%d %H:%M} UTC by {who}: {why}")
    for item in closed if month else ():
        word = "Closed" if is_new else "Closed already:"
        click.echo(
            f"{word} {item.period}, {item.closed_from} to {item.closed_to} (exclusive) in {item.time_zone}, at "
            f"{item.closed_at:%Y-%m-%d %H:%M} UTC: ${item.spend_usd:,.6f} and {item.correction_count:,} corrections."
        )
        pack = write_pack(project, item.period)
        click.echo(f"Its pack: {pack.folder}")
        if pack.differs:
            click.echo(
                f"Written again it differs in {', '.join(pack.differs)}; what was handed over is left as it is, and "
                f"the other stands in {pack.folder.name}.rebuilt.",
                err=True,
            )
        with warehouse.reading() as con:
            days = days_between(item.closed_from, item.closed_to)
            found = trust_of_days(con, days, time_zone=item.time_zone, now=datetime.now(UTC))
        click.echo(found.of(item.period))
