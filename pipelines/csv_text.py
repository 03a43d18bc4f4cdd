"""Rows as CSV that a spreadsheet opens without running any of it."""

import re

import polars as pl

from pipelines.masking import CONTROL, escaped

_FORMULA = "^[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]"
"""What a spreadsheet takes for the begin of a formula, as Polars and Python read it."""
_NUMBER = r"^[+-]?\d*\.?\d+([eE][+-]?\d+)?$"
_TEXTS = (pl.String, pl.Categorical, pl.Enum)


def csv_bytes(rows: pl.DataFrame) -> bytes:
    """Return rows as CSV.

    A text that a spreadsheet would run as a formula begins with an apostrophe instead; control characters are shown
    as their escapes, and a list as text.
    """
    nested = [name for name, kind in rows.schema.items() if kind.is_nested()]
    texts = [name for name, kind in rows.schema.items() if kind in _TEXTS]
    plain = rows.with_columns(
        *(pl.col(name).map_elements(_written, return_dtype=pl.String) for name in nested),
        pl.col(texts).cast(pl.String),
    )
    cells = pl.col([*nested, *texts])
    escapes = plain.select(cells.str.contains(CONTROL.pattern).any())
    plain = plain.with_columns(
        pl.col(one.name).map_elements(escaped, return_dtype=pl.String) for one in escapes if one.any()
    )
    is_formula = cells.str.contains(_FORMULA) & ~cells.str.contains(_NUMBER)
    plain = plain.with_columns(pl.when(is_formula).then("'" + cells).otherwise(cells).name.keep())
    return plain.rename(_heading).write_csv().encode()


def _written(value: object) -> str:
    return str(value.to_list() if isinstance(value, pl.Series) else value)


def _heading(name: str) -> str:
    text = escaped(name)
    return f"'{text}" if re.match(_FORMULA, text) else text
