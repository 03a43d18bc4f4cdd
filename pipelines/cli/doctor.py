"""nanodollar doctor: what is well, what is not, and what to do about it."""

import json
from dataclasses import asdict
from datetime import UTC, datetime

import click

from pipelines.cli.main import Context


@click.command(name="doctor")
@click.option("--repair", "is_repairing", is_flag=True, help="Mend what can be mended before looking.")
@click.option(
    "--thorough", "is_thorough", is_flag=True, help="Read every file of the lake, and compare what it holds."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(obj: Context, is_repairing: bool, is_thorough: bool, form: str) -> None:
    """Examine the project: versions, catalog, files, sources, prices, disk, schedules.

    Each line says ok, warn or fail, with what to do. Exit code 1 where one says fail.
    """
    from pipelines.automation.doctor import examine, repair
    from pipelines.warehouse.resource import Warehouse
    from pipelines.warehouse.turns import run_turn

    project = obj.project()
    if is_repairing:
        with run_turn(project, on_wait=lambda note: click.echo(note, err=True)):
            sentences = repair(Warehouse(project), is_thorough=is_thorough)
        for sentence in sentences:
            click.echo(f"mended: {sentence}", err=True)
        if sentences:
            click.echo("`nanodollar run` builds anew what was taken out.", err=True)
    found = examine(Warehouse(project), now=datetime.now(UTC), is_thorough=is_thorough)
    if form == "json":
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        width = max(len(one.part) for one in found)
        for one in found:
            remedy = f" -> {one.remedy}" if one.remedy else ""
            click.echo(f"{one.state:4}  {one.part:{width}}  {one.what}{remedy}")
    raise SystemExit(int(any(one.state == "fail" for one in found)))
