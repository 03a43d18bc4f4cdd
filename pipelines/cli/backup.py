"""nanodollar backup: what a project needs to stand up elsewhere."""

from datetime import UTC, datetime

import click

from pipelines.cli.main import Context


@click.command(name="backup")
@click.argument("target", metavar="DIR or s3://BUCKET/PREFIX")
@click.option(
    "--keep", type=click.IntRange(min=1), metavar="N", help="Keep the newest N backups; older ones go."
)
@click.option("--list", "is_list", is_flag=True, help="Show the backups that are there.")
@click.pass_obj
def command(obj: Context, target: str, keep: int | None, is_list: bool) -> None:
    """Back up the lake, its catalog, and the files that people wrote; only what is new is copied.

    A run may be at work meanwhile: the backup holds the last commit before it began. Log files in the landing folder
    are not copied; their rows are.
    """
    from pipelines.warehouse.backup import backup
    from pipelines.warehouse.backup_store import BackupStore, DamagedBackupError

    if is_list:
        store = BackupStore(target)
        for made_at in store.manifests():
            try:
                held = store.manifest(made_at)
            except DamagedBackupError:
                click.echo(f"{made_at:%Y-%m-%dT%H:%M:%SZ}  damaged: it cannot be restored")
                continue
            size = sum(one.size_bytes for one in [*held.data.values(), *held.project.values(), held.catalog])
            click.echo(
                f"{made_at:%Y-%m-%dT%H:%M:%SZ}  snapshot {held.snapshot}, {len(held.data):,} files of the lake, "
                f"{size / 1e6:,.1f} MB, by nanodollar {held.version}"
            )
        return
    made, new = backup(obj.project(), target, now=datetime.now(UTC), keep=keep)
    click.echo(
        f"Backed up snapshot {made.snapshot} to {target}: {len(made.data):,} files of the lake and "
        f"{len(made.project):,} of the project; {new:,} objects were new."
    )
