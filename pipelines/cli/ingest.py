"""nanodollar ingest: land files by hand, of whatever known format."""

import difflib
import uuid
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.main import Context

if TYPE_CHECKING:
    from pipelines.sources.spec import SourceSpec
    from pipelines.sources.stored import StoredFile
    from pipelines.warehouse.resource import Warehouse


@click.command(name="ingest")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--kind", metavar="KIND", help="Format of the files; by default detected from their content.")
@click.option(
    "--forget",
    "is_forgetting",
    is_flag=True,
    help="Take what these files brought out again, as if never landed.",
)
@click.pass_obj
def command(obj: Context, paths: tuple[Path, ...], kind: str | None, *, is_forgetting: bool) -> None:
    """Detect the format of files, land them, and say what became of their records."""
    from models.errors import ConfigurationError, NanodollarError
    from models.importers import importers
    from pipelines.landing.detect import detect_kind
    from pipelines.landing.trial import check_kind
    from pipelines.warehouse.resource import Warehouse

    project = obj.project()
    if kind is not None and kind not in importers():
        near = difflib.get_close_matches(kind, importers(), 1)
        hint = f"did you mean {near[0]!r}; " if near else ""
        known = ", ".join(importers())
        raise click.BadParameter(f"{kind!r} is no kind; {hint}there are {known}", param_hint="--kind")
    warehouse = Warehouse(project)
    if is_forgetting:
        _forget(warehouse, paths, kind)
        return
    worst = landed_count = 0
    # What one command brings of a bill is one delivery, however long it takes.
    began = datetime.now(UTC)
    for number, (shown, file) in enumerate(_listed(paths, project.folder)):
        try:
            if kind is None:
                detection = detect_kind(file)
                source = _source(warehouse, detection.kind)
                click.echo(f"{shown}: {detection.kind} ({detection.why})")
            else:
                source = _source(warehouse, kind)
                check_kind(file, source)
            worst = max(
                worst, _ingest(warehouse, shown, file, source, at=began + timedelta(microseconds=number))
            )
            landed_count += 1
        except ConfigurationError as error:
            worst = 2
            click.echo(f"Error: {error}", err=True)
        except NanodollarError as error:
            worst = max(worst, 1)
            click.echo(f"Error: {error}", err=True)
    if landed_count:
        click.echo("Run `nanodollar run` to compute the hours that these records touch.")
    raise SystemExit(worst)


def _listed(paths: tuple[Path, ...], project: Path) -> "list[tuple[str, StoredFile]]":
    """Return files as they were named and, of folders, all that is inside."""
    from pipelines.sources.local import files_of
    from pipelines.sources.stored import shown_path

    for path in paths:
        if not path.exists():
            raise click.BadParameter(f"{shown_path(path)} does not exist; check the path", param_hint="PATH")
    found = chain.from_iterable(sorted(path.rglob("*")) if path.is_dir() else [path] for path in paths)
    # A link is read under its own name; its folder is where it really lies.
    return [
        (shown_path(path), file)
        for path in found
        for file in files_of([path.parent.resolve() / path.name], project=project)
    ]


def _source(warehouse: "Warehouse", kind: str) -> "SourceSpec":
    """Return the source that files of a kind belong to: a configured one, so that a later run sees one source."""
    from pipelines.sources.spec import SourceSpec

    configured = [item for item in warehouse.project.sources if item.kind == kind]
    return configured[0] if configured else SourceSpec(name=f"ingest_{kind}", kind=kind)


def _ingest(
    warehouse: "Warehouse", shown: str, file: "StoredFile", source: "SourceSpec", *, at: datetime
) -> int:
    """Land one file, tell its outcome, and return the exit code."""
    from pipelines.landing.drive import land
    from pipelines.landing.known import UNREADABLE
    from pipelines.landing.outcome import outcome

    done = land(warehouse, source, run_id=f"ingest-{uuid.uuid4().hex[:12]}", files=[file], ingested_at=at)
    if not done.files:
        click.echo(f"{shown}: already landed, nothing to do")
        return 0
    is_unreadable = done.files[0]["file_hash"].startswith(UNREADABLE)
    for sentence in outcome(warehouse, done.files[0]):
        click.echo(f"{shown}: {sentence}", err=is_unreadable)
    return int(is_unreadable)


def _forget(warehouse: "Warehouse", paths: tuple[Path, ...], kind: str | None) -> None:
    """Take out what files brought, whether they are still there or not, and say what that was."""
    from pipelines.landing.forget import forget
    from pipelines.sources.local import files_of
    from pipelines.sources.stored import shown_path

    project = warehouse.project.folder
    warehouse.prepare()
    count = 0
    for path in paths:
        here = path.parent.resolve() / path.name
        below = sorted(here.rglob("*")) if here.is_dir() else [here]
        for one in below:
            called = shown_path(one.relative_to(project) if one.is_relative_to(project) else one)
            file = next(iter(files_of([one], project=project)), None) if one.exists() else None
            run_id = f"forget-{uuid.uuid4().hex[:12]}"
            for taken in forget(warehouse, called, file, kind=kind, run_id=run_id):
                count += 1
                click.echo(
                    f"{called}: {taken.landed_count:,} records of {taken.kind} taken out of the source "
                    f"{taken.source!r}, and {taken.quarantined_count:,} out of the quarantine"
                )
    if not count:
        raise click.UsageError(
            "nothing has landed from these paths; `nanodollar quarantine list` and "
            "ops.landed_files name what has"
        )
    click.echo(
        "Run `nanodollar run` to compute their hours anew; a source whose path they match reads them again."
    )
