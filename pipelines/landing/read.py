"""Turn records into canonical rows, and name every record that cannot be one.

DuckDB reads a block of records at once with explicit columns. Where it refuses, the records that it refuses alone
are found and put aside, so that a record's fate never depends on its neighbours.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from models.logs.unread import number_fields, unread_fields, with_unread_fields
from models.records import Importer, Reading
from pipelines.landing.csv_rows import csv_rows, csv_table, unquoted
from pipelines.landing.records import Records, decodable, not_blank, without_nul
from pipelines.landing.refuse import Reason, broken_json, broken_row, skeleton_of
from pipelines.landing.scratch import Scratch
from pipelines.landing.shape import fits
from pipelines.landing.split import Positions

Form = Literal["json", "csv", "text"]
_READING_ERRORS = (duckdb.Error, pa.ArrowException, pl.exceptions.PolarsError, UnicodeDecodeError)
"""DuckDB quotes a record in its errors and may cut it inside a character, which is no text any more."""
_SMALLEST_BUFFER = 1 << 20
_PARSED_AT_ONCE = 1 << 18
_MOST_AT_ONCE = 1 << 30
"""How many records are read together where memory allows it: all of a block."""
_VECTOR = 2048
"""How many rows DuckDB holds at once: fewer records take less memory, more do not take more."""
_SAMPLE = 1 << 18
"""How many bytes of a block are looked through for fields that count usage and are not read."""
COMPLAINT = {"ordinal": pl.Int64, "record_number": pl.Int32, "reason": pl.String, "detail": pl.String}


@dataclass(frozen=True)
class Layout:
    """How the records of a file are read: as JSON objects, CSV rows under a header, or lines of text.

    In CSV with decimal commas a point groups thousands.
    """

    form: Form
    header: tuple[str, ...] = ()
    delimiter: str = ","
    has_decimal_commas: bool = False


@dataclass
class ReadBlock:
    """What became of a block of records.

    Attributes:
        records: the records where they lie in a text; ordinals count in them from 0.
        row_count: how many there are where they do not.
        rows: canonical rows with `ordinal`, those with a quarantine reason included; None when there are none.
        refused: ordinal -> reason, of records that yielded no row.
    """

    records: Records | None
    row_count: int = 0
    rows: pl.DataFrame | None = None
    refused: dict[int, Reason] = field(default_factory=dict)

    def places(self, first_row: int) -> pl.DataFrame:
        """Return where each record lies; rows of a table, which have no bytes, are numbered from `first_row`."""
        if self.records is not None:
            return self.records.places()
        return pl.DataFrame({"ordinal": pl.int_range(self.row_count, eager=True)}).with_columns(
            file_index=pl.lit(0, dtype=pl.Int64),
            line_number=pl.col("ordinal") + first_row,
            byte_offset=pl.lit(None, dtype=pl.Int64),
            byte_length=pl.lit(None, dtype=pl.Int64),
        )

    def refusals(self) -> pl.DataFrame:
        """Return ordinal, record_number (0: all of the record), reason and detail of what yielded no row."""
        whole = [(ordinal, 0, *reason) for ordinal, reason in sorted(self.refused.items())]
        return pl.DataFrame(whole, schema=COMPLAINT, orient="row")

    def skeletons(self, layout: Layout, ordinals: pl.Series) -> list[str | None]:
        """Return keys and types of some records, where they have any."""
        if self.records is None or layout.form != "json":
            return [None] * len(ordinals)
        return [skeleton_of(self.records.text(index)) for index in ordinals]


class Reader:
    """Reads the records of one source; a thread has its own.

    Args:
        con: an in-memory session; the reader takes a cursor of it.
        importer: what the records are.
        columns: canonical name -> the source's name, where they differ.
        hash_key: key of the API keys' hash.
        constants: canonical name -> what stands there in every record.
        tag_names: names of the tags that the project wants beside the known ones, comma-separated.
        time_zone: IANA zone of times that name none, of kinds whose records have such.
        turn: shared by readers of one memory, which read one after the other where it is short.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        importer: Importer,
        columns: dict[str, str],
        hash_key: bytes,
        *,
        constants: Mapping[str, str] | None = None,
        tag_names: str = "",
        time_zone: str = "UTC",
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        self._con = con.cursor()
        # One path holds one block after another.
        self._con.execute("SET TimeZone = 'UTC'; SET enable_external_file_cache = false")
        # A parameter of a query makes DuckDB import pandas, which takes longer than a small file.
        self._con.execute(f"SET VARIABLE hash_key = {_word(hash_key.decode())}")
        self._con.execute(f"SET VARIABLE tag_names = {_word(tag_names)}")
        self._con.execute(f"SET VARIABLE time_zone = {_word(time_zone)}")
        self._importer = importer
        plain = Reading(columns=importer.columns, select=importer.select)
        self._readings = [plain] if importer.fast is None else [importer.fast, plain]
        self._constants = dict(constants or {}) if importer.takes_columns else {}
        self._theirs = {name: columns.get(name, name) for name in importer.columns}
        self._fits = fits(self._con, {self._theirs[name]: dtype for name, dtype in importer.columns.items()})
        self._scratch = Scratch()
        self._turn, self._waits, self._at_once = turn or Lock(), False, _MOST_AT_ONCE

    def close(self) -> None:
        self._con.close()
        self._scratch.close()

    def read(self, records: Records, layout: Layout) -> ReadBlock:
        """Read records; every one that is not blank is in the result."""
        if layout.form != "text":
            records = without_nul(records)
        found = ReadBlock(records)
        if layout.form == "csv":
            self._read_csv(found, records, layout)
        elif layout.form == "text":
            self._read_text(found, records)
        else:
            self._read_json(found, records)
        return found

    def read_table(self, table: pa.Table) -> ReadBlock:
        """Read the rows of an Arrow table, such as a batch of a Parquet file."""
        found = ReadBlock(None, row_count=table.num_rows)
        everything = np.arange(table.num_rows, dtype=np.int64)
        self._finish(found, everything, lambda some: self._table_rows(table.take(some), some), _wrong_shape)
        return found

    def _read_json(self, found: ReadBlock, records: Records) -> None:
        alive = not_blank(records)
        try:
            rows = self._bounded(alive, lambda some: self._json_rows(records, some))
        except duckdb.OutOfMemoryException:
            raise
        except _READING_ERRORS:
            rows = None
        if rows is not None and rows["ordinal"].n_unique() == len(alive):
            found.rows = rows
            return
        alive = self._fitting(records, alive, found)
        self._finish(
            found,
            alive,
            lambda some: self._json_rows(records, some),
            lambda index: broken_json(records.text(index)),
        )

    def _json_rows(self, records: Records, alive: Positions) -> pl.DataFrame | None:
        if not len(alive):
            return None
        taken = records.take(alive)
        self._scratch.write(taken.data)
        size = max(_SMALLEST_BUFFER, int(taken.lengths.max()) + 1)
        theirs = self._written_names(taken.data)
        *first, plain = self._readings
        rows = None
        for reading in first:
            try:
                rows = self._json_reading(reading, size, alive, theirs)
                break
            except duckdb.OutOfMemoryException:
                raise
            except _READING_ERRORS:
                continue
        if rows is None:
            rows = self._json_reading(plain, size, alive, theirs)
        if not (unread := self._unread(number_fields(_sample(taken)), theirs.values())):
            return rows
        types = ", ".join(f"{_word(name)}: 'VARCHAR'" for name in unread)
        numbered = f"SELECT row_number() OVER () AS line_number, * FROM {self._json(types, size)}"
        return self._with_unread(rows, f"({numbered})", unread)

    def _written_names(self, data: bytes) -> dict[str, str]:
        """Return the fields' names as records write them: of a format that ignores case, as the first one does."""
        if not self._importer.ignores_case:
            return self._theirs
        held: Any = None
        with suppress(ValueError, RecursionError):
            held = json.loads(data[: data.find(b"\n") if b"\n" in data else None])
        keys = {key.lower(): key for key in held} if isinstance(held, dict) else {}
        return {name: keys.get(theirs.lower(), theirs) for name, theirs in self._theirs.items()}

    def _json_reading(
        self, reading: Reading, size: int, alive: Positions, names: Mapping[str, str]
    ) -> pl.DataFrame:
        types = ", ".join(f"{_word(names[name])}: {_word(dtype)}" for name, dtype in reading.columns.items())
        fields = ", ".join(
            f'{self._constant(name) or _name(theirs)} AS "{name}"' for name, theirs in names.items()
        )
        return self._rows(
            f"SELECT row_number() OVER () AS line_number, {fields} FROM {self._json(types, size)}",
            alive,
            select=reading.select,
        )

    def _json(self, types: str, size: int) -> str:
        return (
            f"read_json({_word(self._scratch.path)}, format = 'newline_delimited', columns = {{{types}}}, "
            f"records = true, maximum_object_size = {size}, compression = 'uncompressed')"
        )

    def _unread(self, names: Collection[str], read: Collection[str]) -> list[str]:
        """Return the fields that count usage by their names and are not read, of a source of calls."""
        if self._importer.table != "raw.requests":
            return []
        if self._importer.ignores_case:
            lower = {name.lower() for name in read}
            names = [name for name in names if name.lower() not in lower]
        return unread_fields(names, read, self._importer.own_counts)

    def _with_unread(self, rows: pl.DataFrame, relation: str, names: list[str]) -> pl.DataFrame:
        held = ", ".join(
            f"coalesce(TRY_CAST({_name(name)} AS DOUBLE) > 0, false) AS {_name(name)}" for name in names
        )
        fields = pl.DataFrame(
            self._con.execute(f"SELECT line_number, {held} FROM {relation}").to_arrow_table()
        )
        return with_unread_fields(rows, fields)

    def _fitting(self, records: Records, alive: Positions, found: ReadBlock) -> Positions:
        """Return which records are JSON objects of the format's shape, all in one go; the others are refused."""
        decoded = decodable(records, alive)
        taken = records.take(decoded)
        lines = pa.table({"ordinal": decoded, "line": taken.strings()})
        # Every function of the condition holds the parsed records of a batch, and the rare long one is tried alone.
        at_once = max(1, _PARSED_AT_ONCE * len(taken) // max(1, len(taken.data)))
        self._con.register("lines", pa.Table.from_batches(lines.to_batches(at_once), lines.schema))
        fitting = self._con.execute(
            "SELECT ordinal FROM lines WHERE CASE WHEN NOT json_valid(line) THEN false "
            f"WHEN json_type(line) = 'OBJECT' THEN strlen(line) > {_PARSED_AT_ONCE} OR {self._fits} END "
            "ORDER BY ordinal"
        ).fetchnumpy()["ordinal"]
        self._con.unregister("lines")
        for index in np.setdiff1d(alive, fitting):
            found.refused[int(index)] = broken_json(records.text(index))
        return np.asarray(fitting, np.int64)

    def _read_csv(self, found: ReadBlock, records: Records, layout: Layout) -> None:
        alive = not_blank(records)
        table, refused = csv_table(records.take(alive), layout)
        if table is None or refused or table.num_rows != len(alive):
            found.records = records = unquoted(records, layout)
            alive = not_blank(records)
            good = []
            for index in alive:
                rows = csv_rows(records.text(index), layout)
                if len(rows) == 1 and len(rows[0]) == len(layout.header):
                    good.append(index)
                else:
                    columns = len(rows[0]) if rows else 0
                    found.refused[int(index)] = broken_row(
                        records.text(index), found=columns, wanted=len(layout.header)
                    )
            alive = np.array(good, np.int64)

        def rows_of(some: Positions) -> pl.DataFrame | None:
            part, refused = csv_table(records.take(some), layout)
            if part is None or refused or part.num_rows != len(some):
                raise pa.ArrowInvalid("rows and records differ")
            return self._table_rows(part, some)

        self._finish(found, alive, rows_of, lambda _: ("invalid_csv", "the row cannot be read"))

    def _read_text(self, found: ReadBlock, records: Records) -> None:
        alive = not_blank(records)
        decoded = decodable(records, alive)
        for index in np.setdiff1d(alive, decoded):
            found.refused[int(index)] = broken_json(records.text(index))

        def rows_of(some: Positions) -> pl.DataFrame | None:
            lines = pa.compute.utf8_rtrim(records.take(some).strings(), "\r\n")
            return self._table_rows(pa.table({"line": lines}), some)

        self._finish(found, decoded, rows_of, _wrong_shape)

    def _finish(
        self,
        found: ReadBlock,
        alive: Positions,
        rows_of: Callable[[Positions], pl.DataFrame | None],
        reason_of: Callable[[int], Reason],
    ) -> None:
        """Read some records, by halves where they fail together, until each has a row or a reason."""
        frames = list(self._halves(found, alive, rows_of, reason_of))
        found.rows = pl.concat(frames) if frames else None
        have = found.rows["ordinal"].to_numpy() if found.rows is not None else np.empty(0, np.int64)
        for index in np.setdiff1d(np.setdiff1d(alive, have), [*found.refused]):
            found.refused[int(index)] = ("no_record", "the format finds no record in it")

    def _bounded(
        self, alive: Positions, rows_of: Callable[[Positions], pl.DataFrame | None]
    ) -> pl.DataFrame | None:
        """Read some records, as many at once as memory allows.

        Where it is short, readers wait for each other, and then read fewer records at once; for the next blocks too.
        """
        frames: list[pl.DataFrame] = []
        done = 0
        while done < len(alive):
            some = alive[done : done + self._at_once]
            try:
                with self._turn if self._waits else nullcontext():
                    rows = rows_of(some)
            except duckdb.OutOfMemoryException:
                if self._waits and len(some) == 1:
                    raise
                if self._waits:
                    self._at_once = min(len(some), _VECTOR) // 2
                self._waits = True
                continue
            done += len(some)
            if rows is not None:
                frames.append(rows)
        return pl.concat(frames) if frames else None

    def _halves(
        self,
        found: ReadBlock,
        alive: Positions,
        rows_of: Callable[[Positions], pl.DataFrame | None],
        reason_of: Callable[[int], Reason],
    ) -> Iterator[pl.DataFrame]:
        if not len(alive):
            return
        try:
            rows = self._bounded(alive, rows_of)
        except duckdb.OutOfMemoryException:
            raise
        except _READING_ERRORS:
            if len(alive) == 1:
                found.refused[int(alive[0])] = reason_of(int(alive[0]))
                return
            middle = len(alive) // 2
            yield from self._halves(found, alive[:middle], rows_of, reason_of)
            yield from self._halves(found, alive[middle:], rows_of, reason_of)
        else:
            if rows is not None:
                yield rows

    def _table_rows(self, table: pa.Table, ordinals: Positions) -> pl.DataFrame | None:
        if not table.num_rows:
            return None
        fields = ", ".join(self._field(table, name) for name in self._importer.columns)
        numbers = pa.array(np.arange(1, table.num_rows + 1))
        self._con.register("arrow_records", table.append_column(_ROW, numbers))
        try:
            rows = self._rows(f'SELECT "{_ROW}" AS line_number, {fields} FROM arrow_records', ordinals)
            flat = [field.name for field in table.schema if not pa.types.is_nested(field.type)]
            if not (unread := self._unread(flat, self._theirs.values())):
                return rows
            return self._with_unread(rows, f'(SELECT "{_ROW}" AS line_number, * FROM arrow_records)', unread)
        finally:
            self._con.unregister("arrow_records")

    def _field(self, table: pa.Table, name: str) -> str:
        theirs, dtype = self._theirs[name], self._importer.columns[name]
        if (constant := self._constant(name)) is not None:
            return f'{constant}::{dtype} AS "{name}"'
        if self._importer.ignores_case and theirs not in table.column_names:
            same = (column for column in table.column_names if column.lower() == theirs.lower())
            theirs = next(same, theirs)
        if theirs not in table.column_names:
            return f'NULL::{dtype} AS "{name}"'
        if dtype == "VARCHAR" and pa.types.is_nested(table.schema.field(theirs).type):
            return f'to_json({_name(theirs)})::VARCHAR AS "{name}"'
        return f'{_name(theirs)}::{dtype} AS "{name}"'

    def _constant(self, name: str) -> str | None:
        return _word(self._constants[name]) if name in self._constants else None

    def _rows(self, relation: str, ordinals: Positions, *, select: str | None = None) -> pl.DataFrame:
        self._con.execute(f"CREATE OR REPLACE TEMP VIEW records AS {relation}")
        rows = pl.DataFrame(self._con.execute(select or self._importer.select).to_arrow_table())
        rows = rows.with_columns(ordinal=pl.Series(ordinals).gather(rows["line_number"] - 1))
        frame = self._importer.canonical(rows.lazy())
        if "is_ignored" not in frame.collect_schema().names():
            frame = frame.with_columns(is_ignored=pl.lit(value=False))
        if "unread_usage" not in frame.collect_schema().names():
            frame = frame.with_columns(unread_usage=pl.lit(None, dtype=pl.String))
        # A block is in memory; to stream it in pieces takes a fifth longer.
        return frame.collect(engine="in-memory")


_ROW = "row of the block"


def _sample(records: Records) -> Iterator[bytes]:
    """Yield records that stand for a block: all of a small one, of others so many at even distances."""
    step = -(-len(records.data) // _SAMPLE)
    lengths = records.lengths
    for index in range(0, len(records), step):
        if lengths[index] <= _SMALLEST_BUFFER:
            yield records.text(index)


def _wrong_shape(_index: int) -> Reason:
    return "wrong_shape", "a field holds another type than the format's"


def _word(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
