"""The reference tables as one multi-asset: loaded whole from sheets and files."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import duckdb

from models.schemas import tables
from pipelines.assets.computed import key_of
from pipelines.steps.reference import reference_frames
from pipelines.steps.repricing import outdate
from pipelines.warehouse.commit import OvertakenError
from pipelines.warehouse.resource import Warehouse
from pipelines.written_inputs import hash_of_code_and_settings

_TASK = "ref.loaded"
_TABLES = sorted(
    table.dotted for table in tables().values() if table.schema == "ref" and table.select is None
)


@dg.multi_asset(
    specs=[dg.AssetSpec(key_of(dotted), group_name="ref", kinds={"yaml", "duckdb"}) for dotted in _TABLES],
    pool="lake",
    name="reference",
)
def reference(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Load every price sheet, alias list and policy in one transaction, and outdate what they change.

    What was loaded by this code from the same files is left as it is.
    """
    wanted = hash_of_code_and_settings(warehouse.project)
    with warehouse.reading() as con:
        counts = _loaded(con, wanted)
    while counts is None:
        counts = _load(warehouse, wanted, run_id=context.run.run_id)
    for dotted, count in counts.items():
        yield dg.MaterializeResult(asset_key=key_of(dotted), metadata={"dagster/row_count": count})


def _loaded(con: duckdb.DuckDBPyConnection, wanted: str) -> dict[str, int] | None:
    """Return the rows of each table where all were loaded by this code from files that hold what they hold now."""
    if not con.execute("FROM ops.progress WHERE task = ? AND key = ?", [_TASK, wanted]).fetchall():
        return None
    counts = dict(
        con.execute(
            "SELECT table_name, row_count FROM ops.partitions WHERE list_contains(?, table_name) "
            "AND coalesce(read_snapshot, 0) >= 0 ORDER BY ALL",
            [_TABLES],
        ).fetchall()
    )
    return counts if len(counts) == len(_TABLES) else None


def _load(warehouse: Warehouse, wanted: str, *, run_id: str) -> dict[str, int] | None:
    """Load the tables; where another machine has loaded them meanwhile return what it has, None if from other files."""
    frames = reference_frames(warehouse.project)
    try:
        with warehouse.reading() as con, warehouse.committing(run_id=run_id, job="ref") as commit:
            for dotted, rows in frames.items():
                commit.replace(dotted, rows)
            again = outdate(con, commit, frames)
            commit.execute("DELETE FROM ops.progress WHERE task = ?", [_TASK])
            commit.mark(_TASK, [wanted])
    except OvertakenError:
        with warehouse.reading() as con:
            return _loaded(con, wanted)
    if again:
        words = ", ".join(f"{count:,} of {dotted}" for dotted, count in again.items())
        warehouse.progress("ref", f"prices or policy changed; partitions to compute again: {words}")
    return {dotted: rows.height for dotted, rows in frames.items()}
