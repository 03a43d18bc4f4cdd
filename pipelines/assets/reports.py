"""reports/*: what finance reads, rendered from the live lake."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.checks.expectations import render_data_docs
from pipelines.partitions import DAY_FROM_HOURS, days_of
from pipelines.reports.daily import render_days
from pipelines.warehouse.publish import publish
from pipelines.warehouse.resource import Warehouse, days_between


def report_assets(daily: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """Return the scheduled reports."""

    @dg.asset(
        key=["reports", "daily"],
        group_name="reports",
        # A report shows what the checks found, so that it is written when nothing else is left to do.
        op_tags={"dagster/priority": "-1"},
        deps=[
            dg.AssetKey(["mart", "cost_per_token_daily"]),
            dg.AssetKey(["mart", "break_even"]),
            dg.AssetKey(["mart", "gpu_bill_daily"]),
            dg.AssetKey(["mart", "cost_by_chip"]),
            dg.AssetKey(["mart", "routing_mistakes"]),
            dg.AssetKey(["mart", "cold_start_bursts"]),
            dg.AssetKey(["ops", "coverage"]),
            dg.AssetDep(dg.AssetKey(["ops", "completeness"]), partition_mapping=DAY_FROM_HOURS),
        ],
        partitions_def=daily,
        backfill_policy=dg.BackfillPolicy.single_run(),
        kinds={"html"},
    )
    def report(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[Any]:
        """One self-contained page a business day: spend, cost per token, mistakes, bursts, coverage."""
        paths = write_daily(warehouse, days_between(*days_of(context)))
        return dg.MaterializeResult(
            metadata={"path": dg.MetadataValue.path(str(paths[-1])), "reports": len(paths)}
        )

    return [report]


def write_daily(warehouse: Warehouse, days: Sequence[date]) -> list[Path]:
    """Render the reports of business days without a gap into the project's reports folder and return their paths."""
    project = warehouse.project
    folder = project.reports / "daily"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    # The data docs are rendered at the end of a run, from results that are there by now.
    has_results = (project.reports / ".gx").exists()
    with warehouse.reading() as con:
        for on, page in render_days(
            con,
            days,
            time_zone=project.time_zone,
            generated_at=datetime.now(UTC),
            data_docs_path="../data_docs/index.html" if has_results else None,
        ):
            path = folder / f"{on.isoformat()}.html"
            draft = path.with_suffix(".draft")
            draft.write_text(page, encoding="utf-8")
            draft.replace(path)
            paths.append(path)
            warehouse.progress("reports/daily", on.isoformat())
    return paths


@dg.asset(
    key=["reports", "published_warehouse"],
    group_name="reports",
    deps=[dg.AssetKey(["mart", "cost_per_token_daily"]), dg.AssetKey(["mart", "cold_start_bursts"])],
    kinds={"duckdb"},
    pool="lake",
)
def published_warehouse(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[Any]:
    """Bring the plain DuckDB file that analysts open up to date, atomically."""
    published = publish(warehouse.project)
    render_data_docs(warehouse.project.reports / "data_docs")
    warehouse.progress("reports/published_warehouse", str(published.path))
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(published.path)),
            "size_bytes": published.size_bytes,
            "replaced_partitions": published.replaced_partitions,
        }
    )
