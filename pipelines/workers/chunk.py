"""What a worker runs: a chunk, as a function of the lake at a snapshot, whose result is files to commit."""

from dataclasses import dataclass

import polars as pl

from pipelines.steps.computing import Task, compute
from pipelines.warehouse.connect import connect_read_only
from pipelines.warehouse.data_files import DataFiles, Draft
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.staged import Staged, stage


@dataclass(frozen=True)
class ChunkFiles:
    """What a chunk has made, in files that no commit names yet."""

    staged: list[Staged]
    adjustments: list[pl.DataFrame]

    def row_counts(self) -> dict[str, int]:
        """Return the rows made of each table."""
        return {one.table_name: one.row_count for one in self.staged}

    def drafts(self) -> list[Draft]:
        return [draft for one in self.staged for draft in one.drafts]


def chunk_files(task: Task) -> ChunkFiles:
    """Compute a chunk; where the lake's files are in a store, its files are put there.

    Raises:
        DataError: rows that no table takes, or a lake that cannot be read.
    """
    project = task.project
    with connect_read_only(project, snapshot=task.snapshot) as con:
        made = compute(con, task)
    files = DataFiles(project)
    staged = [
        stage(files, one.table, one.rows, partitions=one.partitions).written(files) for one in made.replaced
    ]
    if files.is_remote:
        staged = [one.moved({draft: files.place(draft) for draft in one.drafts}) for one in staged]
    return ChunkFiles(staged, made.adjustments)


def commit_files(warehouse: Warehouse, made: ChunkFiles, task: Task, *, run_id: str, job: str) -> None:
    """Commit what a worker has made of a task."""
    files = DataFiles(warehouse.project)
    own = {draft: files.adopt(draft) for draft in made.drafts()}
    snapshot = task.snapshot
    if snapshot is None:
        raise TypeError("A task for a worker names the snapshot that it reads.")
    with warehouse.committing(run_id=run_id, job=job, read=(snapshot, task.window.now)) as commit:
        for one in made.staged:
            commit.take(one.moved(own))
        for rows in made.adjustments:
            commit.append("core.adjustments", rows)
