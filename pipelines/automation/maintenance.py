"""Maintenance of a whole project: its lake, and Dagster's records of its runs."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from pipelines.automation.old_runs import forget_old_runs
from pipelines.warehouse.maintenance import GRACE, maintain
from pipelines.warehouse.resource import Warehouse


def maintain_project(
    warehouse: Warehouse,
    instance: dg.DagsterInstance,
    *,
    now: datetime,
    keep_days: int | None = None,
    grace: timedelta = GRACE,
) -> str:
    """Keep a project small; return a sentence of what was done.

    Args:
        warehouse: the project's lake.
        instance: where Dagster keeps its records of the project's runs.
        now: the time.
        keep_days: how many days back each snapshot stays, where it is not what the settings say.
        grace: how long a file stays that no snapshot needs.

    Raises:
        DataError: a file of the lake is damaged; nothing is expired or removed.
    """
    settings = warehouse.project.settings.maintenance
    keep = timedelta(days=settings.keep_days if keep_days is None else keep_days)
    done = maintain(warehouse, keep=keep, now=now, grace=grace)
    forgotten = forget_old_runs(instance, before=now - timedelta(days=settings.keep_run_logs_days))
    return (
        f"The lake has {done.files_after:,} files ({done.bytes_after / 1e6:,.1f} MB), before {done.files_before:,} "
        f"({done.bytes_before / 1e6:,.1f} MB); {done.expired_count:,} snapshots expired, logs of {forgotten:,} runs "
        f"removed."
    )


@dg.op(name="maintain", required_resource_keys={"warehouse"}, pool="lake")
def _maintain(context: dg.OpExecutionContext) -> None:
    """Merge small files, expire old snapshots, and remove unused files and old run logs."""
    context.log.info(maintain_project(context.resources.warehouse, context.instance, now=datetime.now(UTC)))


@dg.job(
    name="maintenance", description="Merge small files, expire old snapshots, remove unused files and logs."
)
def maintenance() -> None:
    """Keep the warehouse small; its figures stay as they are."""
    _maintain()
