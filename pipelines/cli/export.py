"""nanodollar export: the ledger for other tools."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.main import Context

if TYPE_CHECKING:
    from models.finance.focus import Corrections, Version


@click.group(name="export")
def command() -> None:
    """Write the ledger as files that other tools read."""


@command.command(name="focus")
@click.option("--month", required=True, metavar="YYYY-MM", help="The month, by business days.")
@click.option(
    "--version", "versions", type=click.Choice(["1.2", "1.4"]), multiple=True, help="Both by default."
)
@click.option(
    "--corrections", type=click.Choice(["delta", "ledger"]), default="delta", show_default=True,
    help="Corrections as their difference, or as the figure taken back and the new one.",
)  # fmt: skip
@click.option("--draft-names", is_flag=True, help="Name keys of models and tokens as the draft of 1.5 does.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder; by default exports/focus."
)
@click.pass_obj
def focus(
    obj: Context,
    month: str,
    versions: "tuple[Version, ...]",
    corrections: "Corrections",
    draft_names: bool,
    out: Path | None,
) -> None:
    """Write a month as FOCUS: Cost and Usage, and for 1.4 Invoice Detail, Billing Period and Contract Commitment.

    Each is a CSV and a Parquet file. Costs sum to the ledger; what has no price is left out and counted.
    """
    from pipelines.automation.closing import month_bounds
    from pipelines.reports.focus import FocusExport

    project = obj.project()
    export = FocusExport(project, month, *month_bounds(month), style=corrections, has_draft_names=draft_names)
    folder = (out or project.own_folder / "exports" / "focus") / month
    for version in versions or ("1.2", "1.4"):
        written = export.write(folder / version, version)
        click.echo(
            f"FOCUS {version}: {written.row_count:,} charges, ${written.billed_usd:,.6f} as the ledger has it, in "
            f"{folder / version}."
        )
    if export.unpriced_count:
        click.echo(
            f"{export.unpriced_count:,} charges have no price and are left out; see "
            f'nanodollar sql "FROM mart.focus WHERE billed_cost IS NULL".',
            err=True,
        )
