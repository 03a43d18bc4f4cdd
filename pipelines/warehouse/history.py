"""Reading the lake as it was."""

import duckdb


def read_history(con: duckdb.DuckDBPyConnection) -> None:
    """Let a session read earlier snapshots as they were.

    DuckLake 1.5 keeps one set of column statistics, that of the newest snapshot (ducklake#1377): once rows are gone
    and their files written anew, a filter that finds them only in an earlier snapshot is taken for one that finds none,
    and a count of a column counts NULLs.
    """
    con.execute("SET disabled_optimizers = 'statistics_propagation'")
