"""A session for SQL that a person writes: it reads the lake's tables, and can do nothing else.

Two locks, each enough for most of what could go wrong. The engine is told to touch no file but the lake's own, to
load nothing, and to keep its settings (`lock`). Before a statement runs, `reading_statements` parses it with DuckDB's
own parser and lets it pass only if it is a query whose every table is one of the lake's and whose every table function
is on a list of those that read nothing from outside. What the engine's lock does not hold alone: its own folder may be
written by COPY, and its SQLite and PostgreSQL readers open files and hosts by themselves.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import duckdb

from models.errors import DataError
from pipelines.project import Project
from pipelines.quoting import sql_text
from pipelines.warehouse.connect import connect_read_only
from pipelines.warehouse.history import read_history

_TABLE_FUNCTIONS = frozenset(
    {
        *("unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree"),
        *(
            "duckdb_tables",
            "duckdb_columns",
            "duckdb_views",
            "duckdb_schemas",
            "duckdb_functions",
            "duckdb_types",
        ),
        *("duckdb_constraints", "duckdb_keywords", "pg_timezone_names", "icu_calendar_names"),
        *("pragma_table_info", "pragma_show", "pragma_version", "show_tables"),
        *("ducklake_snapshots", "ducklake_current_snapshot", "ducklake_last_committed_snapshot"),
        *(
            "ducklake_table_info",
            "ducklake_table_changes",
            "ducklake_table_insertions",
            "ducklake_table_deletions",
        ),
    }
)
"""Table functions that read the lake or nothing; the lake's own macros come on top."""
_REFUSED_FUNCTIONS = frozenset({"getenv", "write_log", "current_setting", "which_secret"})
_REFUSED_VIEWS = frozenset(
    {
        "duckdb_databases", "pragma_database_list", "duckdb_logs", "duckdb_settings", "pg_settings",
        "pg_prepared_statements",
    }
)  # fmt: skip
_CATALOGS = frozenset({"", "nanodollar", "system", "memory", "temp"})
# Only what ends where DuckDB ends it: its block comments nest, and a line ends at either break.
_COMMENTS = r"(?:\s|--[^\n\r]*[\n\r]|/\*(?:(?!/\*|\*/).)*\*/)*"
_EXPLAIN = re.compile(
    rf"{_COMMENTS}EXPLAIN\s+(ANALYZE\b\s*)?(\(\s*(ANALYZE|FORMAT)\b[\w\s,]*\)\s*)?", re.IGNORECASE | re.DOTALL
)
_VERB = re.compile(rf"{_COMMENTS}(\w+)", re.DOTALL)
_REMEDY = "write a query, such as SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, SHOW TABLES or EXPLAIN"


@contextmanager
def connect_locked(project: Project) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a session on the live lake for SQL that a person writes, of today or AT an earlier version."""
    with (
        tempfile.TemporaryDirectory(prefix="nanodollar-") as folder,
        connect_read_only(project) as con,
    ):
        read_history(con)
        lock(con, lake_files=project.data_path, temporary=folder)
        yield con


def lock(
    con: duckdb.DuckDBPyConnection, *, lake_files: str, temporary: str, keeps_types: bool = True
) -> None:
    """Let a session touch the lake's files and its own temporary ones, and keep its settings from now on.

    Args:
        con: the session.
        lake_files: folder that it may read.
        temporary: folder that it may spill to.
        keeps_types: whether Arrow gets types that it lacks, such as DuckDB's booleans, as extension types.
    """
    folders = [lake_files.rstrip("/") + "/", temporary.rstrip("/") + "/"]
    con.execute(
        f"""
        SET temp_directory = {sql_text(temporary)};
        SET allowed_directories = [{", ".join(map(sql_text, folders))}];
        SET python_enable_replacements = false;
        SET arrow_lossless_conversion = {str(keeps_types).lower()};
        SET autoinstall_known_extensions = false;
        SET autoload_known_extensions = false;
        SET allow_community_extensions = false;
        SET enable_external_access = false;
        SET lock_configuration = true;
        """
    )


def reading_statements(con: duckdb.DuckDBPyConnection, text: str) -> list[str]:
    """Return the statements of a text, all of which only read the lake.

    Args:
        con: a session on the lake; it parses.
        text: SQL, of one statement or several.

    Raises:
        DataError: a statement would do anything else, or names what does not belong to the lake.
        duckdb.Error: it is not valid SQL.
    """
    parsed = [(statement.query.strip(), statement.type) for statement in con.extract_statements(text)]
    macros: frozenset[str] | None = None
    for statement, kind_of_statement in parsed:
        explains = _EXPLAIN.match(statement) if kind_of_statement == duckdb.StatementType.EXPLAIN else None
        query = statement[explains.end() :] if explains else statement
        if not query:
            # A PIVOT without its values is several statements to DuckDB.
            raise DataError(
                "A PIVOT lists its values here; write them, as in PIVOT t ON x IN ('a', 'b') USING sum(y)."
            )
        tree = json.loads(_value(con, "SELECT json_serialize_sql($1)::VARCHAR", [query]))
        if tree["error"]:
            if tree["error_type"] == "not implemented":
                verb = _VERB.match(query)
                word = verb[1].upper() if verb else "this"
                raise DataError(f"This session is read-only and {word} is not a query; {_REMEDY}.")
            # DuckDB parsed the whole, so an EXPLAIN is of something else than it seems to be.
            raise DataError(f"What this statement reads cannot be told, so it is not run; {_REMEDY}.")
        for node in _nodes(tree["statements"]):
            kind = node.get("type")
            if kind == "TABLE_FUNCTION":
                name = str(node["function"].get("function_name", "")).lower()
                if name in _TABLE_FUNCTIONS:
                    continue
                if macros is None:
                    macros = _macros(con)
                if name not in macros:
                    near = get_close_matches(name, [*macros, *_TABLE_FUNCTIONS], 1)
                    hint = f"did you mean {near[0]}()?" if near else "`SHOW ALL TABLES` lists them."
                    raise DataError(
                        f"The function {name}() is not available here, as this session is read-only and reads the "
                        f"lake's tables only; {hint}"
                    )
            elif kind == "BASE_TABLE":
                _check_table(node)
            elif (
                node.get("class") == "FUNCTION"
                and str(node.get("function_name")).lower() in _REFUSED_FUNCTIONS
            ):
                raise DataError(
                    f"The function {node['function_name']}() is not available here; leave it out."
                )
    return [statement for statement, _ in parsed]


def readable(text: str) -> str:
    """Return DuckDB's message without its class, with the line and the caret that it shows."""
    body, _, place = text.partition("\n\nLINE ")
    kind, colon, rest = body.partition(": ")
    said = " ".join(
        (rest if colon and kind.endswith(("Error", "Exception")) else body).split("\n\n")[0].split()
    )
    return said + ("\nLINE " + place.split("\n\n")[0].rstrip() if place else "")


def _check_table(node: dict[str, Any]) -> None:
    catalog, schema, table = (
        str(node[part]).lower() for part in ("catalog_name", "schema_name", "table_name")
    )
    is_outside = catalog not in _CATALOGS or any(name.startswith("__ducklake") for name in (catalog, schema))
    if is_outside or table in _REFUSED_VIEWS or re.search(r"[/\\.:*]", table):
        name = ".".join(
            str(node[part]) for part in ("catalog_name", "schema_name", "table_name") if node[part]
        )
        raise DataError(
            f"{name} is no table of the lake, and this session is read-only and reads nothing else; "
            f"`SHOW ALL TABLES` lists them."
        )


def _macros(con: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Return the names of the lake's own table macros."""
    rows = con.execute(
        "SELECT function_name FROM duckdb_functions() "
        "WHERE database_name IN ('nanodollar', 'came_later') AND function_type = 'table_macro' AND NOT internal"
    ).fetchall()
    return frozenset(str(name).lower() for (name,) in rows)


def _value(con: duckdb.DuckDBPyConnection, query: str, parameters: list[str]) -> str:
    row = con.execute(query, parameters).fetchone()
    return str(row[0]) if row else ""


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping of a parsed statement, however deep."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
