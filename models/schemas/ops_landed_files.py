import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import LAST_AT, SOURCE

TABLE = Table(
    schema="ops",
    name="landed_files",
    grain="One row per landed file, by content hash",
    columns=(
        Column(
            name="file_hash",
            dtype=pl.String,
            comment="SHA-256 of the content, or of the extract of a database source",
            required=True,
        ),
        SOURCE,
        Column(name="source_kind", dtype=pl.String, comment="Importer", required=True),
        Column(
            name="path",
            dtype=pl.String,
            comment="Where it was first seen, relative to the project",
            required=True,
        ),
        Column(name="size_bytes", dtype=pl.Int64, comment="Size as landed", required=True),
        Column(name="read_count", dtype=pl.Int64, comment="Records read", required=True),
        Column(
            name="landed_count",
            dtype=pl.Int64,
            comment="Records that are usable, duplicates included",
            required=True,
        ),
        Column(name="quarantined_count", dtype=pl.Int64, comment="Records in ops.quarantine", required=True),
        Column(
            name="ignored_count",
            dtype=pl.Int64,
            comment="Records of another grain that are no requests (tool and agent spans); not in read_count",
            required=True,
        ),
        Column(
            name="first_at",
            dtype=INSTANT,
            comment="Earliest instant in the file; NULL when nothing was usable",
        ),
        LAST_AT,
        Column(name="landed_at", dtype=INSTANT, comment="When it was landed, UTC", required=True),
        Column(
            name="landed_snapshot",
            dtype=pl.Int64,
            comment="Snapshot of the lake in which its records came, those of the quarantine included; NULL: not kept",
        ),
        Column(
            name="note",
            dtype=pl.String,
            comment="What a reader should know: truncated, replaced, unreadable; NULL when clean",
        ),
    ),
    key=("file_hash", "source"),
)
