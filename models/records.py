"""What an importer is: how DuckDB reads its records, and how they become canonical columns.

DuckDB reads every field as text (so that one odd value never loses a file), extracts nested fields in SQL, and
casts; Polars makes the token classes disjoint and names what is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, kw_only=True)
class Importer:
    """One record format.

    Attributes:
        kind: name in nanodollar.toml; the column `source_kind`.
        table: where its records land.
        columns: DuckDB types of the top-level fields that are read; everything else is left in the file.
        select: SQL over the relation `records` (those fields and `line_number`); may name `$hash_key`.
        canonical: from the rows of `select` to canonical columns, `quarantine_reason` and `quarantine_detail`.
        formats: file formats that it reads: jsonl, csv, parquet.
        signature: fields whose presence in a record tells the format, for detection.
        takes_columns: whether `columns = {canonical = "theirs"}` renames fields.
    """

    kind: str
    table: str
    columns: dict[str, str]
    select: str
    canonical: Callable[[pl.LazyFrame], pl.LazyFrame]
    formats: tuple[str, ...]
    signature: tuple[frozenset[str], ...]
    takes_columns: bool = False


def integer(field: str) -> str:
    """SQL of a whole number in a text field; NULL when it is none."""
    return (
        f"CASE WHEN TRY_CAST({field} AS DOUBLE) = TRY_CAST({field} AS BIGINT)::DOUBLE "
        f"THEN TRY_CAST({field} AS BIGINT) END"
    )


def bad_numbers(fields: dict[str, str]) -> str:
    """SQL of the names of fields that hold something else than a whole number, comma-separated."""
    cases = ", ".join(
        f"CASE WHEN {field} IS NOT NULL AND ({integer(field)}) IS NULL THEN '{name}' END"
        for name, field in fields.items()
    )
    return f"nullif(concat_ws(',', {cases}), '')"


def instant(field: str) -> str:
    """SQL of a UTC instant in a text field: ISO 8601 (no zone is UTC) or Unix seconds; NULL when it is none."""
    return (
        f"coalesce(TRY_CAST({field} AS TIMESTAMPTZ), "
        f"TRY(to_timestamp(nullif(TRY_CAST({field} AS DOUBLE), 'nan'::DOUBLE))))"
    )


def text(field: str) -> str:
    """SQL of a text field whose empty value means absent."""
    return f"nullif({field}, '')"


def first_reason(*cases: tuple[pl.Expr, str, pl.Expr | str | None]) -> list[pl.Expr]:
    """Return `quarantine_reason` and `quarantine_detail` of the first case that holds."""
    reason: pl.Expr = pl.lit(None, dtype=pl.String)
    detail: pl.Expr = pl.lit(None, dtype=pl.String)
    for holds, name, words in reversed(cases):
        why = pl.lit(words, dtype=pl.String) if words is None or isinstance(words, str) else words
        reason = pl.when(holds).then(pl.lit(name)).otherwise(reason)
        detail = pl.when(holds).then(why).otherwise(detail)
    return [reason.alias("quarantine_reason"), detail.alias("quarantine_detail")]
