"""Land what is new in a source: find its files, read them, and bring them into the lake batch by batch."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any

from pipelines.landing.batch import LandingTerms
from pipelines.landing.land import land_files, source_files
from pipelines.landing.store import commit_landing, forget_unreadable, known_of, landing_turn
from pipelines.project import Project
from pipelines.sources.spec import SourceSpec
from pipelines.sources.stored import StoredFile
from pipelines.warehouse.resource import Warehouse

_COUNTS = ("read", "landed", "quarantined", "ignored")


@dataclass
class LandingResult:
    """What a landing did: how many files the source has, and a row of ops.landed_files for each new one."""

    file_count: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)

    def metadata(self) -> dict[str, int]:
        """Return the sums that Dagster shows."""
        sums = {name: sum(row[f"{name}_count"] for row in self.files) for name in _COUNTS}
        return {"files": len(self.files), "files_of_the_source": self.file_count, **sums}


def land(
    warehouse: Warehouse,
    source: SourceSpec,
    *,
    run_id: str,
    files: Iterable[StoredFile] | None = None,
    ingested_at: datetime | None = None,
) -> LandingResult:
    """Land what is new in a source, some files a transaction, so that a killed run loses nothing.

    Args:
        warehouse: the lake.
        source: the source.
        run_id: run that the commits are booked to.
        files: the files to look at; by default all of the source.
        ingested_at: when they are read; by default now. Parts of a bill that are read together are one delivery.

    Raises:
        DataError: the source or the lake cannot be reached; what was committed before stays.
    """
    project = warehouse.project
    warehouse.prepare()
    done = LandingResult()
    with landing_turn(warehouse) as drafts:
        known = known_of(warehouse, source.name)
        terms = LandingTerms(
            drafts=drafts,
            ingested_at=ingested_at or datetime.now(UTC),
            not_before=first_instant(project),
            hash_key=project.hash_key(),
            memory_bytes=project.landing_memory_bytes,
        )
        if files is None and source.url is not None:
            overlap = project.max_request_duration + project.dedupe_window
            from pipelines.sources.pull import pull

            pulled = pull(
                source,
                project=project.folder,
                landed=[*known.by_path],
                overlap=overlap,
                pulled_at=terms.ingested_at,
            )
            batches: Iterable[list[StoredFile]] = ([file] for file in pulled)
        else:
            listed = list(files) if files is not None else source_files(source, project=project.folder)
            if files is None:
                gone = known.unreadable.keys() - {file.path for file in listed}
                forget_unreadable(warehouse, source.name, gone, run_id=run_id)
            batches = [listed]
        for batch in batches:
            done.file_count += len(batch)
            for landing in land_files(
                source,
                batch,
                known=known,
                terms=terms,
                on_progress=lambda note: warehouse.progress(f"raw/{source.name}", note),
            ):
                commit_landing(warehouse, source.name, landing, run_id=run_id)
                done.files += landing.files
    return done


def first_instant(project: Project) -> datetime:
    """Return the first instant that the warehouse has hours for."""
    return datetime.combine(project.start_on, time(), UTC)
