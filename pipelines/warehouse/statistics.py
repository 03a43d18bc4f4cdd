"""What DuckLake's catalog counts of the lake's tables, and what follows from it for a session."""

import duckdb

METADATA = "__ducklake_metadata_nanodollar"
"""Where DuckLake attaches the tables of the lake's catalog."""
_SMALL_ROWS = 200_000
"""Rows that a table has at most where it counts as small."""
_LARGEST = f"SELECT coalesce(max(record_count), 0) FROM {METADATA}.ducklake_table_stats"


def fit_threads(con: duckdb.DuckDBPyConnection) -> None:
    """Give all sessions on a lake one thread while its tables are small, and else all that DuckDB takes by itself.

    A query of a small table takes half the processor time on one thread; a second has nothing to do but to wait.
    """
    ((rows,),) = con.execute(_LARGEST).fetchall()
    con.execute("SET threads = 1" if rows < _SMALL_ROWS else "RESET threads")


def small_tables(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the small tables of the lake, as `schema.table`."""
    return {
        row[0]
        for row in con.execute(
            f"""
            SELECT s.schema_name || '.' || t.table_name FROM {METADATA}.ducklake_table t
            JOIN {METADATA}.ducklake_schema s USING (schema_id) JOIN {METADATA}.ducklake_table_stats c USING (table_id)
            WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL AND c.record_count < {_SMALL_ROWS}
            """
        ).fetchall()
    }


def count_empty_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Give tables that never had rows statistics of no rows.

    DuckLake remembers the statistics of a table, but not that there are none: of a table without, each query asks the
    catalog once for every column, which takes longer than reading a full table.
    """
    con.execute("BEGIN")
    con.execute(
        f"""
        INSERT INTO {METADATA}.ducklake_table_column_stats (table_id, column_id, contains_null)
        SELECT table_id, column_id, false FROM {METADATA}.ducklake_column
        WHERE end_snapshot IS NULL AND table_id NOT IN (SELECT table_id FROM {METADATA}.ducklake_table_stats)
          AND (table_id, column_id) NOT IN (
            SELECT (table_id, parent_column) FROM {METADATA}.ducklake_column WHERE parent_column IS NOT NULL
          )
        """
    )
    con.execute(
        f"""
        INSERT INTO {METADATA}.ducklake_table_stats (table_id, record_count, next_row_id, file_size_bytes)
        SELECT table_id, 0, 0, 0 FROM {METADATA}.ducklake_table
        WHERE end_snapshot IS NULL AND table_id NOT IN (SELECT table_id FROM {METADATA}.ducklake_table_stats)
        """
    )
    con.execute("COMMIT")
