"""What a check is, what it finds, and where its results are kept."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

import duckdb

from models.schemas import table
from pipelines.settings import Settings
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.staged import partition_key

FAILED_IDS_AT_MOST = 20
Bound = datetime | date
Bounds = tuple[Bound, Bound] | None
"""The hours or business dates of a range, the last excluded; None is a whole table."""


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


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """A check that was run: its name, its table, the rows that it looked at, and what it found."""

    name: str
    table: str
    bounds: Bounds
    outcome: Outcome


def keep_results(warehouse: Warehouse, results: Iterable[CheckOutcome], *, run_id: str) -> None:
    """Store results in ops.check_results, all in one transaction."""
    now = datetime.now(UTC)
    rows = [
        {
            "checked_at": now,
            "run_id": run_id,
            "check_name": result.name,
            "table_name": result.table,
            "partition_from": partition_key(result.bounds[0]) if result.bounds else None,
            "partition_to": partition_key(result.bounds[1]) if result.bounds else None,
            "is_passed": result.outcome.is_passed,
            "severity": result.outcome.severity,
            "failed_count": result.outcome.failed_count,
            "summary": result.outcome.summary,
            "failed_ids": result.outcome.failed_ids[:FAILED_IDS_AT_MOST],
        }
        for result in results
    ]
    if rows:
        with warehouse.committing(run_id=run_id, job="checks") as commit:
            commit.append("ops.check_results", table("ops.check_results").frame(rows))
