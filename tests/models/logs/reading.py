"""Read records through an importer as the landing does: DuckDB with explicit columns, then Polars."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from models.importers import importers
from models.records import Importer, Reading
from models.schemas.vocabulary import TOKEN_CLASSES

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def shared(name: str) -> Path:
    """Return a file of the shared data; the test is skipped where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not there: the recorded data lie outside the project")
    return path


def read_lines(kind: str, lines: Iterable[str], columns: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return every record of JSON lines as the importer sees it, ignored and refused ones included.

    A line that DuckDB cannot read with the importer's columns is told as `wrong_shape`.
    """
    numbered = list(enumerate(lines, start=1))
    frames = list(_halves(importers()[kind], numbered, columns or {}))
    done = pl.concat(frames, how="diagonal_relaxed").sort("line_number", "record_number", maintain_order=True)
    return done if "is_ignored" in done.columns else done.with_columns(is_ignored=pl.lit(value=False))


def _halves(
    importer: Importer, lines: list[tuple[int, str]], columns: Mapping[str, str]
) -> Iterator[pl.DataFrame]:
    plain = Reading(columns=importer.columns, select=importer.select)
    for reading in (importer.fast, plain):
        if reading is None:
            continue
        try:
            yield read_by(reading, importer, lines, columns)
        except duckdb.Error:
            continue
        return
    if len(lines) == 1:
        refused = {"quarantine_reason": "wrong_shape", "quarantine_detail": None, "is_ignored": False}
        yield pl.DataFrame([{"line_number": lines[0][0], "record_number": 1, **refused}])
        return
    middle = len(lines) // 2
    yield from _halves(importer, lines[:middle], columns)
    yield from _halves(importer, lines[middle:], columns)


def read_by(
    reading: Reading, importer: Importer, lines: list[tuple[int, str]], columns: Mapping[str, str]
) -> pl.DataFrame:
    """Return the rows of numbered lines by one reading of an importer."""
    theirs = {name: columns.get(name, name) for name in reading.columns}
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        path = Path(folder, "records.jsonl")
        path.write_text("".join(f"{line}\n" for _, line in lines), encoding="utf-8")
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET threads = 1")
        if importer.formats == ("text",):
            table = f"read_csv('{path}', columns = {{'line': 'VARCHAR'}}, delim = '\x01', quote = '', header = false)"
        else:
            types = ", ".join(f"'{theirs[name]}': '{dtype}'" for name, dtype in reading.columns.items())
            table = (
                f"read_json('{path}', format = 'newline_delimited', columns = {{{types}}}, "
                f"maximum_object_size = 67108864)"
            )
        renamed = ", ".join(f'"{theirs[name]}" AS "{name}"' for name in reading.columns)
        con.execute(
            f"CREATE TEMP VIEW records AS SELECT row_number() OVER () AS line_number, {renamed} FROM {table}"
        )
        con.execute("SET VARIABLE hash_key = 'secret'")
        rows = pl.DataFrame(con.execute(reading.select).to_arrow_table())
    numbers = pl.Series("line_number", [number for number, _ in lines], dtype=pl.Int64)
    rows = rows.with_columns(numbers.gather(rows["line_number"] - 1))
    return importer.canonical(rows.lazy()).collect()


def read_records(kind: str, records: Iterable[Any], columns: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return every record as the importer sees it."""
    return read_lines(kind, (json.dumps(record) for record in records), columns)


def read_one(kind: str, record: Any, columns: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the one row that a record becomes; it must be usable."""
    rows = read_records(kind, [record], columns).filter(~pl.col("is_ignored"))
    assert rows.height == 1, rows
    row = rows.row(0, named=True)
    assert row["quarantine_reason"] is None, (row["quarantine_reason"], row["quarantine_detail"])
    return row


def tokens_of(row: Mapping[str, Any]) -> dict[str, int]:
    """Return the token classes above zero; a class that is unknown appears as None."""
    return {name: row[f"{name}_tokens"] for name in TOKEN_CLASSES if row[f"{name}_tokens"] != 0}
