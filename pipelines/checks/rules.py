"""The rules that a table's schema sets for its rows, as SQL, and a look in one scan whether any is broken.

A suite of Great Expectations and this look are made of the same rules, so that they agree.
"""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from models.schemas.base import Table
from pipelines.checks.domain import Bound


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


def rows_that_keep_the_rules(con: duckdb.DuckDBPyConnection, one: Slice) -> int | None:
    """Return the number of rows of a slice where all keep the rules, None where something is broken."""
    table = one.table
    found = con.execute(f"FROM nanodollar.{table.dotted} LIMIT 0").description or []
    if {column[0] for column in found} != {*table.column_names}:
        return None
    tests = [test for cases in value_rules(table).values() for _, test in cases]
    is_broken = " OR ".join(tests) or "false"
    ((count, most, broken),) = con.execute(
        "SELECT coalesce(sum(row_count), 0)::BIGINT, coalesce(max(row_count), 0), coalesce(bool_or(is_broken), false) "
        f"FROM (SELECT count(*) AS row_count, bool_or({is_broken}) AS is_broken {one.query()} "
        f"GROUP BY {', '.join(table.key)})"
    ).fetchall()
    return None if broken or most > 1 else int(count)
