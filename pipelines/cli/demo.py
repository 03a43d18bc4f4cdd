"""nanodollar demo: the main job on a sample fleet, and what it found of what was planted."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import duckdb

_SPEND = """
SELECT count(*) FILTER (WHERE is_first_accrual AND attempt_no <> 0), sum(effective_usd),
       (SELECT sum(available_usd) FROM mart.cost_per_token_daily)
FROM core.request_costs
"""
_BY = """
SELECT coalesce({dimension}, '(not known)') AS name, sum(total_tokens)::BIGINT, sum(usage_usd), sum(available_usd),
       1e6 * sum(usage_usd)::DOUBLE / nullif(sum(total_tokens - unpriced_tokens), 0),
       1e6 * sum(available_usd)::DOUBLE / nullif(sum(total_tokens - unpriced_tokens), 0)
FROM mart.cost_per_token_daily WHERE route IS DISTINCT FROM '(unallocated)' GROUP BY 1 ORDER BY 4 DESC NULLS LAST
"""


@click.command(name="demo")
@click.option("--days", default=14, show_default=True, help="Days of the sample fleet.")
@click.option("--requests-per-day", default=8000, show_default=True, help="Requests a day.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
def command(days: int, requests_per_day: int, folder: Path) -> None:
    """Make a sample fleet, run the main job on it, and print what it cost and what was found."""
    from pipelines.automation.runner import run
    from pipelines.cli.progress import showing_progress
    from pipelines.project import find_project
    from pipelines.samples import write_fleet
    from pipelines.warehouse.connect import connect_read_only

    if folder.exists():
        shutil.rmtree(folder)
    with showing_progress() as on_progress:
        on_progress("sample fleet", f"writing {days} days of {requests_per_day:,} requests")
        write_fleet(folder, days=days, requests_per_day=requests_per_day)
        project = find_project(folder)
        summary = run(project, on_progress=on_progress)
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["facts"]
    with connect_read_only(project) as con:
        _print_spend(con)
        _print_found(con, truth)
        _print_coverage(con)
        row = con.execute(
            "SELECT max(accrued_on) FROM mart.cost_per_token_daily WHERE attempt_count > 0"
        ).fetchone()
    last = row[0] if row else None
    click.echo("\nChecks that did not pass (the planted facts make them fail):")
    for line in summary.failed_checks:
        click.echo(f"  {line}")
    click.echo("\nLook next:")
    click.echo(f"  report     {project.reports / 'daily' / f'{last}.html'}")
    click.echo(f"  warehouse  {project.published}   (any DuckDB opens it)")
    click.echo('  SQL        .venv/bin/nanodollar sql "FROM mart.cost_per_token_daily LIMIT 5"')
    click.echo("  Dagster    make ui   then http://127.0.0.1:3000")


def _print_spend(con: "duckdb.DuckDBPyConnection") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=110)
    attempts, usage, available = con.execute(_SPEND).fetchone() or (0, None, None)
    console.print(
        f"\n[bold]Spend[/bold]  ${available:,.2f} billed (usage ${usage:,.2f}) for {attempts:,} attempts"
    )
    for dimension in ("model", "route", "chip"):
        table = Table(
            title=f"Cost per million tokens by {dimension}", title_justify="left", box=None, pad_edge=False
        )
        table.add_column(dimension, min_width=34)
        for name in ("tokens", "usage $", "available $", "usage $/M", "available $/M"):
            table.add_column(name, justify="right", min_width=13)
        for name, tokens, usd, all_usd, rate, all_rate in con.execute(
            _BY.format(dimension=dimension)
        ).fetchall():
            table.add_row(
                name,
                f"{tokens:,}",
                *(_money(x) for x in (usd, all_usd)),
                *(_rate(x) for x in (rate, all_rate)),
            )
        console.print(table)
        console.print()


def _money(value: Any) -> str:
    return "not priced" if value is None else f"{value:,.2f}"


def _rate(value: float | None) -> str:
    return "not priced" if value is None else f"{value:,.4f}"


def _print_found(con: "duckdb.DuckDBPyConnection", truth: dict[str, Any]) -> None:
    planted = truth["routing_mistakes"]
    flagged: dict[str, set[str]] = {}
    for kind, request_id in con.execute("SELECT kind, request_id FROM mart.routing_mistakes").fetchall():
        flagged.setdefault(kind, set()).add(request_id)
    row = con.execute("SELECT count(*), sum(regret_usd) FROM mart.routing_mistakes").fetchone()
    count, regret = row or (0, None)
    click.echo(f"Routing mistakes: {count} flagged, regret ${regret or 0:,.2f}")
    for kind, ids in planted.items():
        hits = len(flagged.get(kind, set()) & set(ids))
        extra = len(flagged.get(kind, set()) - set(ids))
        click.echo(f"  {kind:20} found {hits} of {len(ids)} planted, {extra} others")
    bursts = con.execute(
        "SELECT deployment, onset_at, ended_at, start_count, burst_usd, cause "
        "FROM mart.cold_start_bursts ORDER BY onset_at"
    ).fetchall()
    usd = sum(row[4] or 0 for row in bursts)
    hits = sum(any(_is_same(found, burst) for found in bursts) for burst in truth["cold_start_bursts"])
    click.echo(f"Cold-start bursts: found {hits} of {len(truth['cold_start_bursts'])} planted, ${usd:,.2f}")
    for name, onset, _, starts, cost, cause in bursts:
        click.echo(f"  {name:20} {onset:%Y-%m-%d %H:%M}  {starts} starts  ${cost or 0:,.2f}  {cause}")


def _is_same(found: tuple[Any, ...], planted: dict[str, Any]) -> bool:
    from datetime import datetime

    onset, end = (datetime.fromisoformat(planted[name]) for name in ("onset_at", "ended_at"))
    slack = timedelta(minutes=30)
    return bool(found[0] == planted["deployment"] and found[1] <= end + slack and found[2] >= onset - slack)


def _print_coverage(con: "duckdb.DuckDBPyConnection") -> None:
    row = con.execute(
        "SELECT sum(priced_count + free_count) / sum(attempt_count), sum(provider_usage_count) / sum(attempt_count), "
        "sum(unpriced_count)::BIGINT, sum(unpriced_tokens)::BIGINT, sum(duplicate_count)::BIGINT FROM ops.coverage"
    ).fetchone()
    files = con.execute(
        "SELECT sum(read_count)::BIGINT, sum(accepted_count)::BIGINT, sum(duplicate_count)::BIGINT, "
        "sum(quarantined_count)::BIGINT FROM ops.source_files"
    ).fetchone()
    if row and files:
        click.echo(
            f"Coverage: {row[0]:.2%} of attempts priced, {row[1]:.2%} measured by the provider; "
            f"{row[2]:,} attempts with {row[3]:,} tokens have no price (not $0)."
        )
        click.echo(
            f"Records: read {files[0]:,} = accepted {files[1]:,} + duplicate {files[2]:,} + quarantined {files[3]:,}"
        )
