"""One job per grain: sources and sheets, hourly facts, daily marts and reports, publication."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from models.errors import DataError
from pipelines.assets.computed import JOB_OF, asset_tables, key_of
from pipelines.assets.reports import write_daily
from pipelines.automation.closing import close_month
from pipelines.reports.close_pack import write_pack
from pipelines.reports.deliver import deliver
from pipelines.reports.period import Kind, period_of
from pipelines.reports.write import FORMATS, read_report, write_report
from pipelines.steps.base import Grain
from pipelines.warehouse.resource import Warehouse

_GROUPS = dg.AssetSelection.groups
_PUBLISHED = dg.AssetSelection.assets(dg.AssetKey(["reports", "published_warehouse"]))
_DATA_DOCS = dg.AssetSelection.assets(dg.AssetKey(["reports", "data_docs"]))


def _tables(grain: Grain) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(key_of(dotted) for dotted in asset_tables(grain)))


JOBS: list[UnresolvedAssetJobDefinition] = [
    dg.define_asset_job(
        "land",
        _GROUPS("raw", "ref"),
        description="Read new files and every price sheet.",
        tags={"nanodollar/grain": "none"},
    ),
    dg.define_asset_job(
        JOB_OF["hourly"],
        _tables("hourly"),
        description="Build hours: requests, costs, GPU pools.",
        tags={"nanodollar/grain": "hour"},
    ),
    dg.define_asset_job(
        JOB_OF["daily"],
        (_tables("daily") | _GROUPS("reports")) - _PUBLISHED - _DATA_DOCS,
        description="Build business days: cost per token, mistakes, cold starts, coverage, the report.",
        tags={"nanodollar/grain": "day"},
    ),
    dg.define_asset_job(
        "publish",
        _PUBLISHED,
        description="Bring the plain DuckDB file up to date.",
        tags={"nanodollar/grain": "none"},
    ),
    dg.define_asset_job(
        "data_docs",
        _DATA_DOCS,
        description="Judge every table by Great Expectations and write the data docs.",
        tags={"nanodollar/grain": "none"},
    ),
]
"""In the order in which a run takes them; one job holds assets of one partitioning."""


_AGAIN = dg.RetryPolicy(max_retries=3, delay=60, backoff=dg.Backoff.EXPONENTIAL)
"""What could not be sent is tried again; what was sent is not."""


def write_and_deliver(context: dg.OpExecutionContext, kind: Kind, on: date) -> None:
    """Write the report of the period that holds a day in every format, and send it each way it has not gone yet."""
    warehouse: Warehouse = context.resources.warehouse
    try:
        report = read_report(warehouse, kind, on)
    except DataError as error:
        context.log.warning(str(error))
        return
    if kind == "daily":
        write_daily(warehouse, [report.first])
    write_report(warehouse, report, FORMATS)
    results = deliver(warehouse, report, run_id=context.run_id)
    for one in results:
        context.log.info(
            "%s by %s: %s%s",
            one.name,
            one.way,
            "out" if one.is_out else "not out",
            f"; {one.trouble}" if one.trouble else "",
        )
    troubles = [f"{one.name} by {one.way}: {one.trouble}" for one in results if not one.is_out]
    if troubles:
        raise DataError(
            f"The {kind} report of {report.stem} did not go out everywhere: {'; '.join(troubles)}"
        )


@dg.op(
    name="deliver_report",
    config_schema={"report": str, "at": str},
    required_resource_keys={"warehouse"},
    retry_policy=_AGAIN,
)
def _deliver(context: dg.OpExecutionContext) -> None:
    """Write and send the last day or week that has ended."""
    kind = context.op_config["report"]
    zone = ZoneInfo(context.resources.warehouse.project.time_zone)
    today = datetime.fromisoformat(context.op_config["at"]).astimezone(zone).date()
    first, _, _ = period_of(kind, today)
    write_and_deliver(context, kind, first - timedelta(days=1))


@dg.job(name="deliver", description="Write the last day's or week's report in every format, and send it.")
def delivery() -> None:
    """Write and send the report that the run names."""
    _deliver()


@dg.op(name="deliver_month", required_resource_keys={"warehouse"}, retry_policy=_AGAIN)
def _deliver_month(context: dg.OpExecutionContext, month: str) -> None:
    """Write and send the report of a month that is closed."""
    write_and_deliver(context, "month-close", date.fromisoformat(f"{month}-01"))


@dg.op(name="close_month", config_schema={"month": str}, required_resource_keys={"warehouse"}, pool="lake")
def _close_month(context: dg.OpExecutionContext) -> str:
    """Close a month of business days, for good; fails with all that stands against it."""
    month = str(context.op_config["month"])
    warehouse = context.resources.warehouse
    is_new = close_month(warehouse, month, now=datetime.now(UTC), closed_by=f"Dagster run {context.run_id}")
    pack = write_pack(warehouse.project, month)
    context.log.info("%s is closed%s; its pack is in %s.", month, "" if is_new else " already", pack.folder)
    return month


@dg.job(name="close", description="Close a month of business days, for good.")
def close() -> None:
    """Close the month that the run names, and send its report."""
    _deliver_month(_close_month())
