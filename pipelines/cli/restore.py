"""nanodollar restore: a project stands up again from a backup."""

from pathlib import Path

import click

from pipelines.cli.main import Context


@click.command(name="restore")
@click.argument("source", metavar="DIR or s3://BUCKET/PREFIX")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--at", "at_text", metavar="T", help="The newest backup of T or before (UTC unless a zone is given)."
)
@click.option("--catalog", metavar="TEXT", help="Where the new catalog lies, if not in a file of FOLDER.")
@click.option("--catalog-env", metavar="NAME", help="The environment variable that names the new catalog.")
@click.option("--data-path", metavar="PATH", help="Where the new lake's files lie, if not in FOLDER.")
@click.pass_obj
def command(
    obj: Context,
    source: str,
    folder: Path,
    at_text: str | None,
    catalog: str | None,
    catalog_env: str | None,
    data_path: str | None,
) -> None:
    """Restore a backup into a new project FOLDER, and compare it with what was backed up.

    Every file is checked by its hash, every table by its rows and the hashes of its partitions.
    """
    import json

    from pipelines.cli.run import parse_instant
    from pipelines.warehouse.restore import restore

    del obj  # A backup stands for itself.
    if catalog and catalog_env:
        raise click.UsageError("Name the catalog by --catalog or by --catalog-env, not by both.")
    written = json.dumps(catalog) if catalog else None
    if catalog_env:
        written = f"{{ env = {json.dumps(catalog_env)} }}"
    done = restore(source, folder, at=parse_instant(at_text), catalog=written, data_path=data_path)
    click.echo(
        f"Restored the backup of {done.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC (snapshot {done.manifest.snapshot}) "
        f"into {done.project.folder}: {len(done.manifest.tables):,} tables with {done.row_count:,} rows are as they "
        f"were. Bring the log files that its sources name, then `nanodollar --project {folder} run`."
    )
