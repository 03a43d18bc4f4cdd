"""The code location: everything Dagster shows, built for one project."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from pipelines.assets.completeness import completeness_asset
from pipelines.assets.core import core_assets
from pipelines.assets.mart import mart_assets, published_warehouse
from pipelines.assets.raw import raw_assets
from pipelines.assets.ref import reference
from pipelines.assets.reports import report_assets
from pipelines.automation.jobs import JOBS
from pipelines.automation.schedules import SCHEDULES
from pipelines.automation.sensors import SENSORS
from pipelines.checks import all_checks
from pipelines.partitions import dagster_previews, daily, hourly
from pipelines.project import Project, find_project
from pipelines.warehouse.resource import Warehouse


def build_defs(*, project: Project, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return the definitions of a project; tests and commands swap resources, they do not patch."""
    hours, days = hourly(project), daily(project)
    with dagster_previews():
        facts = [*core_assets(project, hours), completeness_asset(project, hours)]
        facts_and_marts = [*facts, *mart_assets(days), *report_assets(days)]
    return dg.Definitions(
        assets=[*raw_assets(project), reference, *facts_and_marts, published_warehouse],
        asset_checks=all_checks(hours, days),
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=SENSORS,
        executor=dg.in_process_executor,
        resources={"warehouse": Warehouse(project), **(resource_overrides or {})},
    )


@dg.definitions
def defs() -> dg.Definitions:
    return build_defs(project=find_project(None))
