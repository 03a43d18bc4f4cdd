"""nanodollar sql: SQL on the live warehouse, also while a run writes, in a session that can only read it."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.main import Context
from pipelines.quoting import sql_text

if TYPE_CHECKING:
    import duckdb

_ROWS_SHOWN = 200
_COPY_OPTIONS = {"csv": "FORMAT csv, HEADER", "json": "FORMAT json, ARRAY true", "parquet": "FORMAT parquet"}
_ROWS_AT_ONCE = 100_000
_NAMES = """
SELECT schema_name || '.' || table_name AS name FROM duckdb_tables() WHERE database_name = 'nanodollar'
UNION SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE database_name = 'nanodollar' AND NOT internal
UNION SELECT column_name FROM duckdb_columns() WHERE database_name = 'nanodollar'
UNION SELECT function_name || '(' FROM duckdb_functions() WHERE database_name = 'nanodollar'
UNION SELECT upper(keyword_name) FROM duckdb_keywords()
"""


@click.command(name="sql")
@click.argument("query", required=False)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="csv, json and parquet go to standard output, whole; csv shows control characters as their escapes.",
)
@click.pass_obj
def command(obj: Context, query: str | None, output_format: str) -> None:
    """Run SQL on the live warehouse, or ask for it line by line. Nothing can be written, nor other files read."""
    from pipelines.warehouse.locked import connect_locked

    project = obj.project()
    with connect_locked(project) as con:
        if query is not None:
            _answer(con, query, output_format)
        elif sys.stdin.isatty():
            _converse(con, project.folder / ".nanodollar.sql_history")
        else:
            _answer(con, sys.stdin.read(), output_format)


def _answer(con: "duckdb.DuckDBPyConnection", text: str, output_format: str) -> None:
    """Run the statements of a text and print what they answer."""
    import duckdb

    from models.errors import DataError
    from pipelines.cli.shell_words import query_of
    from pipelines.warehouse.locked import readable, reading_statements

    try:
        statements = reading_statements(con, query_of(con, text.strip()))
        if not statements:
            raise click.UsageError('There is no SQL; write it like nanodollar sql "FROM ops.coverage".')
        if output_format == "table":
            for statement in statements:
                try:
                    relation = con.sql(statement)
                except (duckdb.BinderException, duckdb.CatalogException):
                    con.execute(statement)  # fails in the same words, and shows where
                    raise
                width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
                relation.show(max_rows=_ROWS_SHOWN, max_width=width)
            return
        if output_format == "parquet" and sys.stdout.isatty():
            raise click.UsageError(
                "Parquet is binary; send it to a file, as in: nanodollar sql ... > answer.parquet"
            )
        if len(statements) > 1:
            raise click.UsageError(f"There are {len(statements)} statements; {output_format} takes one.")
        _export(con, statements[0], output_format)
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except duckdb.Error as error:
        raise DataError(readable(str(error))) from error


def _export(con: "duckdb.DuckDBPyConnection", statement: str, output_format: str) -> None:
    """Write an answer to standard output; a session apart, without the lake, turns its batches into the format."""
    from pipelines.masking import escaped, escaped_json, mask
    from pipelines.warehouse.connect import memory_connection

    escape = escaped_json if output_format == "json" else escaped

    with tempfile.TemporaryDirectory(prefix="nanodollar-") as folder:
        file = Path(folder) / "answer"
        with memory_connection() as writer:
            writer.register("answer", con.execute(statement).to_arrow_reader(_ROWS_AT_ONCE))
            writer.execute(f"COPY (FROM answer) TO {sql_text(file)} ({_COPY_OPTIONS[output_format]})")
        with file.open("rb") as answer:
            if output_format == "parquet":
                shutil.copyfileobj(answer, sys.stdout.buffer, 1 << 20)
                return
            for line in answer:
                sys.stdout.buffer.write(escape(mask(line.decode())).encode())


def _converse(con: "duckdb.DuckDBPyConnection", history: Path) -> None:
    from models.errors import DataError
    from pipelines.cli.shell_words import HELP, word_of

    with _line_editing(con, history):
        click.echo("SQL ends with ;  .start says where to look for what, .help what else there is.")
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
            word = word_of(line)
            if word == ".quit":
                return
            if word == ".help":
                click.echo(HELP)
                continue
            if not line.strip():
                if lines:
                    click.echo("End the query with ;  or drop it by Ctrl-C.")
                continue
            lines.append(line)
            is_whole = line.rstrip().endswith(";") or (len(lines) == 1 and word.startswith("."))
            if not is_whole:
                continue
            try:
                _answer(con, "\n".join(lines), "table")
            except (DataError, click.UsageError) as error:
                click.echo(f"Error: {error}", err=True)
            except (KeyboardInterrupt, RuntimeError):
                click.echo("Stopped.", err=True)
            lines = []


@contextmanager
def _line_editing(con: "duckdb.DuckDBPyConnection", history: Path) -> Iterator[None]:
    """Complete names by Tab, and bring earlier lines back with the arrow keys, also those of earlier sessions."""
    try:
        import readline
    except ImportError:
        yield
        return
    names = sorted(name for (name,) in con.execute(_NAMES).fetchall())

    def complete(text: str, place: int) -> str | None:
        fitting = [name for name in names if name.lower().startswith(text.lower())]
        return fitting[place] if place < len(fitting) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n,;()=<>+-*/'\"")
    is_libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")
    if history.exists():
        readline.read_history_file(history)
    try:
        yield
    finally:
        history.touch(mode=0o600)
        readline.set_history_length(1000)
        readline.write_history_file(history)
