"""raw/<source>: find new files, read each once, land their records and index the hours that they touch."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any

import dagster as dg

from pipelines.landing.land import Terms, land_files, source_files
from pipelines.landing.spec import SourceSpec
from pipelines.landing.store import bring_in, known_of, landing_turn
from pipelines.project import Project
from pipelines.sources.stored import StoredFile
from pipelines.warehouse.resource import Warehouse

_COUNTS = ("read", "landed", "quarantined", "ignored")


@dataclass
class Landed:
    """What a landing did: how many files the source has, and a row of ops.landed_files for each new one."""

    file_count: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)

    def metadata(self) -> dict[str, int]:
        """Return the sums that Dagster shows."""
        sums = {name: sum(row[f"{name}_count"] for row in self.files) for name in _COUNTS}
        return {"files": len(self.files), "files_of_the_source": self.file_count, **sums}


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
        done = land(warehouse, source, run_id=context.run.run_id)
        if done.file_count == 0 and source.path is not None:
            context.log.warning("The source %s matches no file: %s.", source.name, source.path)
        return dg.MaterializeResult(metadata=done.metadata())

    return landed


def land(
    warehouse: Warehouse, source: SourceSpec, *, run_id: str, files: Iterable[StoredFile] | None = None
) -> Landed:
    """Land what is new in a source, some files a transaction, so that a killed run loses nothing.

    Args:
        warehouse: the lake.
        source: the source.
        run_id: run that the commits are booked to.
        files: the files to look at; by default all of the source.

    Raises:
        DataError: the source or the lake cannot be reached; what was committed before stays.
    """
    project = warehouse.project
    warehouse.prepare()
    done = Landed()
    with landing_turn(warehouse) as drafts:
        known = known_of(warehouse, source.name)
        found = list(files) if files is not None else source_files(source, project=project.folder)
        done.file_count = len(found)
        terms = Terms(
            drafts=drafts,
            ingested_at=datetime.now(UTC),
            not_before=datetime.combine(project.start_on, time(), UTC),
            hash_key=project.hash_key(),
            memory_bytes=project.landing_memory_bytes,
        )
        for landing in land_files(
            source,
            found,
            known=known,
            terms=terms,
            on_progress=lambda note: warehouse.progress(f"raw/{source.name}", note),
        ):
            bring_in(warehouse, source.name, landing, run_id=run_id)
            done.files += landing.files
    return done
