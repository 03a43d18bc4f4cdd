"""Tell of checks that fail: each once, and again only after it has passed."""

import dagster as dg

from pipelines.automation.described import sensor
from pipelines.automation.notices import send_once
from pipelines.warehouse.failing import FailingCheck, failing_checks
from pipelines.warehouse.resource import Warehouse


@sensor(60)
def failed_checks(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Tell of every check that fails, by a log line and the webhook.

    A check that goes on failing is told once. Warnings are in the report and in `ops.check_results`.
    """
    warehouse: Warehouse = context.resources.warehouse
    with warehouse.reading() as con:
        checks = [check for check in failing_checks(con) if check.severity == "error"]
    # The newest result of a check comes first.
    failing = {f"{check.check_name} of {check.table_name}": check for check in reversed(checks)}
    texts = {
        name: f"The check {name} fails{_range(check)}: {check.summary}" for name, check in failing.items()
    }
    return send_once(context, warehouse, texts, nothing="No check fails that was not told of.")


def _range(check: FailingCheck) -> str:
    return "" if check.partition_from is None else f" for {check.partition_from} to {check.partition_to}"
