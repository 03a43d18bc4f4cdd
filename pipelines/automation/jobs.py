"""One job per grain: sources and sheets, hourly facts, daily marts and reports, publication."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

ORDER = ("land", "facts", "marts", "publish")
"""The jobs in the order in which a run takes them."""


def jobs(
    hourly: dg.PartitionsDefinition[str], daily: dg.PartitionsDefinition[str]
) -> list[UnresolvedAssetJobDefinition]:
    """Return the jobs; one job holds assets of one partitioning."""
    groups = dg.AssetSelection.groups
    hourly_marts = dg.AssetSelection.assets(dg.AssetKey(["mart", "cost_per_token_hourly"]))
    published = dg.AssetSelection.assets(dg.AssetKey(["reports", "published_warehouse"]))
    return [
        dg.define_asset_job("land", groups("raw", "ref")),
        dg.define_asset_job("facts", groups("core") | hourly_marts, partitions_def=hourly),
        dg.define_asset_job(
            "marts", (groups("mart", "reports") - hourly_marts) - published, partitions_def=daily
        ),
        dg.define_asset_job("publish", published),
    ]
