"""Rows of CSV: as a table of text columns, one by one, and those that a stray quote has joined cut apart."""

import csv
import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from pipelines.landing.records import Records, is_utf8

if TYPE_CHECKING:
    from pipelines.landing.read import Layout

_NUMBER = r"^\s*[-+]?[\d.,]+(?:[eE][-+]?\d+)?\s*$"
_FOREIGN_NUMBER = r"^\s*[-+]?(?:\d+,\d+|\d{1,3}(?:\.\d{3})+(?:,\d+)?)\s*$"


def csv_table(records: Records, layout: "Layout") -> tuple[pa.Table | None, int]:
    """Return CSV rows as text columns (None when they cannot be read together) and how many were refused."""
    refused: list[int] = []

    def refuse(row: pa.csv.InvalidRow) -> str:
        refused.append(row.actual_columns)
        return "skip"

    try:
        table = pa.csv.read_csv(
            io.BytesIO(records.data),
            read_options=pa.csv.ReadOptions(
                column_names=layout.header, block_size=len(records.data) + 1, use_threads=False
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=layout.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=refuse,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(layout.header, pa.large_string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowException:
        return None, len(refused)
    return _with_decimal_points(table) if layout.has_decimal_commas else table, len(refused)


def _with_decimal_points(table: pa.Table) -> pa.Table:
    """Return a table whose columns of numbers such as 1.234,5 are written as 1234.5."""
    for place, name in enumerate(table.column_names):
        texts = table.column(place)
        if pa.compute.all(pa.compute.match_substring_regex(texts, _NUMBER)).as_py() is not True:
            continue
        points = pa.compute.replace_substring(pa.compute.replace_substring(texts, ".", ""), ",", ".")
        is_foreign = pa.compute.match_substring_regex(texts, _FOREIGN_NUMBER)
        table = table.set_column(place, name, pa.compute.if_else(is_foreign, points, texts))
    return table


def csv_rows(text: bytes, layout: "Layout") -> list[list[str]]:
    """Return the rows of a text as lists of fields; none where it is no CSV."""
    if not is_utf8(text):
        return []
    try:
        return list(
            csv.reader(io.StringIO(text.decode(), newline=""), delimiter=layout.delimiter, strict=True)
        )
    except csv.Error:
        return []


def unquoted(records: Records, layout: "Layout") -> Records:
    """Cut records that are no row as a whole at every newline: a stray quote has joined them."""
    ends: list[int] = []
    origin: list[int] = []
    number: list[int] = []
    offset: list[int] = []
    for index, (start, end) in enumerate(zip(records.starts, records.ends, strict=True)):
        text = records.data[start:end]
        rows = csv_rows(text, layout)
        is_row = len(rows) == 1 and len(rows[0]) == len(layout.header)
        lines = [text] if is_row else re.findall(rb"[^\n]*\n", text)
        at = 0
        for step, line in enumerate(lines):
            origin.append(index)
            number.append(int(records.number[index]) + step)
            offset.append(int(records.offset[index]) + at)
            at += len(line)
            ends.append(int(start) + at)
    which = np.array(origin, np.int64)
    return Records(
        records.data,
        np.array(ends, np.int64),
        records.file[which],
        np.array(number, np.int64),
        np.array(offset, np.int64),
    )
