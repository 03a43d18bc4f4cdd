"""nanodollar sql: read-only SQL on the live warehouse, also while a run writes."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.main import Context
from pipelines.quoting import sql_text

if TYPE_CHECKING:
    import duckdb

_ROWS_SHOWN = 200
_COPY_OPTIONS = {"csv": "FORMAT csv, HEADER", "json": "FORMAT json, ARRAY true", "parquet": "FORMAT parquet"}


@click.command(name="sql")
@click.argument("query", required=False)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="csv, json and parquet go to standard output, whole.",
)
@click.pass_obj
def command(obj: Context, query: str | None, output_format: str) -> None:
    """Run SQL on the live warehouse, or ask for it line by line. Nothing can be written to it."""
    from pipelines.warehouse.connect import connect_read_only

    with connect_read_only(obj.project()) as con:
        if query is not None:
            _answer(con, query, output_format)
        elif sys.stdin.isatty():
            _converse(con)
        else:
            _answer(con, sys.stdin.read(), output_format)


def _answer(con: "duckdb.DuckDBPyConnection", query: str, output_format: str) -> None:
    import duckdb

    from models.errors import DataError

    statement = query.strip().rstrip(";")
    if not statement:
        raise click.UsageError('There is no SQL; write it like nanodollar sql "FROM ops.coverage".')
    try:
        if output_format == "table":
            relation = con.sql(statement)
            if relation is not None:
                width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
                relation.show(max_rows=_ROWS_SHOWN, max_width=width)
            return
        if output_format == "parquet" and sys.stdout.isatty():
            raise click.UsageError(
                "Parquet is binary; send it to a file, as in: nanodollar sql ... > answer.parquet"
            )
        with tempfile.TemporaryDirectory(prefix="nanodollar-") as folder:
            file = Path(folder) / "answer"
            con.execute(f"COPY ({statement}) TO {sql_text(file)} ({_COPY_OPTIONS[output_format]})")
            with file.open("rb") as answer:
                while chunk := answer.read(1 << 20):
                    sys.stdout.buffer.write(chunk)
    except duckdb.Error as error:
        raise DataError(" ".join(str(error).split("\n\n")[0].split())) from error


def _converse(con: "duckdb.DuckDBPyConnection") -> None:
    import contextlib

    from models.errors import DataError

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  the arrow keys bring earlier lines back

    click.echo("SQL ends with ; and .tables lists the tables, .quit leaves.")
    lines: list[str] = []
    while True:
        try:
            line = input("    ...> " if lines else "nanodollar> ")
        except EOFError:
            return
        except KeyboardInterrupt:
            lines = []
            click.echo()
            continue
        word = line.strip()
        if not lines and word in {".quit", ".exit"}:
            return
        if not lines and word == ".tables":
            line = (
                "SELECT schema_name || '.' || table_name AS name, comment FROM duckdb_tables() "
                "WHERE database_name = 'nanodollar' ORDER BY 1;"
            )
        lines.append(line)
        if not line.rstrip().endswith(";"):
            continue
        try:
            _answer(con, "\n".join(lines), "table")
        except (DataError, click.UsageError) as error:
            click.echo(f"Error: {error}", err=True)
        lines = []
