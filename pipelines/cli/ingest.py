"""nanodollar ingest: land files by hand, of whatever known format."""

from pathlib import Path

import click

from pipelines.cli.main import Context


@click.command(name="ingest")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--kind", metavar="KIND", help="Format of the files; by default detected from their content.")
@click.pass_obj
def command(obj: Context, paths: tuple[Path, ...], kind: str | None) -> None:
    """Detect the format of files, land them, and say what became of their records."""
    import uuid

    from models.errors import NanodollarError
    from pipelines.assets.raw import land
    from pipelines.landing.detect import detect_kind
    from pipelines.landing.spec import SourceSpec
    from pipelines.warehouse.resource import Warehouse

    project = obj.project()
    warehouse = Warehouse(project)
    failed = False
    for path in paths:
        try:
            found = kind
            if found is None:
                detection = detect_kind(path)
                found = detection.kind
                click.echo(f"{path}: {found} ({detection.why})")
            # Records belong to the configured source of that kind, so that a later run sees one source.
            names = [item.name for item in project.sources if item.kind == found]
            source = SourceSpec(
                name=names[0] if names else f"ingest_{found}",
                kind=found,
                path=str(path.resolve()),
                url=None,
                columns={},
            )
            counts = land(warehouse, source, run_id=f"ingest-{uuid.uuid4().hex[:12]}")
            duplicates = counts.get("duplicates", 0)
            if counts["files"] == 0:
                click.echo(f"{path}: already landed, nothing to do")
                continue
            click.echo(
                f"{path}: read {counts['read']:,} = accepted {counts['landed'] - duplicates:,} "
                f"+ duplicate {duplicates:,} + quarantined {counts['quarantined']:,}"
            )
        except NanodollarError as error:
            failed = True
            click.echo(f"Error: {error}", err=True)
    click.echo("Run `nanodollar run` to compute the hours that these records touch.")
    if failed:
        raise SystemExit(1)
