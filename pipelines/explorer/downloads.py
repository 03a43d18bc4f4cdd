"""What is seen, as a file: all rows of a figure, dollars with all their digits."""

import io
import re

import polars as pl

from pipelines.masking import escaped

_FORMULA = re.compile(r"^[=+\-@\t\r]")


def csv_bytes(rows: pl.DataFrame) -> bytes:
    """Return rows as CSV. A text that a spreadsheet would run as a formula begins with an apostrophe instead."""
    nested = [name for name, kind in rows.schema.items() if kind.is_nested()]
    texts = [
        *nested,
        *(name for name, kind in rows.schema.items() if kind in (pl.String, pl.Categorical, pl.Enum)),
    ]
    plain = rows.with_columns(pl.col(name).map_elements(_plain, return_dtype=pl.String) for name in texts)
    return plain.rename(_plain).write_csv().encode()


def _plain(value: object) -> str:
    text = escaped(str(value.to_list() if isinstance(value, pl.Series) else value))
    return f"'{text}" if _FORMULA.match(text) else text


def parquet_bytes(rows: pl.DataFrame) -> bytes:
    """Return rows as Parquet."""
    content = io.BytesIO()
    rows.write_parquet(content)
    return content.getvalue()
