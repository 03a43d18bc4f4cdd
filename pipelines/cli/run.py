"""nanodollar run: bring the warehouse up to date."""

from datetime import UTC, datetime

import click

from pipelines.cli.main import Context


def parse_instant(text: str | None) -> datetime | None:
    """Read an ISO 8601 date or instant; without a zone it is UTC."""
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no date or instant; write it like 2026-11-02 or 2026-11-02T13:00"
        ) from error
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@click.command(name="run")
@click.option("--from", "from_text", metavar="T", help="First hour to rebuild (UTC unless a zone is given).")
@click.option("--to", "to_text", metavar="T", help="End of the range, exclusive.")
@click.option("--source", metavar="NAME", help="Land this source only; touched hours are rebuilt from all.")
@click.pass_obj
def command(obj: Context, from_text: str | None, to_text: str | None, source: str | None) -> None:
    """Land new files and rebuild the hours and days that they touch, with their checks and reports."""
    from pipelines.automation.runner import run
    from pipelines.cli.progress import showing_progress
    from pipelines.landing.land import source_files

    project = obj.project()
    known = [item.name for item in project.sources]
    if source is not None and source not in known:
        raise click.BadParameter(
            f"{source!r} is no source of {project.folder / 'nanodollar.toml'}; it has {', '.join(known)}"
        )
    for item in project.sources:
        if (
            item.path is not None
            and source in {None, item.name}
            and not source_files(item, project=project.folder)
        ):
            click.echo(f"The source {item.name!r} matches no file: {item.path}; check its path.", err=True)
    with showing_progress() as on_progress:
        summary = run(
            project,
            from_at=parse_instant(from_text),
            to_at=parse_instant(to_text),
            source=source,
            on_progress=on_progress,
        )
    click.echo(f"Computed {summary.hours} hours and {summary.days} days; published {project.published}.")
    for line in summary.failed_checks:
        click.echo(f"  {line}")
    if any(line.startswith("error") for line in summary.failed_checks):
        raise SystemExit(1)
