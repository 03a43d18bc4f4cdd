import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import SOURCE

TABLE = Table(
    schema="ops",
    name="file_paths",
    grain="One row per source x path: the content that it held when it was last looked at",
    columns=(
        SOURCE,
        Column(name="path", dtype=pl.String, comment="Relative to the project, or a URL", required=True),
        Column(
            name="file_hash",
            dtype=pl.String,
            comment="SHA-256 of the content (ops.landed_files); a file that could not be read has none",
            required=True,
        ),
        Column(name="size_bytes", dtype=pl.Int64, comment="Its size then", required=True),
        Column(
            name="modified_at", dtype=INSTANT, comment="When it had last changed then, UTC", required=True
        ),
        Column(
            name="looked_at",
            dtype=INSTANT,
            comment="When it was looked at, UTC; a file of the same size and time since is not read again",
            required=True,
        ),
    ),
    key=("source", "path"),
)
