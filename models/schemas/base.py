"""What a table is: columns, dtypes, comments and keys. DDL, checks and the data dictionary derive from it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

INSTANT = pl.Datetime("us", "UTC")
DTypeLike = pl.DataType | type[pl.DataType]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: `required` forbids NULL, `at_least` bounds numbers, `one_of` lists the allowed words."""

    name: str
    dtype: DTypeLike
    comment: str
    required: bool = False
    at_least: int | None = None
    one_of: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table: `partition` names the hour or business-day column that a partition replaces by.

    `select` makes it a view (SQL over `schema.table` names only). `overlaps` says why its rows cannot be summed as they
    are, and what to filter by.
    """

    schema: str
    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition: str | None = None
    select: str | None = None
    overlaps: str | None = None

    @property
    def dotted(self) -> str:
        return f"{self.schema}.{self.name}"

    @cached_property
    def polars_schema(self) -> pl.Schema:
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @staticmethod
    def column_ddl(column: Column) -> str:
        return f"{column.name} {duckdb_type(column.dtype)}"

    def ddl(self) -> list[str]:
        """Return the statements that create the table (or view) with its comments."""
        if self.select is not None:
            create = f"CREATE OR REPLACE VIEW {self.dotted} AS {self.select}"
            return [create, f"COMMENT ON VIEW {self.dotted} IS {_quoted(self.grain)}"]
        body = ", ".join(
            self.column_ddl(column) + (" NOT NULL" if column.required else "") for column in self.columns
        )
        return [
            f"CREATE TABLE IF NOT EXISTS {self.dotted} ({body})",
            f"COMMENT ON TABLE {self.dotted} IS {_quoted(self.grain)}",
            *self.column_comments(),
        ]

    def column_comments(self) -> list[str]:
        """Return the statements that comment its columns; DuckLake takes none on a view's, a DuckDB file does."""
        return [
            f"COMMENT ON COLUMN {self.dotted}.{column.name} IS {_quoted(column.comment)}"
            for column in self.columns
        ]

    def conform(self, frame: pl.LazyFrame, *, fill: bool = False) -> pl.LazyFrame:
        """Select the table's columns in order and cast them; with `fill`, an absent column is NULL."""
        present = set(frame.collect_schema().names()) if fill else set(self.column_names)
        return frame.select(
            (pl.col(column.name) if column.name in present else pl.lit(None))
            .cast(column.dtype)
            .alias(column.name)
            for column in self.columns
        )

    def empty(self) -> pl.DataFrame:
        return pl.DataFrame(schema=self.polars_schema)

    def frame(self, rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
        """Build a frame from dictionaries; an absent column is NULL, an unknown one an error."""
        rows = list(rows)
        unknown = set().union(*rows) - set(self.column_names)
        if unknown:
            raise KeyError(f"{self.dotted} has no column {sorted(unknown)}")
        return pl.DataFrame(
            {
                column.name: pl.Series(
                    column.name, [row.get(column.name) for row in rows], dtype=column.dtype
                )
                for column in self.columns
            }
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_SIMPLE: dict[Any, str] = {
    pl.String: "VARCHAR",
    pl.Int64: "BIGINT",
    pl.Int32: "INTEGER",
    pl.Float64: "DOUBLE",
    pl.Boolean: "BOOLEAN",
    pl.Date: "DATE",
}


def duckdb_type(dtype: DTypeLike) -> str:
    """Return DuckDB's name of a Polars dtype that the warehouse uses."""
    if isinstance(dtype, pl.Decimal):
        return f"DECIMAL({dtype.precision},{dtype.scale})"
    if isinstance(dtype, pl.Datetime):
        return "TIMESTAMPTZ"
    if isinstance(dtype, pl.List):
        return f"{duckdb_type(dtype.inner)}[]"  # type: ignore[arg-type]
    if isinstance(dtype, pl.Map):
        return f"MAP({duckdb_type(dtype.key)}, {duckdb_type(dtype.value)})"  # type: ignore[arg-type]
    return _SIMPLE[dtype if isinstance(dtype, type) else type(dtype)]
