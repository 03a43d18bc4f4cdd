"""nanodollar run: bring the warehouse up to date."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from pipelines.cli.main import Context

if TYPE_CHECKING:
    from pipelines.warehouse.resource import Warehouse

_FILES_SHOWN = 5


def parse_instant(text: str | None) -> datetime | None:
    """Read an ISO 8601 date or instant; without a zone it is UTC."""
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text.strip().strip("\"'"))
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no date or instant; write it like 2026-11-02 or 2026-11-02T13:00"
        ) from error
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@click.command(name="run")
@click.option("--from", "from_text", metavar="T", help="First hour to rebuild (UTC unless a zone is given).")
@click.option("--to", "to_text", metavar="T", help="End of the range, exclusive.")
@click.option("--source", metavar="NAME", help="Land this source only; touched hours are rebuilt from all.")
@click.option(
    "--as-known-at",
    "known_text",
    metavar="T",
    help="Rebuild the past as known at T, apart from the live warehouse.",
)
@click.option(
    "--data-docs",
    "is_writing_data_docs",
    is_flag=True,
    help="Let Great Expectations judge every table, and write a page of each.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Chunks of hours computed side by side, instead of [run] processes.",
)
@click.pass_obj
def command(
    obj: Context,
    *,
    from_text: str | None,
    to_text: str | None,
    source: str | None,
    known_text: str | None,
    is_writing_data_docs: bool,
    jobs: int | None,
) -> None:
    """Land new files and rebuild the hours and days that they touch, with their checks and reports."""
    if known_text is not None:
        if from_text or to_text or source or is_writing_data_docs:
            raise click.UsageError(
                "--as-known-at rebuilds all that was known at T; leave the other options out."
            )
        _rebuild_past(obj, known_text)
        return
    from models.documents import nearest
    from pipelines.automation.up_to_date import WatchedInputs, up_to_date
    from pipelines.sources.places import files_at
    from pipelines.warehouse.disk import full_disk_explained
    from pipelines.warehouse.resource import Warehouse
    from pipelines.warehouse.turns import run_turn

    project = obj.project() if jobs is None else obj.project().with_workers(jobs)
    known = [item.name for item in project.sources]
    if source is not None and source not in known:
        raise click.BadParameter(
            f"{source!r} is no source of {project.folder / 'nanodollar.toml'}; {nearest(source, known)}"
        )
    from_at, to_at = parse_instant(from_text), parse_instant(to_text)
    if from_at is not None and to_at is not None and from_at >= to_at:
        raise click.UsageError(
            f"--from {from_text} is not before --to {to_text}, which is exclusive; turn them round."
        )
    with run_turn(project, on_wait=lambda note: click.echo(note, err=True)):
        now = datetime.now(UTC)
        files = {
            item.name: files_at(item.path, project=project.folder)
            for item in project.sources
            if item.path is not None and source in {None, item.name}
        }
        for item in project.sources:
            if item.name in files and not files[item.name]:
                click.echo(
                    f"The source {item.name!r} matches no file: {item.path}; check its path.", err=True
                )
        warehouse = Warehouse(project)
        is_whole = not (from_text or to_text or source)
        if is_whole and not is_writing_data_docs and up_to_date(warehouse, files, now=now):
            click.echo(
                f"Computed 0 hours and 0 days: nothing is new; published {project.published} is up to date."
            )
            _print_standing(warehouse)
            return
        watch = WatchedInputs(project, files, now=now)
        from pipelines.automation.runner import run
        from pipelines.cli.progress import showing_progress

        with showing_progress() as on_progress, full_disk_explained(project):
            summary = run(
                project,
                warehouse=warehouse.watched_by(on_progress),
                from_at=from_at,
                to_at=to_at,
                source=source,
                judged_until=watch.judged_until,
                is_writing_data_docs=is_writing_data_docs,
            )
        if is_whole:
            watch.keep(warehouse)
    click.echo(f"Computed {summary.hours} hours and {summary.days} days; published {project.published}.")
    for sentence in summary.mended:
        click.echo(f"  mended: {sentence}")
    from pipelines.reports.standing import standing

    with warehouse.reading() as con:
        for line in standing(con, project, now=datetime.now(UTC)):
            click.echo(line)
    _print_standing(warehouse)


def _print_standing(warehouse: "Warehouse") -> None:
    """Print the checks that fail, by this run or an earlier one, and the files that cannot be read: exit code 1."""
    from pipelines.landing.store import unreadable_files
    from pipelines.warehouse.failing import failing_checks, failing_lines
    from pipelines.warehouse.old_prices import old_price_lines

    with warehouse.reading() as con:
        lines = failing_lines(failing_checks(con))
        old_prices = old_price_lines(con, today=datetime.now(UTC).date())
    unreadable = unreadable_files(warehouse)
    for line in [*lines, *old_prices]:
        click.echo(f"  {line}")
    for path, note in unreadable[:_FILES_SHOWN]:
        click.echo(f"  {path}: {note}")
    if unreadable:
        click.echo(
            f"  {len(unreadable):,} files could not be read; `nanodollar quarantine list` names them all."
        )
    if unreadable or any(line.startswith("error") for line in lines):
        raise SystemExit(1)


def _rebuild_past(obj: Context, known_text: str) -> None:
    from pipelines.automation.past import rebuild_past
    from pipelines.cli.progress import showing_progress

    known_at = parse_instant(known_text)
    if known_at is None or known_at > datetime.now(UTC):
        raise click.BadParameter(f"{known_text!r} has not come yet; name an instant of the past")
    with showing_progress() as on_progress:
        past = rebuild_past(obj.project(), known_at, on_progress=on_progress)
    click.echo(f"{'month':9}{'USD as known then':>22}{'USD as known now':>22}{'change':>22}")
    for month, then, now in past.months:
        change = None if then is None or now is None else now - then
        click.echo(f"{month:%Y-%m}  {_usd(then)}{_usd(now)}{_usd(change, sign='+')}")
    click.echo(
        f"Computed {past.summary.hours} hours and {past.summary.days} days as known at "
        f"{known_at:%Y-%m-%d %H:%M:%S} UTC; the live warehouse was only read. "
        f"Tables: {past.project.published}; reports: {past.project.reports}."
    )


def _usd(amount: Decimal | None, *, sign: str = "-") -> str:
    return f"{'not known':>22}" if amount is None else f"{amount:>{sign}22,.6f}"
