"""The reference tables as one multi-asset: loaded whole from sheets and files."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from models.schemas import tables
from pipelines.assets.computed import key_of
from pipelines.steps.reference import reference_frames
from pipelines.steps.repricing import outdate
from pipelines.warehouse.resource import Warehouse


@dg.multi_asset(
    specs=[
        dg.AssetSpec(key_of(table.dotted), group_name="ref", kinds={"yaml", "duckdb"})
        for table in tables().values()
        if table.schema == "ref" and table.select is None
    ],
    pool="lake",
    name="reference",
)
def reference(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Load every price sheet, alias list and policy in one transaction, and outdate what they change."""
    frames = reference_frames(warehouse.project)
    with (
        warehouse.reading() as con,
        warehouse.committing(run_id=context.run.run_id, job="ref") as commit,
    ):
        for dotted, rows in frames.items():
            commit.replace(dotted, rows)
        again = outdate(con, commit, frames)
    if again:
        words = ", ".join(f"{count:,} of {dotted}" for dotted, count in again.items())
        warehouse.progress("ref", f"prices or policy changed; partitions to compute again: {words}")
    for dotted, rows in frames.items():
        yield dg.MaterializeResult(asset_key=key_of(dotted), metadata={"dagster/row_count": rows.height})
