"""The rules that a table's schema sets for its rows, as SQL, and a look in one scan whether any is broken.

A suite of Great Expectations and this look are made of the same rules, so that they agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from models.schemas.base import Table
from pipelines.checks.domain import Bound
from pipelines.warehouse.statistics import small_tables


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The rows of a table between two bounds, the first included; all of them without bounds."""

    table: Table
    bounds: tuple[Bound, Bound] | None = None

    @property
    def name(self) -> str:
        return f"{self.table.schema}_{self.table.name}"

    def query(self) -> str:
        """Return the rows that are judged, as SQL."""
        where = "true"
        if self.bounds is not None:
            start, end = (f"'{_literal(bound)}'" for bound in self.bounds)
            where = f"{self.table.partition} >= {start} AND {self.table.partition} < {end}"
        return f"FROM nanodollar.{self.table.dotted} WHERE {where}"


def _literal(bound: Bound) -> str:
    return bound.strftime("%Y-%m-%d %H:%M:%S+00") if isinstance(bound, datetime) else bound.isoformat()


def value_rules(table: Table) -> dict[str, list[tuple[str, str]]]:
    """Return the rules of single values that a table has: by rule, pairs of a column and the SQL of a broken value."""
    rules = {
        "required values are there": [
            (column.name, f"{column.name} IS NULL") for column in table.columns if column.required
        ],
        "numbers are in their bounds": [
            (column.name, f"{column.name} < {column.at_least}")
            for column in table.columns
            if column.at_least is not None
        ],
        "words are known": [
            (column.name, f"{column.name} NOT IN ({', '.join(repr(word) for word in column.one_of)})")
            for column in table.columns
            if column.one_of is not None
        ],
    }
    return {rule: cases for rule, cases in rules.items() if cases}


def expectation_count(table: Table) -> int:
    """Return how many expectations a table's suite has: its columns, its key, and each kind of rule for values."""
    return 2 + len(value_rules(table))


def rows_that_keep_the_rules(con: duckdb.DuckDBPyConnection, slices: Sequence[Slice]) -> list[int | None]:
    """Return of each slice the number of its rows where all keep the rules, None where something is broken.

    Small tables are looked at by one query, which costs little more than one of them; a large one has its own, so that
    no two are in memory at a time.

    Args:
        con: session on the lake, in no transaction.
        slices: at most one of each table.
    """
    con.execute("BEGIN")  # One snapshot, which DuckLake then looks up once.
    try:
        small = small_tables(con)
        fit = [one for one in slices if _has_its_columns(con, one.table)]
        together = [one for one in fit if one.table.dotted in small]
        found: dict[str, int | None] = {}
        for group in (together, *([one] for one in fit if one not in together)):
            if group:
                rows = con.execute(" UNION ALL ".join(map(_look, group))).fetchall()
                found |= {dotted: None if is_broken else count for dotted, count, is_broken in rows}
    finally:
        con.execute("ROLLBACK")
    return [found.get(one.table.dotted) for one in slices]


def _has_its_columns(con: duckdb.DuckDBPyConnection, table: Table) -> bool:
    found = con.execute(f"FROM nanodollar.{table.dotted} LIMIT 0").description or []
    return {column[0] for column in found} == {*table.column_names}


def _look(one: Slice) -> str:
    """Return the query of a slice's table name, its number of rows, and whether one of them breaks a rule."""
    tests = [test for cases in value_rules(one.table).values() for _, test in cases]
    is_broken = " OR ".join(tests) or "false"
    return (
        f"SELECT '{one.table.dotted}', coalesce(sum(row_count), 0)::BIGINT, "
        "coalesce(bool_or(is_broken) OR max(row_count) > 1, false) "
        f"FROM (SELECT count(*) AS row_count, bool_or({is_broken}) AS is_broken {one.query()} "
        f"GROUP BY {', '.join(one.table.key)})"
    )
