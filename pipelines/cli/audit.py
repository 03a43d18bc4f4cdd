"""nanodollar audit: how wrong is the gateway's own cost, and why. Needs no project."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.main import Context

if TYPE_CHECKING:
    from pipelines.reports.audit import Books

_MODELS_SHOWN = 10


@click.command(name="audit")
@click.argument("exports", nargs=-1, required=True, metavar="EXPORT...", type=click.Path(path_type=Path))
@click.option("--kind", metavar="KIND", help="Format of the export; by default detected from its content.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "html", "json"]),
    default="table",
    show_default=True,
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File of the HTML page; by default audit-EXPORT.html here.",
)
@click.pass_obj
def command(
    obj: Context, exports: tuple[Path, ...], kind: str | None, output_format: str, output: Path | None
) -> None:
    """Reprice a gateway's export by dated list prices and explain each class of difference.

    EXPORT is what the gateway keeps of its calls with its own cost, such as LiteLLM's SpendLogs as JSON lines.
    """
    from models.importers import importers
    from pipelines.landing.detect import detect_kind
    from pipelines.reports.audit import as_html, as_json, audit_answer, audit_rows, read_export
    from pipelines.sources.stored import stored_file

    if kind is not None and kind not in importers():
        raise click.BadParameter(
            f"{kind!r} is no kind; there are {', '.join(importers())}", param_hint="--kind"
        )
    for path in exports:
        if not path.is_file():
            raise click.BadParameter(f"{path} is no file; check the path", param_hint="EXPORT")
    now = datetime.now(UTC)
    files = [stored_file(path.resolve(), project=Path.cwd()) for path in exports]
    export = read_export([(file, kind or detect_kind(file).kind) for file in files], read_at=now)
    answer = audit_answer(export, audit_rows(export, _books(obj), as_known_at=now))
    if output_format == "json":
        click.echo(as_json(answer))
    elif output_format == "html":
        target = output or Path(f"audit-{exports[0].name.split('.')[0]}.html")
        target.write_text(as_html(answer, generated_at=now), encoding="utf-8")
        click.echo(f"Wrote {target}")
    else:
        _show(answer)


def _books(obj: Context) -> "Books":
    """Return the built-in price book, with the sheets of the project where there is one."""
    from models.prices.builtin import builtin_token_sheets
    from models.prices.fx import load_fx
    from models.prices.sheets import load_token_sheets
    from models.prices.token_book import model_aliases, token_book
    from pipelines.reports.audit import Books

    project = obj.project_here()
    own = {} if project is None else project.token_sheet_texts()
    rates = "" if project is None else project.fx_text()
    sheets = load_token_sheets({**builtin_token_sheets(), **own})
    return Books(token_book(sheets), model_aliases(sheets), load_fx(rates, path="fx.csv"))


def _show(answer: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=120, highlight=False, color_system=None)
    totals = answer["totals"]
    click.echo(f"{', '.join(answer['exports'])}: {', '.join(answer['kinds'])}, {totals['row_count']:,} rows")
    click.echo(
        f"Booked {_usd(totals['booked_usd'])}, by the price book {_usd(totals['priced_usd'])}: "
        f"{_signed(totals['difference_usd'])} ({_usd(totals['absolute_usd'])} without regard to sign). "
        f"{totals['agreeing_count']:,} rows agree."
    )
    if totals["not_comparable_count"]:
        click.echo(
            f"{totals['not_comparable_count']:,} rows booked at {_usd(totals['not_comparable_booked_usd'])} have no "
            "price or no usage to compare with; they are in no other figure."
        )
    table = Table(box=None, pad_edge=False, title="\nWhy they differ", title_justify="left")
    for name in ("class", "rows", "booked", "true", "difference", "such as"):
        table.add_column(name, justify="left" if name in {"class", "such as"} else "right")
    differing = [row for row in answer["classes"] if row["kind"] != "agrees"]
    for row in differing:
        examples = ", ".join(example["request_id"] for example in row["examples"][:2])
        figures = (_usd(row["booked_usd"]), _usd(row["priced_usd"]), _signed(row["difference_usd"]))
        table.add_row(row["title"], f"{row['row_count']:,}", *figures, examples)
    if differing:
        console.print(table)
        for row in differing:
            what = "; ".join(row["details"][:2])
            click.echo(f"\n{row['title']}{f' ({what})' if what else ''}\n  {row['advice']}")
    _show_not_comparable(answer)
    for reason, count in answer["quarantined"].items():
        click.echo(f"{count:,} records could not be used: {reason}")


def _show_not_comparable(answer: dict[str, Any]) -> None:
    shown = answer["not_comparable"][:_MODELS_SHOWN]
    if shown:
        click.echo("\nNot comparable")
    for row in shown:
        what = f"{row['provider'] or 'unknown provider'} {row['priced_model'] or 'unknown model'}"
        click.echo(
            f"  {what}: {row['row_count']:,} rows booked at {_usd(row['booked_usd'])}, {row['reason']} "
            f"(such as {row['examples'][0]})"
        )


def _usd(value: Decimal) -> str:
    size = abs(value)
    text = f"{size:,.2f}" if size >= 1 or not size else f"{size:.6f}"
    return f"{'-' if value < 0 else ''}${text}"


def _signed(value: Decimal) -> str:
    return f"+{_usd(value)}" if value > 0 else _usd(value)
