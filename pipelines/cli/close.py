"""nanodollar close: a month is closed once; from then on only corrections move it."""

from datetime import UTC, datetime

import click

from pipelines.cli.main import Context


@click.command(name="close")
@click.argument("month", required=False, metavar="[YYYY-MM]")
@click.option("--list", "is_list", is_flag=True, help="Show the closed months, their spend and corrections.")
@click.pass_obj
def command(obj: Context, month: str | None, is_list: bool) -> None:
    """Close a month of business days, for good.

    Refused while the month can still move, days of it are missing or out of date, or a check of its figures fails.
    Late rows and changed prices then book corrections; the rows of the month stay as they are.
    """
    from pipelines.automation.closing import close_month, closed_months
    from pipelines.reports.trust import trust_of_days
    from pipelines.warehouse.resource import Warehouse, days_between

    if (month is None) != is_list:
        raise click.UsageError("Name one month, such as `nanodollar close 2026-10`, or ask for --list.")
    warehouse = Warehouse(obj.project())
    is_new = month is not None and close_month(warehouse, month, now=datetime.now(UTC))
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
    for item in closed if month else ():
        word = "Closed" if is_new else "Closed already:"
        click.echo(
            f"{word} {item.period}, {item.closed_from} to {item.closed_to} (exclusive) in {item.time_zone}, at "
            f"{item.closed_at:%Y-%m-%d %H:%M} UTC: ${item.spend_usd:,.6f} and {item.correction_count:,} corrections."
        )
        with warehouse.reading() as con:
            days = days_between(item.closed_from, item.closed_to)
            found = trust_of_days(con, days, time_zone=item.time_zone, now=datetime.now(UTC))
        click.echo(found.of(item.period))
