"""nanodollar prices: check the sheets, compare them with an outside list, import one."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.dates import DAY
from pipelines.cli.main import Context

if TYPE_CHECKING:
    from models.prices.disagreements import Comparison, Listed
    from models.prices.offers import OutsideList, PriceListReader
    from models.prices.sheet_schema import TokenSheet

_BUILT_IN = "built-in"
_ROWS_SHOWN = 40


@click.group(name="prices")
def command() -> None:
    """Check price sheets, compare them with outside lists, and import those."""


@command.command(name="check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.pass_obj
def check(obj: Context, paths: tuple[Path, ...]) -> None:
    """Validate the built-in sheets and the project's, or the files at PATHS: every error with file and line."""
    from models.errors import ConfigurationError
    from models.prices.ages import age_lines
    from models.prices.contracts import load_contracts, unit_rates
    from models.prices.deployments import load_deployments
    from models.prices.fx import load_fx
    from models.prices.gpu_book import gpu_book
    from models.prices.gpu_sheets import examine_gpu_sheet
    from models.prices.providers import provider_aliases
    from models.prices.sheet_checks import family_problems
    from models.prices.sheets import examine_token_sheet
    from models.prices.token_book import unpriced_models

    token_texts, gpu_texts = _sheet_texts(obj) if not paths else _texts_at(paths)
    tokens = [examine_token_sheet(path, text) for path, text in token_texts.items()]
    gpus = [examine_gpu_sheet(path, text) for path, text in gpu_texts.items()]
    problems = [str(problem) for _, found in (*tokens, *gpus) for problem in found]
    good = [sheet for sheet, found in tokens if sheet is not None and not found]
    good_gpus = [sheet for sheet, found in gpus if sheet is not None and not found]
    problems += [str(problem) for problem in family_problems(good)]
    if not paths:
        problems += [str(problem) for problem in unpriced_models(good)]
    ids = set(provider_aliases().values()) | set(provider_aliases())
    owners = [(sheet.path, sheet.provider) for sheet in good] + [
        (sheet.path, sheet.vendor) for sheet in good_gpus
    ]
    unknown = [
        f"{path}: {provider!r} is no provider id of data/aliases/providers.yml"
        for path, provider in owners
        if provider not in ids
    ]
    project = None if paths else obj.project_here()
    parts: list[Any] = [lambda: gpu_book(good_gpus)]
    if project is not None:
        parts += [
            lambda: load_contracts(project.contracts_text(), path=project.settings.prices.contracts),
            lambda: unit_rates(project.contracts_text(), path=project.settings.prices.contracts),
            lambda: load_deployments(project.deployments_text(), path=project.settings.prices.deployments),
            lambda: load_fx(project.fx_text(), path=project.settings.prices.fx),
        ]
    for part in parts:
        try:
            part()
        except ConfigurationError as error:
            problems.append(str(error))
    for problem in problems:
        click.echo(problem)
    for note in unknown:
        click.echo(f"Note: {note}")
    today = datetime.now(UTC).date()
    read = [(sheet.path, sheet.read_on(model).date(), 1) for sheet in good for model in sheet.models]
    gpu_read = [(sheet.path, sheet.checked_on.date(), len(sheet.rates)) for sheet in good_gpus]
    for line in age_lines(read, what="models", today=today) + age_lines(gpu_read, what="rates", today=today):
        click.echo(f"Note: {line}")
    for sheet in good:
        for name, day in _overdue(sheet, today):
            click.echo(
                f"Note: {sheet.path}: the price of {name!r} announced for {day} is neither confirmed nor cancelled; "
                "append an entry of that valid_from with a later known_from"
            )
    model_count = sum(len(sheet.models) for sheet in good)
    click.echo(
        f"{len(tokens)} token sheets with {model_count:,} models, {len(gpus)} GPU sheets: "
        f"{len(problems)} problem{'' if len(problems) == 1 else 's'}."
    )
    if problems:
        raise SystemExit(1)


def _overdue(sheet: "TokenSheet", today: date) -> list[tuple[str, date]]:
    """Return the models and days of announced prices whose day has come and of which no later entry says more."""
    return [
        (model.model, plan.valid_from.date())
        for model in sheet.models
        for plan in model.prices
        if plan.announced and plan.valid_from.date() <= today
        if not any(
            entry.valid_from == plan.valid_from
            and entry.region == plan.region
            and not entry.announced
            and sheet.known_from(entry) > sheet.known_from(plan)
            for entry in model.prices
        )
    ]


def _sheet_texts(obj: Context) -> tuple[dict[str, str], dict[str, str]]:
    from models.prices.builtin import builtin_gpu_sheets, builtin_token_sheets

    project = obj.project_here()
    own = ({}, {}) if project is None else (project.token_sheet_texts(), project.gpu_sheet_texts())
    return {**builtin_token_sheets(), **own[0]}, {**builtin_gpu_sheets(), **own[1]}


def _texts_at(paths: tuple[Path, ...]) -> tuple[dict[str, str], dict[str, str]]:
    from pipelines.settings import written_text

    tokens: dict[str, str] = {}
    gpus: dict[str, str] = {}
    for path in paths:
        for file in sorted(path.rglob("*.yml")) if path.is_dir() else [path]:
            if not file.exists():
                raise click.BadParameter(f"{file} does not exist; check the path", param_hint="PATHS")
            text = written_text(file, shown=str(file))
            (gpus if re.search(r"^vendor:", text, re.MULTILINE) else tokens)[str(file)] = text
    return tokens, gpus


@command.command(name="diff")
@click.argument("first", metavar="LIST")
@click.argument("second", metavar="[LIST]", default=_BUILT_IN)
@click.option("--on", type=DAY, help="Day whose prices are compared; by default that of the newest list.")
@click.option("--all", "show_all", is_flag=True, help="Show every difference, not the largest.")
@click.pass_obj
def diff(obj: Context, first: str, second: str, on: datetime | None, show_all: bool) -> None:
    """Show where two price lists disagree, and by how much.

    LIST is a file, KIND:FILE or `built-in` (the built-in sheets and the project's; the second by default).
    """
    from models.prices.disagreements import compare, rounded_rates

    days = [day for day in (_day_in(name) for name in (first, second)) if day]
    at = on.date() if on else max(days, default=datetime.now(UTC).date())
    sides = [_listed(obj, name, at) for name in (first, second)]
    found = compare(*sides)
    click.echo(
        f"{first} and {second} on {at}: {found.both_count:,} names in both, {found.differing_count:,} differ"
    )
    _show_differences(found, show_all=show_all)
    for name in (first, second):
        if name != _BUILT_IN and _BUILT_IN in (first, second):
            _show_lacking(obj, name, at, show_all=show_all)
    click.echo(
        f"Only in {first}: {len(found.only_first):,}; only in {second}: {len(found.only_second):,} "
        "(of providers that both have)"
    )
    if _BUILT_IN in (first, second):
        for provider, model, meter, rate, booked in rounded_rates(_book(obj)[0]):
            click.echo(
                f"Rounded when booked: {provider} {model} {meter} {rate:f} per million is {booked} picodollars"
            )


def _show_differences(found: "Comparison", *, show_all: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("provider", "model", "class", "first", "second", "ratio", ""):
        table.add_column(
            name, justify="right" if name in {"first", "second", "ratio"} else "left", overflow="fold"
        )
    shown = found.disagreements if show_all else found.disagreements[:_ROWS_SHOWN]
    for row in shown:
        power = row.unit_power
        table.add_row(
            row.provider, row.model, row.meter, f"{row.first.normalize():f}", f"{row.second.normalize():f}",
            f"{row.ratio:.4g}", "" if power is None else f"10^{power}: a unit or a digit",
        )  # fmt: skip
    if shown:
        Console(width=140, highlight=False, color_system=None).print(table)
    traps = sum(row.unit_power is not None for row in found.disagreements)
    if traps:
        click.echo(f"{traps} rates differ by a power of ten: check the units.")
    if len(shown) < len(found.disagreements):
        click.echo(f"... and {len(found.disagreements) - len(shown):,} more; --all shows them.")


def _show_lacking(obj: Context, name: str, at: date, *, show_all: bool) -> None:
    """Print the classes and tiers that a list prices and the book lacks, of models that both have."""
    from models.prices.importing import Origin, lacking
    from models.prices.sheets import load_token_sheets

    reader, outside, digest = _read(name)
    origin = Origin(reader.kind, at, name, digest, reader.unit)
    found = lacking(outside, load_token_sheets(_sheet_texts(obj)[0]), origin=origin)
    shown = found if show_all else found[:_ROWS_SHOWN]
    click.echo(f"Classes and tiers that {name} prices and {_BUILT_IN} lacks: {len(found):,} models")
    for provider, model, words in shown:
        click.echo(f"  {provider} {model}: {', '.join(words)}")
    if len(shown) < len(found):
        click.echo(f"... and {len(found) - len(shown):,} more; --all shows them.")


def _listed(obj: Context, name: str, at: date) -> "Listed":
    from models.prices.disagreements import listed_in, listed_in_book

    if name == _BUILT_IN:
        book, models = _book(obj)
        return listed_in_book(book, models, at=datetime(at.year, at.month, at.day, 12, tzinfo=UTC))
    return listed_in(_read(name)[1], at=at)


def _book(obj: Context) -> Any:
    from models.prices.sheets import load_token_sheets
    from models.prices.token_book import model_aliases, token_book

    sheets = load_token_sheets(_sheet_texts(obj)[0])
    return token_book(sheets), model_aliases(sheets)


@command.command(name="import")
@click.argument("kind")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option(
    "--read-on", type=DAY, help="Day on which the list was read; by default the date in its file name."
)
@click.option(
    "--since", type=DAY, help="Day from which undated prices are taken to hold; by default the day read."
)
@click.option("--provider", "providers", multiple=True, help="Import this provider only; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.pass_obj
def import_(
    obj: Context,
    kind: str,
    files: tuple[Path, ...],
    read_on: datetime | None,
    since: datetime | None,
    providers: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Append what an outside list says to the project's prices, as dated entries in files of their own.

    KIND is genai-prices, litellm, portkey, aws, azure or gcp. Nothing that exists is written over; a rate beyond
    the bounds of a sheet is refused and named.
    """
    from models.errors import ConfigurationError
    from models.prices.gpu_sheets import load_gpu_sheets
    from models.prices.importing import Origin, import_gpus, import_tokens
    from models.prices.outside import readers
    from models.prices.sheets import load_token_sheets

    if kind not in readers():
        raise click.BadParameter(f"{kind!r} is no kind; there are {', '.join(readers())}", param_hint="KIND")
    project = obj.project()
    for file in sorted(files, key=lambda file: _day_in(file.name) or date.min):
        reader, outside, digest = _read(f"{kind}:{file}")
        newest = max((offer.read_on for offer in outside.gpu_offers), default=None)
        day = read_on.date() if read_on else newest or _day_in(file.name)
        if day is None:
            raise ConfigurationError(f"{file} bears no date; say when it was read with --read-on YYYY-MM-DD.")
        if providers:
            outside.token_offers = [offer for offer in outside.token_offers if offer.provider in providers]
            outside.gpu_offers = [offer for offer in outside.gpu_offers if offer.vendor in providers]
            outside.refusals = [refusal for refusal in outside.refusals if refusal.provider in providers]
        origin = Origin(kind, day, file.name, digest, reader.unit, since.date() if since else None)
        token_texts, gpu_texts = _sheet_texts(obj)
        done = (
            import_gpus(outside, load_gpu_sheets(gpu_texts), origin=origin)
            if outside.gpu_offers
            else import_tokens(outside, load_token_sheets(token_texts), origin=origin)
        )
        click.echo(
            f"{file}: {done.new_count:,} new, {done.changed_count:,} changed, {done.same_count:,} as in the book, "
            f"{len(done.refusals):,} refused"
        )
        for refusal in done.refusals:
            click.echo(f"  refused {refusal.provider} {refusal.where}: {refusal.why}")
        prices = project.settings.prices
        for name, text in done.files.items():
            folder = prices.token_sheets[0] if name.startswith("tokens/") else prices.gpu_sheets[0]
            _write(project.folder / folder / name.split("/", 1)[1], text, dry_run=dry_run)


def _write(target: Path, text: str, *, dry_run: bool) -> None:
    from models.errors import ConfigurationError

    if target.exists():
        raise ConfigurationError(
            f"{target} exists and says something else; move it away, or import with another --read-on."
        )
    if not dry_run:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    click.echo(f"  {'would write' if dry_run else 'wrote'} {target} ({text.count('valid_from')} entries)")


def _read(name: str) -> "tuple[PriceListReader, OutsideList, str]":
    """Read `KIND:FILE` or a file whose kind its content tells."""
    import hashlib

    from models.errors import ConfigurationError
    from models.prices.outside import readers

    kind, _, rest = name.partition(":")
    named = readers().get(kind)
    path = Path(rest if named else name)
    if not path.exists():
        raise click.BadParameter(
            f"{path} does not exist; name a file, KIND:FILE or {_BUILT_IN}", param_hint="LIST"
        )
    files = _contents(path)
    fitting = [named] if named else [reader for reader in readers().values() if reader.fits(files)]
    if len(fitting) != 1 or not fitting[0].fits(files):
        raise ConfigurationError(f"{path} is no list that can be read; there are {', '.join(readers())}.")
    digest = hashlib.sha256(b"".join(files[key] for key in sorted(files))).hexdigest()
    try:
        return fitting[0], fitting[0].read(files), digest
    except (ValueError, KeyError, TypeError, StopIteration, ArithmeticError) as error:
        raise ConfigurationError(
            f"{path} cannot be read as {fitting[0].kind} ({type(error).__name__}: {error}); check the file."
        ) from error


def _contents(path: Path) -> Mapping[str, bytes]:
    """Return the content of a file, unpacked; of an archive or folder that of its files."""
    import gzip
    import io
    import tarfile

    if path.is_dir():
        return {file.name: file.read_bytes() for file in sorted(path.iterdir()) if file.is_file()}
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if not tarfile.is_tarfile(io.BytesIO(content)):
        return {path.name: content}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        return {member.name: archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]


def _day_in(name: str) -> date | None:
    found = re.search(r"\d{4}-\d{2}-\d{2}", Path(name).name)
    return date.fromisoformat(found[0]) if found else None
