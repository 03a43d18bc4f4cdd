"""nanodollar schemas: JSON Schemas of the files that people write, for their editors."""

from pathlib import Path

import click

from pipelines.cli.main import Context


@click.command(name="schemas")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def command(obj: Context, folder: Path | None) -> None:
    """Write the JSON Schemas of settings, policies and sheets, by default into the project's schemas folder."""
    from pipelines.written_files import write_schemas

    target = obj.project().folder / "schemas" if folder is None else folder
    written = write_schemas(target)
    click.echo(f"Wrote {len(written)} schemas to {target}: {', '.join(path.stem for path in written)}.")
    click.echo(
        "An editor uses one by a first line such as # yaml-language-server: $schema=../schemas/routing.json"
    )
