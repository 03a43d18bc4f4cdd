"""nanodollar quarantine: list the records that could not be used, and read them again once the cause is mended."""

import click

from pipelines.cli.main import Context

_SUMMARY = """
SELECT source, path, reason, count(*) AS records, min(line_number) AS first_line,
       min_by(detail, line_number) AS detail
FROM ops.quarantine WHERE coalesce(source = $source, true) GROUP BY ALL ORDER BY source, path, records DESC, reason
"""
_RECORDS = """
SELECT source, path, line_number, record_number, byte_offset, byte_length, reason, detail, skeleton
FROM ops.quarantine WHERE coalesce(source = $source, true) ORDER BY source, path, line_number, record_number
"""
_FILES = """
SELECT source, path, note FROM ops.landed_files
WHERE file_hash LIKE 'unreadable:%' AND coalesce(source = $source, true) ORDER BY source, path
"""


@click.group(name="quarantine")
def command() -> None:
    """See the records that could not be used, and read them again once the cause is mended."""


@command.command(name="list")
@click.option("--source", metavar="NAME", help="Records of this source only.")
@click.option(
    "--records", "is_single", is_flag=True, help="Every record with its place and keys, as JSON lines."
)
@click.pass_obj
def list_records(obj: Context, source: str | None, is_single: bool) -> None:
    """List quarantined records by file and reason, and files of which nothing could be read."""
    import json

    from pipelines.warehouse.resource import Warehouse

    with Warehouse(obj.project()).reading() as con:
        if is_single:
            cursor = con.execute(_RECORDS, {"source": source})
            names = [column[0] for column in cursor.description or ()]
            while rows := cursor.fetchmany(1000):
                for row in rows:
                    click.echo(json.dumps(dict(zip(names, row, strict=True))))
            return
        groups = con.execute(_SUMMARY, {"source": source}).fetchall()
        files = con.execute(_FILES, {"source": source}).fetchall()
    for name, path, reason, count, line, detail in groups:
        click.echo(f"{name}  {path}: {count:,} {reason}, first on line {line} ({detail})")
    for name, path, note in files:
        click.echo(f"{name}  {path}: {note}")
    if not groups and not files:
        click.echo("The quarantine is empty.")


@command.command(name="retry")
@click.option("--source", metavar="NAME", help="Records of this source only.")
@click.pass_obj
def retry_records(obj: Context, source: str | None) -> None:
    """Read quarantined records again; those that are good now land exactly once."""
    from pipelines.landing.retry import retry
    from pipelines.warehouse.resource import Warehouse

    warehouse = Warehouse(obj.project())
    warehouse.prepare()
    landed = kept = 0
    for done in retry(warehouse, source=source):
        landed, kept = landed + done.landed, kept + done.kept
        note = f" ({done.note})" if done.note else ""
        click.echo(f"{done.path}: {done.landed:,} landed, {done.kept:,} still in quarantine{note}")
    click.echo(f"{landed:,} records landed, {kept:,} are still in quarantine.")
    if landed:
        click.echo("Run `nanodollar run` to compute the hours that they touch.")
