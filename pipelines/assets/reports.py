"""reports/*: what finance reads, rendered from the live lake."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.assets.computed import MOST_IN_ONE_RUN, upstream
from pipelines.assets.made import report_partitions
from pipelines.checks.data_docs import judge_all_tables
from pipelines.durable import durable
from pipelines.partitions import days_of
from pipelines.project import Project
from pipelines.replacing import replace_file
from pipelines.reports.catalog import write_catalog
from pipelines.reports.daily import render_days
from pipelines.reports.data_docs import write_data_docs
from pipelines.reports.figures import PLOTTED_DAYS
from pipelines.reports.pages import link_pages
from pipelines.steps import made_of
from pipelines.steps.base import Read
from pipelines.warehouse.publish import publish
from pipelines.warehouse.resource import Warehouse, days_between

DAILY_REPORT = dg.AssetKey(["reports", "daily"])
DAILY_TASK = "reports.daily"
RECENT_PAGES = 62
"""Days before the newest one whose page a run writes without being asked: a month and the one before it."""
_PLOTTED = timedelta(days=PLOTTED_DAYS - 1)
DAILY_READS = (
    Read("mart.cost_per_token_daily", before=_PLOTTED),
    Read("core.other_charges", before=_PLOTTED),
    *map(
        Read,
        (
            "mart.spend_daily", "core.request_costs", "core.pool_hours", "mart.break_even", "mart.gpu_bill_daily",
            "mart.cost_by_chip",
            "mart.prefill_weights", "mart.routing_mistakes", "mart.routing_regret_daily", "mart.cold_starts",
            "mart.cold_start_bursts", "ops.coverage", "ops.completeness",
        ),
    ),
)  # fmt: skip
"""What the page of a business day shows, and of how many days before."""


def days_written(project: Project) -> list[date]:
    """Return the business days whose page is there."""
    return [date.fromisoformat(path.stem) for path in (project.reports / "daily").glob("????-??-??.html")]


def report_assets(daily: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """Return the scheduled reports."""

    @dg.asset(
        key=DAILY_REPORT,
        group_name="reports",
        # A report shows what the checks found, so that it is written when nothing else is left to do.
        op_tags={"dagster/priority": "-1"},
        deps=upstream(DAILY_READS, "daily", []),
        partitions_def=daily,
        backfill_policy=dg.BackfillPolicy.multi_run(MOST_IN_ONE_RUN["daily"]),
        kinds={"html"},
    )
    def report(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[Any]:
        """One self-contained page a business day: spend, cost per token, mistakes, bursts, coverage."""
        days = days_between(*days_of(context))
        with warehouse.committing(run_id=context.run.run_id, job="reports") as commit:
            paths = write_daily(warehouse, days)
            commit.mark(DAILY_TASK, [on.isoformat() for on in days])
        metadata: dict[str, Any] = {
            "path": dg.MetadataValue.path(str(paths[-1] if paths else warehouse.project.reports)),
            "reports": len(paths),
        }
        report_partitions(context, {DAILY_REPORT: metadata}, {DAILY_REPORT: list(context.partition_keys)})
        return dg.MaterializeResult(metadata=metadata)

    return [report]


def write_daily(warehouse: Warehouse, days: Sequence[date]) -> list[Path]:
    """Render the reports of business days without a gap into the project's reports folder and return their paths.

    A day of which the warehouse holds nothing has no page.
    """
    project = warehouse.project
    folder = project.reports / "daily"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with warehouse.reading() as con:
        for on, page in render_days(
            con,
            days,
            time_zone=project.time_zone,
            generated_at=datetime.now(UTC),
        ):
            path = folder / f"{on.isoformat()}.html"
            if page is None:
                path.unlink(missing_ok=True)
                continue
            durable("report: write a page")
            replace_file(path, page)
            paths.append(path)
            warehouse.progress("reports/daily", on.isoformat())
    link_pages(project.reports)
    return paths


@dg.asset(
    key=["reports", "published_warehouse"],
    group_name="reports",
    deps=[dg.AssetKey(["mart", "cost_per_token_daily"]), dg.AssetKey(["mart", "cold_start_bursts"])],
    kinds={"duckdb"},
    pool="lake",
)
def published_warehouse(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult[Any]:
    """Bring the plain DuckDB file that analysts open up to date, atomically, and the catalog of what stands in it.

    A page of the data docs that cannot be written is told and fails nothing: figures and checks stand without it.
    """
    published = publish(warehouse.project, warehouse.lake)
    write_catalog(warehouse, made_of())
    try:
        write_data_docs(warehouse.project.reports / "data_docs")
    except OSError as error:
        sentence = str(error).splitlines()[0]
        context.log.warning("%s", sentence)
        warehouse.progress("reports/data_docs", sentence)
    warehouse.progress("reports/published_warehouse", str(published.path))
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(published.path)),
            "size_bytes": published.size_bytes,
            "replaced_partitions": published.replaced_partitions,
        }
    )


@dg.asset(
    key=["reports", "data_docs"],
    group_name="reports",
    deps=[dg.AssetKey(["mart", "cost_per_token_daily"]), dg.AssetKey(["mart", "cold_start_bursts"])],
    kinds={"html"},
    pool="lake",
)
def data_docs(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult[Any]:
    """Let Great Expectations judge what was looked at last of every table, and write the pages of its results."""
    count = judge_all_tables(warehouse, run_id=context.run.run_id)
    index = write_data_docs(warehouse.project.reports / "data_docs")
    warehouse.progress("reports/data_docs", f"{count} tables")
    return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(str(index)), "tables": count})
