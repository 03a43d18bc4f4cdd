"""The inside of the cage: one query of a person, in a process of its own that can reach the published file alone.

Says that it is ready, reads one line of JSON from standard input, and writes one line of JSON and, of a download, the
file after it. The
process has no environment, no working folder of the project, limits of memory, time, files and bytes, and a DuckDB that
is locked; statements pass `reading_statements` first.
"""

import json
import resource
import sys
import tempfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from models.errors import DataError
from pipelines.explorer.published import attach
from pipelines.quoting import sql_text
from pipelines.warehouse.connect import memory_connection
from pipelines.warehouse.locked import readable, reading_statements

_ADDRESS_SPACE = 4 << 30
_ENGINE_MEMORY = "768MB"
_SPILLED = "1GB"
_LARGEST_FILE = 1 << 30
_LONGEST_CELL = 2_000


def main() -> None:
    """Answer one query."""
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    asked = json.loads(sys.stdin.readline())
    for limit, most in (
        (resource.RLIMIT_AS, _ADDRESS_SPACE),
        (resource.RLIMIT_CPU, asked["seconds"] * 2 + 2),
        (resource.RLIMIT_FSIZE, _LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    try:
        with tempfile.TemporaryDirectory(prefix="nanodollar-") as folder:
            head, file = _answer(asked, folder)
            sys.stdout.buffer.write(json.dumps(head, ensure_ascii=False).encode(errors="replace") + b"\n")
            if file is not None:
                sys.stdout.buffer.write(file)
    except (MemoryError, duckdb.OutOfMemoryException):
        sys.stdout.buffer.write(
            json.dumps({"error": "The query needs more memory than it may have."}).encode()
        )
    except (DataError, duckdb.Error) as error:
        text = readable(str(error)) if isinstance(error, duckdb.Error) else str(error)
        sys.stdout.buffer.write(json.dumps({"error": text}).encode() + b"\n")


def _answer(asked: dict[str, Any], folder: str) -> tuple[dict[str, Any], bytes | None]:
    with memory_connection() as con:
        con.execute(f"SET memory_limit = '{_ENGINE_MEMORY}'; SET threads = 2")
        con.execute(f"SET max_temp_directory_size = '{_SPILLED}'")
        attach(con, Path(asked["path"]), folder, keeps_types=asked["form"] == "parquet")
        statements = reading_statements(con, asked["sql"])
        if len(statements) != 1:
            what = f"{len(statements)} statements; write one" if statements else "no SQL; write a query"
            raise DataError(f"There is {what}, such as FROM mart.spend_daily LIMIT 10.")
        cursor = con.execute(statements[0])
        if asked["form"] == "page":
            return _shown(cursor, asked["rows"], asked["bytes"]), None
        return {"is_cut": False}, _file(cursor, asked, folder)


def _shown(cursor: duckdb.DuckDBPyConnection, rows: int, most: int) -> dict[str, Any]:
    """Return the first rows as texts, as many as fit."""
    columns = [{"name": column[0], "type": str(column[1])} for column in cursor.description or ()]
    shown: list[list[str | None]] = []
    size = 0
    while (row := cursor.fetchone()) is not None:
        texts = [_text(value) for value in row]
        size += sum(len((text or "").encode(errors="replace")) for text in texts)
        if len(shown) >= rows or size > most:
            return {"columns": columns, "rows": shown, "is_cut": True}
        shown.append(texts)
    return {"columns": columns, "rows": shown, "is_cut": False}


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    text = value.isoformat() if isinstance(value, date) else str(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


def _file(cursor: duckdb.DuckDBPyConnection, asked: dict[str, Any], folder: str) -> bytes:
    """Return the answer as a file; a session apart, without the warehouse, writes it."""
    from pipelines.csv_text import csv_bytes

    rows = cursor.to_arrow_reader(10_000).read_all()
    if rows.num_rows > asked["rows"]:
        raise DataError(
            f"The answer has {rows.num_rows:,} rows; a download has at most {asked['rows']:,}. Add LIMIT, or use "
            "`nanodollar sql --format`."
        )
    if asked["form"] == "csv":
        import polars as pl

        frame = pl.from_arrow(rows)
        if not isinstance(frame, pl.DataFrame):
            raise DataError("The answer is no table.")
        return csv_bytes(frame)
    file = Path(folder) / "answer.parquet"
    with memory_connection() as writer:
        writer.register("answer", rows)
        writer.execute(f"COPY (FROM answer) TO {sql_text(file)} (FORMAT parquet)")
    return file.read_bytes()
