"""nanodollar demo: the main job on a sample fleet, and what it found of what was planted."""

import json
import shutil
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.errors import ConfigurationError

if TYPE_CHECKING:
    import duckdb
    from rich.console import Console

_TRUTH = "truth.json"
_SPEND = """
SELECT (SELECT count(*) FILTER (WHERE is_first_accrual AND attempt_no IS DISTINCT FROM 0) FROM core.request_costs),
       sum(usage_usd), sum(available_usd)
FROM mart.cost_per_token_daily
"""
_BY = """
SELECT coalesce({dimension}, $unknown) AS name, sum(total_tokens)::BIGINT, sum(usage_usd), sum(available_usd),
       1e6 * sum(usage_usd)::DOUBLE / nullif(sum(total_tokens - unpriced_tokens), 0),
       1e6 * sum(available_usd)::DOUBLE / nullif(sum(total_tokens - unpriced_tokens), 0)
FROM mart.cost_per_token_daily WHERE route IS DISTINCT FROM '(unallocated)' GROUP BY 1 ORDER BY 4 DESC NULLS LAST
"""
_UNKNOWN = {"model": "(no model)", "route": "(no route: past the gateway)", "chip": "(the provider's own)"}
_COUNTS = """
SELECT (SELECT count(retry_of) FROM core.requests), (SELECT count(*) FROM core.requests WHERE is_fallback),
       (SELECT sum(cache_read_tokens)::BIGINT FROM core.requests WHERE attempt_no > 0),
       (SELECT count(*) FROM ops.duplicates), (SELECT count(*) FROM ops.quarantine),
       (SELECT count(*) FROM core.request_costs WHERE price_state = 'unpriced' AND model = $unknown_model),
       (SELECT sum(effective_usd) FROM core.request_costs WHERE model = $changed_model)
"""
_COVERAGE = """
SELECT sum(priced_count + free_count) / sum(attempt_count), sum(provider_usage_count) / sum(attempt_count),
       sum(unpriced_count)::BIGINT, sum(unpriced_tokens)::BIGINT FROM ops.coverage
"""
_FILES = """
SELECT sum(read_count)::BIGINT, sum(accepted_count)::BIGINT, sum(duplicate_count)::BIGINT,
       sum(quarantined_count)::BIGINT FROM ops.source_files
"""
_BURSTS = """
SELECT deployment, onset_at, ended_at, start_count, burst_usd, cause FROM mart.cold_start_bursts ORDER BY onset_at
"""


@click.command(name="demo")
@click.option("--days", default=14, show_default=True, help="Days of the sample fleet.")
@click.option("--requests-per-day", default=8000, show_default=True, help="Requests a day.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
def command(days: int, requests_per_day: int, folder: Path) -> None:
    """Make a sample fleet, run the main job on it, and print what it cost and what was found."""
    from rich.console import Console

    from pipelines.automation.runner import run
    from pipelines.cli.progress import showing_progress
    from pipelines.project import find_project
    from pipelines.samples import write_fleet
    from pipelines.warehouse.connect import connect_read_only

    if folder.exists():
        if not (folder / _TRUTH).exists():
            raise ConfigurationError(
                f"{folder} is no earlier demo, so it is left alone; name another folder with --folder."
            )
        shutil.rmtree(folder)
    with showing_progress() as on_progress:
        on_progress("sample fleet", f"writing {days} days of {requests_per_day:,} requests")
        write_fleet(folder, days=days, requests_per_day=requests_per_day)
        project = find_project(folder)
        summary = run(project, is_writing_data_docs=True, on_progress=on_progress)
    truth = json.loads((folder / _TRUTH).read_text(encoding="utf-8"))["facts"]
    console = Console(width=110, highlight=False, color_system=None)
    with connect_read_only(project) as con:
        _print_spend(con, console)
        _print_found(con, console, truth)
        _print_coverage(con)
        last = con.execute(
            "SELECT max(accrued_on) FROM mart.cost_per_token_daily WHERE attempt_count > 0"
        ).fetchall()
    click.echo("\nChecks that did not pass (the planted facts make them fail):")
    for line in summary.failed_checks:
        click.echo(f"  {line}")
    click.echo("\nLook next:")
    click.echo(f"  report     {_shown(project.reports / 'daily' / f'{last[0][0]}.html')}")
    click.echo(f"  catalog    {_shown(project.reports / 'catalog.html')}   (every table, column and check)")
    click.echo(f"  warehouse  {_shown(project.published)}   (DuckDB 1.5 or later opens it)")
    click.echo('  SQL        .venv/bin/nanodollar sql "FROM mart.cost_per_token_daily LIMIT 5"')
    click.echo("  Dagster    make ui   then http://127.0.0.1:3000")


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _print_spend(con: "duckdb.DuckDBPyConnection", console: "Console") -> None:
    from rich.table import Table

    attempts, usage, available = con.execute(_SPEND).fetchone() or (0, None, None)
    console.print(
        f"\n[bold]Spend[/bold]  ${available:,.2f} for {attempts:,} attempts: ${usage:,.2f} while serving, "
        f"${available - usage:,.2f} while GPUs start, idle or drain"
    )
    for dimension, unknown in _UNKNOWN.items():
        table = Table(
            title=f"\nCost per million tokens by {dimension}", title_justify="left", box=None, pad_edge=False
        )
        table.add_column(dimension, min_width=34)
        for name in ("tokens", "usage $", "available $", "usage $/M", "available $/M"):
            table.add_column(name, justify="right", min_width=13)
        cells = con.execute(_BY.format(dimension=dimension), {"unknown": unknown}).fetchall()
        for name, tokens, *figures in cells:
            texts = [_figure(value, places) for value, places in zip(figures, (2, 2, 4, 4), strict=True)]
            table.add_row(name, f"{tokens:,}", *texts)
        console.print(table)


def _figure(value: float | Decimal | None, places: int) -> str:
    return "not priced" if value is None else f"{value:,.{places}f}"


def _print_found(con: "duckdb.DuckDBPyConnection", console: "Console", truth: dict[str, Any]) -> None:
    from rich.table import Table

    change, unknown = truth["price_change"], truth["unknown_model"]
    counts = (
        con.execute(_COUNTS, {"unknown_model": unknown["model"], "changed_model": change["model"]}).fetchone()
        or (0,) * 7
    )
    facts: list[tuple[str, Any, Any]] = [
        ("retries", truth["retries"], counts[0]),
        ("fallbacks", truth["fallbacks"], counts[1]),
        ("tokens read from a cache", truth["cached_tokens"], counts[2]),
        ("duplicates", truth["duplicates"]["total"], counts[3]),
        ("records that cannot be used", len(truth["quarantined"]), counts[4]),
        ("attempts of an unknown model", unknown["attempts"], counts[5]),
        ("$ across a price change", Decimal(change["usd_before"]) + Decimal(change["usd_after"]), counts[6]),
    ]
    flagged = set(con.execute("SELECT kind, request_id FROM mart.routing_mistakes").fetchall())
    planted = {(kind, request_id) for kind, ids in truth["routing_mistakes"].items() for request_id in ids}
    for kind in truth["routing_mistakes"]:
        wanted, found = (sum(1 for name, _ in rows if name == kind) for rows in (planted, flagged & planted))
        facts.append((f"routing mistakes: {kind}", wanted, found))
    bursts = con.execute(_BURSTS).fetchall()
    hits = sum(any(_is_same(row, burst) for row in bursts) for burst in truth["cold_start_bursts"])
    facts.append(("bursts of cold starts", len(truth["cold_start_bursts"]), hits))
    table = Table(title="\nPlanted facts", title_justify="left", box=None, pad_edge=False)
    table.add_column("fact", min_width=34)
    for name in ("planted", "found"):
        table.add_column(name, justify="right", min_width=16)
    for name, wanted, found in facts:
        table.add_row(name, f"{wanted:,}", f"{found:,}")
    console.print(table)
    regret = sum(
        row[0] or 0 for row in con.execute("SELECT regret_usd FROM mart.routing_mistakes").fetchall()
    )
    click.echo(
        f"Found {sum(wanted == found for _, wanted, found in facts)} of {len(facts)} facts, and flagged "
        f"{len(flagged - planted)} routes and {len(bursts) - hits} bursts that were not planted."
    )
    click.echo(
        f"\nRouting mistakes: {len(flagged)} cost ${regret:,.2f} more than the policy's cheapest route."
    )
    click.echo("Bursts of cold starts:")
    for name, onset, _, starts, cost, cause in bursts:
        click.echo(f"  {name:20} {onset:%Y-%m-%d %H:%M}  {starts:3} starts  ${cost or 0:,.2f}  {cause}")


def _is_same(found: tuple[Any, ...], planted: dict[str, Any]) -> bool:
    onset, end = (datetime.fromisoformat(planted[name]) for name in ("onset_at", "ended_at"))
    slack = timedelta(minutes=30)
    return bool(found[0] == planted["deployment"] and found[1] <= end + slack and found[2] >= onset - slack)


def _print_coverage(con: "duckdb.DuckDBPyConnection") -> None:
    row, files = con.execute(_COVERAGE).fetchone(), con.execute(_FILES).fetchone()
    if row and files:
        click.echo(
            f"\nCoverage: {row[0]:.2%} of attempts priced, {row[1]:.2%} measured by the provider; "
            f"{row[2]:,} attempts with {row[3]:,} tokens have no price (which is not $0)."
        )
        click.echo(
            f"Records: read {files[0]:,} = accepted {files[1]:,} + duplicate {files[2]:,} + quarantined {files[3]:,}"
        )
