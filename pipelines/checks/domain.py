"""What a domain check is, and how its outcome reaches Dagster and ops.check_results."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

import dagster as dg
import duckdb

from models.schemas import table
from pipelines.partitions import dagster_previews, days_of, hours_of
from pipelines.settings import Settings
from pipelines.warehouse.commit import partition_key
from pipelines.warehouse.resource import Warehouse

FAILED_IDS_AT_MOST = 20
Bound = datetime | date


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a check found: `failed_ids` are the keys of the first rows that break the fact."""

    is_passed: bool
    summary: str
    failed_count: int = 0
    failed_ids: list[str] = field(default_factory=list)
    severity: Literal["warn", "error"] = "error"


@dataclass(frozen=True, kw_only=True)
class DomainCheck:
    """A fact that should hold for the rows of a range, such as `pool_is_conserved`.

    Attributes:
        judge: looks at the rows from a first bound to a last one, exclusive.
        limits: what the project's settings say to the check; the judge takes it as `limits`.
    """

    name: str
    table: str
    grain: Literal["hourly", "daily"]
    description: str
    judge: Callable[..., Outcome]
    limits: Callable[[Settings], object] | None = None

    def outcome(
        self, con: duckdb.DuckDBPyConnection, settings: Settings, start: Bound, end: Bound
    ) -> Outcome:
        """Judge the rows of [start, end) by the limits of a project."""
        limits = {} if self.limits is None else {"limits": self.limits(settings)}
        return self.judge(con, start, end, **limits)


def as_asset_check(
    check: DomainCheck, partitions_def: dg.PartitionsDefinition[str]
) -> dg.AssetChecksDefinition:
    """Turn a domain check into a partitioned asset check."""

    def body(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.AssetCheckResult:
        start, end = hours_of(context) if check.grain == "hourly" else days_of(context)
        with warehouse.reading() as con:
            outcome = check.outcome(con, warehouse.project.settings, start, end)
        return record(warehouse, context, check.name, check.table, outcome, bounds=(start, end))

    body.__name__ = check.name
    with dagster_previews():
        return dg.asset_check(
            asset=dg.AssetKey(check.table.split(".")),
            name=check.name,
            description=check.description,
            partitions_def=partitions_def,
        )(body)


def record(
    warehouse: Warehouse,
    context: dg.AssetCheckExecutionContext,
    name: str,
    dotted: str,
    outcome: Outcome,
    *,
    bounds: tuple[Bound | None, Bound | None],
    **metadata: dg.MetadataValue,
) -> dg.AssetCheckResult:
    """Store an outcome in ops.check_results and return it in Dagster's terms."""
    run_id = context.op_execution_context.run_id
    start, end = bounds
    row = {
        "checked_at": datetime.now(UTC),
        "run_id": run_id,
        "check_name": name,
        "table_name": dotted,
        "partition_from": partition_key(start) if start else None,
        "partition_to": partition_key(end) if end else None,
        "is_passed": outcome.is_passed,
        "severity": outcome.severity,
        "failed_count": outcome.failed_count,
        "summary": outcome.summary,
        "failed_ids": outcome.failed_ids[:FAILED_IDS_AT_MOST],
    }
    with warehouse.committing(run_id=run_id, job="checks") as commit:
        commit.append("ops.check_results", table("ops.check_results").frame([row]))
    return dg.AssetCheckResult(
        passed=outcome.is_passed,
        severity=dg.AssetCheckSeverity.WARN if outcome.severity == "warn" else dg.AssetCheckSeverity.ERROR,
        description=outcome.summary,
        metadata={
            "failed_count": outcome.failed_count,
            "failed_ids": outcome.failed_ids[:FAILED_IDS_AT_MOST],
            **metadata,
        },
    )
