"""One job per grain: sources and sheets, hourly facts, daily marts and reports, publication."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

_GROUPS = dg.AssetSelection.groups
_HOURLY_MARTS = dg.AssetSelection.assets(dg.AssetKey(["mart", "cost_per_token_hourly"]))
_PUBLISHED = dg.AssetSelection.assets(dg.AssetKey(["reports", "published_warehouse"]))

JOBS: list[UnresolvedAssetJobDefinition] = [
    dg.define_asset_job("land", _GROUPS("raw", "ref"), description="Read new files and every price sheet."),
    dg.define_asset_job(
        "facts", _GROUPS("core") | _HOURLY_MARTS, description="Build hours: requests, costs, GPU pools."
    ),
    dg.define_asset_job(
        "marts",
        (_GROUPS("mart", "reports") - _HOURLY_MARTS) - _PUBLISHED,
        description="Build business days: cost per token, mistakes, cold starts, coverage, the report.",
    ),
    dg.define_asset_job("publish", _PUBLISHED, description="Bring the plain DuckDB file up to date."),
]
"""In the order in which a run takes them; one job holds assets of one partitioning."""
