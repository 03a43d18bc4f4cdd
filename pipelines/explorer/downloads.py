"""What is seen, as a file: all rows of a figure, dollars with all their digits."""

import io

import polars as pl


def parquet_bytes(rows: pl.DataFrame) -> bytes:
    """Return rows as Parquet."""
    content = io.BytesIO()
    rows.write_parquet(content)
    return content.getvalue()
