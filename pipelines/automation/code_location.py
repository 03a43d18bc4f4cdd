"""What Dagster shows of one project: assets, checks, jobs, schedules, sensors and the warehouse."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from pipelines.assets.computed import computed_assets
from pipelines.assets.raw import raw_assets
from pipelines.assets.reference import reference
from pipelines.assets.reports import data_docs, published_warehouse, report_assets
from pipelines.automation.jobs import JOBS, close, delivery
from pipelines.automation.maintenance import maintenance
from pipelines.automation.schedules import SCHEDULES
from pipelines.automation.sensors import SENSORS
from pipelines.checks.asset_checks import asset_checks
from pipelines.partitions import dagster_previews, daily, hourly
from pipelines.project import Project
from pipelines.warehouse.resource import Warehouse


def build_defs(*, project: Project, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return the definitions of a project; tests and commands swap resources, they do not patch."""
    hours, days = hourly(project), daily(project)
    with dagster_previews():
        facts_and_marts = [
            *computed_assets(project, hourly=hours, daily=days),
            *report_assets(days),
        ]
    assets = [*raw_assets(project), reference, *facts_and_marts, data_docs, published_warehouse]
    is_automatic = project.settings.automation.enabled
    tables = {".".join(key.path) for asset in assets for key in asset.keys}
    definitions = dg.Definitions(
        assets=assets,
        asset_checks=asset_checks(tables, hourly=hours, daily=days),
        jobs=[*JOBS, close, delivery, maintenance],
        schedules=SCHEDULES if is_automatic else [],
        sensors=SENSORS if is_automatic else [],
        executor=dg.in_process_executor,
        resources={"warehouse": Warehouse(project), **(resource_overrides or {})},
    )
    owners = project.settings.automation.owners
    if not owners:
        return definitions
    return definitions.map_asset_specs(func=lambda spec: spec.replace_attributes(owners=owners))
