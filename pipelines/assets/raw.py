"""raw/<source>: find new files, read each once, land their records and index the hours that they touch."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from pipelines.landing.land import LandedFile, land_source
from pipelines.landing.spec import SourceSpec
from pipelines.project import Project
from pipelines.warehouse.connect import memory_connection
from pipelines.warehouse.resource import Warehouse

_FILES_AT_ONCE = 64
_BYTES_AT_ONCE = 1 << 30


def raw_assets(project: Project) -> list[dg.AssetsDefinition]:
    """Return one asset per configured source."""
    return [_raw_asset(source) for source in project.sources]


def _raw_asset(source: SourceSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=["raw", source.name],
        group_name="raw",
        kinds={source.kind.split("_", maxsplit=1)[0], "duckdb"},
        pool="lake",
        description=f"Records of the source `{source.name}` ({source.kind}), each file read once.",
    )
    def landed(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(metadata=land(warehouse, source, run_id=context.run.run_id))

    return landed


def land(warehouse: Warehouse, source: SourceSpec, *, run_id: str) -> dict[str, int]:
    """Land what is new in a source, some files a transaction, so that a killed run loses nothing."""
    project = warehouse.project
    warehouse.prepare()
    with warehouse.reading() as con:
        known = {
            row[0]
            for row in con.execute(
                "SELECT file_hash FROM ops.landed_files WHERE source = ?", [source.name]
            ).fetchall()
        }
    counts = {
        "files": 0,
        "read": 0,
        "landed": 0,
        "quarantined": 0,
        "ignored": 0,
        "already_known_files": len(known),
    }
    batch: list[LandedFile] = []
    with memory_connection() as reader:
        for landed in land_source(
            reader,
            source,
            project=project.folder,
            known=known,
            staging=Path(project.data_path) / "raw",
            ingested_at=datetime.now(UTC),
            hash_key=project.hash_key(),
            on_progress=lambda note: warehouse.progress(f"raw/{source.name}", note),
        ):
            batch.append(landed)
            counts["files"] += 1
            for name in ("read", "landed", "quarantined", "ignored"):
                counts[name] += landed.file[f"{name}_count"]
            if (
                len(batch) >= _FILES_AT_ONCE
                or sum(item.file["size_bytes"] for item in batch) > _BYTES_AT_ONCE
            ):
                _commit(warehouse, batch, run_id)
                batch = []
    _commit(warehouse, batch, run_id)
    return counts


def _commit(warehouse: Warehouse, batch: list[LandedFile], run_id: str) -> None:
    if not batch:
        return
    with warehouse.committing(run_id=run_id, job="raw") as commit:
        for landed in batch:
            commit.add_files(landed.table, landed.parquet_paths)
        from models.schemas import table

        commit.append("ops.landed_files", table("ops.landed_files").frame(item.file for item in batch))
        commit.append("ops.quarantine", pl.concat([item.quarantine for item in batch]))
        commit.append("ops.file_hours", pl.concat([item.file_hours for item in batch]))
