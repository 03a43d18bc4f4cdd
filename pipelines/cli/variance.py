"""nanodollar variance: why one month cost more than another."""

from datetime import timedelta
from decimal import Decimal

import click

from pipelines.cli.main import Context


@click.command(name="variance")
@click.argument("month", metavar="YYYY-MM")
@click.option("--against", metavar="YYYY-MM", help="The earlier month; by default the one before.")
@click.pass_obj
def command(obj: Context, month: str, against: str | None) -> None:
    """Say why a month's spend differs from an earlier one's, cause by cause, to the picodollar."""
    from models.schemas.mart_spend_variance import VARIANCE_CAUSES
    from pipelines.automation.closing import month_bounds
    from pipelines.steps.inputs import Inputs
    from pipelines.steps.mart_spend_variance import bridge
    from pipelines.warehouse.resource import Warehouse

    project = obj.project()
    later, _ = month_bounds(month)
    earlier = (later - timedelta(days=1)).replace(day=1) if against is None else month_bounds(against)[0]
    if earlier >= later:
        raise click.UsageError(f"{earlier:%Y-%m} is not before {month}; name an earlier month.")
    with Warehouse(project).reading() as con:
        rows = bridge(Inputs(con, project), [(later, earlier)])
    causes: dict[str, Decimal] = {}
    for cause, usd in rows.select("cause", "difference_usd").iter_rows():
        causes[cause] = causes.get(cause, Decimal(0)) + usd
    _line(f"{earlier:%Y-%m}", _sum(rows.get_column("earlier_usd").to_list()), "")
    for cause, words in VARIANCE_CAUSES.items():
        if causes.get(cause):
            _line(f"  {cause}", causes[cause], words, sign="+")
    _line(month, _sum(rows.get_column("later_usd").to_list()), "")


def _sum(values: list[Decimal]) -> Decimal:
    return sum(values, Decimal(0))


def _line(name: str, usd: Decimal, words: str, *, sign: str = "") -> None:
    click.echo(f"{name:16}{usd:>{sign}20,.6f}  {words}".rstrip())
