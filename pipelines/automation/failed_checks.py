"""Tell of checks that fail: each once, and again only after it has passed."""

import json

import dagster as dg

from pipelines.automation.described import sensor
from pipelines.automation.notices import send
from pipelines.warehouse.failing import FailingCheck, failing_checks
from pipelines.warehouse.resource import Warehouse


@sensor(60)
def failed_checks(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Tell of every check that fails, by a log line and the webhook.

    A check that goes on failing is told once. Warnings are in the report and in `ops.check_results`.
    """
    warehouse: Warehouse = context.resources.warehouse
    sent_before: list[str] = json.loads(context.cursor or "[]")
    with warehouse.reading() as con:
        checks = [check for check in failing_checks(con) if check.severity == "error"]
    # The newest result of a check comes first.
    failing = {f"{check.check_name} of {check.table_name}": check for check in reversed(checks)}
    new = [name for name in failing if name not in sent_before]
    texts = [f"The check {name} fails{_range(failing[name])}: {failing[name].summary}" for name in new]
    sent, trouble = send(context, warehouse, texts)
    after = [name for name in sent_before if name in failing] + new[:sent]
    return dg.SensorResult(
        skip_reason=trouble or " ".join(texts[:sent]) or "No check fails that was not told of.",
        cursor=json.dumps(after),
    )


def _range(check: FailingCheck) -> str:
    return "" if check.partition_from is None else f" for {check.partition_from} to {check.partition_to}"
