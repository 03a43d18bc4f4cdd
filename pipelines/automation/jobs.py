"""One job per grain: sources and sheets, hourly facts, daily marts and reports, publication."""

from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from pipelines.assets.computed import JOB_OF, asset_tables, key_of
from pipelines.automation.closing import close_month
from pipelines.reports.close_pack import write_pack
from pipelines.steps.base import Grain

_GROUPS = dg.AssetSelection.groups
_PUBLISHED = dg.AssetSelection.assets(dg.AssetKey(["reports", "published_warehouse"]))


def _tables(grain: Grain) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(key_of(dotted) for dotted in asset_tables(grain)))


JOBS: list[UnresolvedAssetJobDefinition] = [
    dg.define_asset_job("land", _GROUPS("raw", "ref"), description="Read new files and every price sheet."),
    dg.define_asset_job(
        JOB_OF["hourly"], _tables("hourly"), description="Build hours: requests, costs, GPU pools."
    ),
    dg.define_asset_job(
        JOB_OF["daily"],
        (_tables("daily") | _GROUPS("reports")) - _PUBLISHED,
        description="Build business days: cost per token, mistakes, cold starts, coverage, the report.",
    ),
    dg.define_asset_job("publish", _PUBLISHED, description="Bring the plain DuckDB file up to date."),
]
"""In the order in which a run takes them; one job holds assets of one partitioning."""


@dg.op(name="close_month", config_schema={"month": str}, required_resource_keys={"warehouse"}, pool="lake")
def _close_month(context: dg.OpExecutionContext) -> None:
    """Close a month of business days, for good; fails with all that stands against it."""
    month = str(context.op_config["month"])
    warehouse = context.resources.warehouse
    is_new = close_month(warehouse, month, now=datetime.now(UTC), closed_by=f"Dagster run {context.run_id}")
    pack = write_pack(warehouse.project, month)
    context.log.info("%s is closed%s; its pack is in %s.", month, "" if is_new else " already", pack.folder)


@dg.job(name="close", description="Close a month of business days, for good.")
def close() -> None:
    """Close the month that the run names."""
    _close_month()
