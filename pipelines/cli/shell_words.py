"""The words of `nanodollar sql` that are not SQL, and the queries that they stand for."""

import click
import duckdb

from models.schemas.macros import macros
from models.schemas.start_here import start_here
from pipelines.quoting import sql_text

HELP = """\
SQL ends with ; and may take several lines. Tab completes names and keywords, the arrow keys bring back lines.
  .start            say in which table or macro to look for what
  .find WORD...     search questions, tables, columns and macros
  .tables           list the tables
  .schema [TABLE]   list the columns of a table with their meaning, or of all
  .macros           list the macros
  .help             show this
  .quit             leave; Ctrl-C drops a query that is begun"""
_SAME = {
    "help": ".help", "?": ".help", "\\?": ".help", "\\h": ".help", "quit": ".quit", "exit": ".quit", ".exit": ".quit",
    "\\q": ".quit", "tables": ".tables", "show tables": ".tables", "\\dt": ".tables", "\\d": ".tables",
    "start": ".start", "\\df": ".macros",
}  # fmt: skip
"""What people write who come from other shells."""
_HELD = """
SELECT schema_name || '.' || table_name AS name, comment FROM duckdb_tables() WHERE database_name = 'nanodollar'
UNION ALL
SELECT schema_name || '.' || view_name, comment FROM duckdb_views() WHERE database_name = 'nanodollar' AND NOT internal
"""
_COLUMNS = """
SELECT schema_name || '.' || table_name AS table_name, column_name, data_type, comment
FROM duckdb_columns() WHERE database_name = 'nanodollar'
"""


def word_of(text: str) -> str:
    """Return a line of the shell with the word that it begins with as .help lists it; SQL as it is."""
    line = text.strip().rstrip(";").strip()
    if line.lower() in _SAME:
        return _SAME[line.lower()]
    return f".schema {line[3:].strip()}" if line.startswith("\\d ") else line


def query_of(con: duckdb.DuckDBPyConnection, text: str) -> str:
    """Return the query that a word of the shell stands for, and SQL as it is.

    Raises:
        click.UsageError: there is no such word.
    """
    name, _, rest = word_of(text).partition(" ")
    rest = rest.strip()
    if not name.startswith("."):
        return text
    if name == ".tables":
        return f"{_HELD} ORDER BY 1"
    if name == ".schema":
        return _schema(con, rest)
    if name == ".macros":
        return f"SELECT * FROM (VALUES {_macros()}) AS found(macro, meaning)"
    if name == ".start":
        return f"SELECT * FROM (VALUES {_pointers()}) AS found(question, look_in, mind)"
    if name == ".find" and rest:
        return _find(rest.split())
    raise click.UsageError(f"There is no {name}{' without a word' if name == '.find' else ''}; write .help.")


def _schema(con: duckdb.DuckDBPyConnection, table: str) -> str:
    if not table:
        return f"{_COLUMNS} ORDER BY 1, column_index"
    named = f"FROM ({_HELD}) WHERE name = {sql_text(table)} OR split_part(name, '.', 2) = {sql_text(table)}"
    found = con.execute(f"SELECT name {named} ORDER BY 1").fetchall()
    if not found:
        return f"DESCRIBE {table}"  # which says what is nearest
    columns = _COLUMNS.replace("schema_name || '.' || table_name AS table_name, ", "", 1)
    return f"{columns} AND schema_name || '.' || table_name = {sql_text(found[0][0])} ORDER BY column_index"


def _find(words: list[str]) -> str:
    conditions = " AND ".join(
        f"contains(lower(name || ' ' || meaning), {sql_text(word.lower())})" for word in words
    )
    return f"""
SELECT kind, name, meaning FROM (
  SELECT 1 AS place, 'question' AS kind, look_in AS name, question || ': ' || mind AS meaning
  FROM (VALUES {_pointers()}) AS found(question, look_in, mind)
  UNION ALL SELECT 2, 'table', name, coalesce(comment, '') FROM ({_HELD})
  UNION ALL SELECT 3, 'macro', macro, meaning FROM (VALUES {_macros()}) AS found(macro, meaning)
  UNION ALL SELECT 4, 'column', table_name || '.' || column_name, coalesce(comment, '') FROM ({_COLUMNS})
) WHERE {conditions} ORDER BY place, name"""


def _pointers() -> str:
    return ", ".join(
        f"({sql_text(pointer.question)}, {sql_text(pointer.look)}, {sql_text(pointer.mind)})"
        for pointer in start_here()
    )


def _macros() -> str:
    return ", ".join(f"({sql_text(macro.call)}, {sql_text(macro.meaning)})" for macro in macros())
