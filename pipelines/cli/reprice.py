"""nanodollar reprice: what changed sheets do to past costs, before they do it."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.main import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb
    import polars as pl

    from pipelines.project import Project

_HOURS_AT_ONCE = 24


@click.command(name="reprice")
@click.option("--apply", "is_applied", is_flag=True, help="Book it: closed days by corrections, others anew.")
@click.option(
    "--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.pass_obj
def command(obj: Context, is_applied: bool, output_format: str) -> None:
    """Show what the sheets, contracts and exchange rates of now would change, by model and month.

    Only the hours of models and chips whose prices moved are looked at. Nothing is written without --apply.
    """
    from pipelines.automation.runner import run
    from pipelines.cli.progress import showing_progress
    from pipelines.steps.reference import reference_frames
    from pipelines.warehouse.resource import Warehouse

    project = obj.project()
    frames = reference_frames(project)
    with Warehouse(project).reading() as con:
        delta = _delta(con, project, frames)
    rows = delta.to_dicts()
    if output_format == "json":
        click.echo(json.dumps(rows, default=str, indent=2))
    else:
        click.echo(_table(rows))
    if is_applied and rows:
        with showing_progress() as on_progress:
            summary = run(project, on_progress=on_progress)
        click.echo(f"Booked; computed {summary.hours} hours and {summary.days} days.", err=True)
    elif rows and output_format == "table":
        click.echo("Nothing was written. `nanodollar reprice --apply` books it.")


def _delta(
    con: "duckdb.DuckDBPyConnection", project: "Project", frames: "Mapping[str, pl.DataFrame]"
) -> "pl.DataFrame":
    import polars as pl

    from models.finance.restatements import add_deltas, price_delta
    from pipelines.steps import steps
    from pipelines.steps.base import Window
    from pipelines.steps.computing import made_by
    from pipelines.steps.inputs import Inputs
    from pipelines.steps.outdated import moved_gpu_hours, moved_token_hours
    from pipelines.warehouse.closed import closed_periods

    closed, now = closed_periods(con, project), datetime.now(UTC)
    repriced = (
        (
            "core.request_costs",
            "effective_usd",
            moved_token_hours(con, frames),
            pl.col("cost_basis") == "token",
        ),
        ("core.replica_states", "billed_usd", moved_gpu_hours(con, frames), pl.lit(value=True)),
    )
    inputs = Inputs(con, project)
    inputs.hold_all(frames)
    parts = []
    for dotted, figure, moved, is_repriced in repriced:
        for start, end in _chunks([hour for hour in moved if isinstance(hour, datetime)]):
            old = inputs.stored(dotted, start, end).filter(is_repriced)
            new = made_by(steps()[dotted], inputs, Window(start, end, now, project.time_zone))[dotted]
            parts.append(price_delta(old, new.filter(is_repriced), closed=closed, figure=figure))
    inputs.close()
    return add_deltas(pl.concat(parts)) if parts else pl.DataFrame()


def _chunks(hours: list[datetime]) -> list[tuple[datetime, datetime]]:
    """Return ranges of at most a day that hold the hours; what did not move in between costs nothing."""
    from models.periods import HOUR

    found: list[tuple[datetime, datetime]] = []
    for hour in hours:
        if found and hour == found[-1][1] and hour - found[-1][0] < _HOURS_AT_ONCE * HOUR:
            found[-1] = (found[-1][0], hour + HOUR)
        else:
            found.append((hour, hour + HOUR))
    return found


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "No figure changes."
    lines = [
        f"{'month':8}{'model':40}{'attempts':>10}{'new price':>10}{'old USD':>18}{'new USD':>18}{'change':>18}  "
    ]
    for row in rows:
        name = f"{row['provider']}/{row['model'] or '?'}"
        lines.append(
            f"{row['month']:8}{name:40}{row['figures']:>10,}{row['newly_priced']:>10,}{row['old_usd']:>18,.6f}"
            f"{row['new_usd']:>18,.6f}{row['difference_usd']:>+18,.6f}"
            + ("  closed: by correction" if row["is_closed"] else "")
        )
    total = sum(row["difference_usd"] for row in rows)
    return "\n".join([*lines, f"{'':104}{total:>+18,.6f}"])
