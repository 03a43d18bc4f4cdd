"""nanodollar reprice: what changed sheets do to past costs, before they do it."""

import json
from collections.abc import Iterator
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
    from pipelines.assets.ref import reference_frames
    from pipelines.automation.runner import run
    from pipelines.cli.progress import showing_progress
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
    from pipelines.automation.repricing import moved_hours
    from pipelines.warehouse.closed import closed_periods

    closed = closed_periods(con, project)
    tokens, gpus = moved_hours(con, frames)
    parts = [
        price_delta(old, new, closed=closed, figure="effective_usd")
        for old, new in _tokens(con, project, frames, tokens)
    ] + [
        price_delta(old, new, closed=closed, figure="billed_usd")
        for old, new in _gpus(con, project, frames, gpus)
    ]
    return add_deltas(pl.concat(parts)) if parts else pl.DataFrame()


def _tokens(
    con: "duckdb.DuckDBPyConnection",
    project: "Project",
    frames: "Mapping[str, pl.DataFrame]",
    hours: list[datetime],
) -> "Iterator[tuple[pl.DataFrame, pl.DataFrame]]":
    from models.costs.token_costs import price_requests
    from pipelines.assets.core import attempts
    from pipelines.warehouse.resource import frame

    for start, end in _chunks(hours):
        old = frame(
            con,
            "FROM core.request_costs WHERE cost_basis = 'token' AND accrued_hour >= ? AND accrued_hour < ?",
            [start, end],
        )
        new = price_requests(
            attempts(con, start, end).lazy(),
            book=frames["ref.token_prices"].lazy(),
            models=frames["ref.models"].lazy(),
            fx=frames["ref.fx_rates"].lazy(),
            gpu_routes=(),
            time_zone=project.time_zone,
            as_known_at=datetime.now(UTC),
            from_hour=start,
            to_hour=end,
        )
        yield old, new.collect()


def _gpus(
    con: "duckdb.DuckDBPyConnection",
    project: "Project",
    frames: "Mapping[str, pl.DataFrame]",
    hours: list[datetime],
) -> "Iterator[tuple[pl.DataFrame, pl.DataFrame]]":
    from models.costs.states import replica_states
    from models.schemas import table
    from pipelines.assets.core import live_events, stored_states

    schema = table("core.replica_states")
    for start, end in _chunks(hours):
        new = replica_states(
            live_events(con, start, end).lazy(),
            prices=frames["ref.gpu_prices"].lazy(),
            time_zone=project.time_zone,
            as_known_at=datetime.now(UTC),
            from_hour=start,
            to_hour=end,
            commitments=frames["ref.commitments"],
        )
        yield stored_states(con, start, end), schema.conform(new.lazy()).collect()


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
