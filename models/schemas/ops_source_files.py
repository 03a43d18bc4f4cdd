import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import LAST_AT

TABLE = Table(
    schema="ops",
    name="source_files",
    grain="One row per landed file: read = accepted + duplicate + quarantined",
    columns=(
        Column(name="file_hash", dtype=pl.String, comment="SHA-256 of the content"),
        Column(name="source", dtype=pl.String, comment="Configured source"),
        Column(name="source_kind", dtype=pl.String, comment="Importer"),
        Column(name="path", dtype=pl.String, comment="Where it was first seen"),
        Column(name="size_bytes", dtype=pl.Int64, comment="Size as landed"),
        Column(name="read_count", dtype=pl.Int64, comment="Records read"),
        Column(name="accepted_count", dtype=pl.Int64, comment="Records that count"),
        Column(
            name="duplicate_count",
            dtype=pl.Int64,
            comment="Records listed in ops.duplicates, ops.event_duplicates or ops.counter_duplicates",
        ),
        Column(name="quarantined_count", dtype=pl.Int64, comment="Records listed in ops.quarantine"),
        Column(name="ignored_count", dtype=pl.Int64, comment="Records of another grain; not in read_count"),
        Column(name="first_at", dtype=INSTANT, comment="Earliest instant in the file"),
        LAST_AT,
        Column(name="landed_at", dtype=INSTANT, comment="When it was landed, UTC"),
        Column(name="note", dtype=pl.String, comment="What a reader should know; NULL when clean"),
    ),
    key=("file_hash", "source"),
    select="""
WITH duplicates AS (
  SELECT file_hash, source, count(*) AS duplicate_count
  FROM (SELECT file_hash, source FROM ops.duplicates UNION ALL SELECT file_hash, source FROM ops.event_duplicates
        UNION ALL SELECT file_hash, source FROM ops.counter_duplicates)
  GROUP BY ALL
)
SELECT f.file_hash, f.source, f.source_kind, f.path, f.size_bytes, f.read_count,
       f.landed_count - coalesce(d.duplicate_count, 0) AS accepted_count,
       coalesce(d.duplicate_count, 0) AS duplicate_count,
       f.quarantined_count, f.ignored_count, f.first_at, f.last_at, f.landed_at, f.note
FROM ops.landed_files f LEFT JOIN duplicates d USING (file_hash, source)
""",
)
