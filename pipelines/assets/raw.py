"""raw/<source>: find new files, read each once, land their records and index the hours that they touch."""

from typing import Any

import dagster as dg

from pipelines.landing.drive import land
from pipelines.project import Project
from pipelines.sources.spec import SourceSpec
from pipelines.warehouse.resource import Warehouse


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
