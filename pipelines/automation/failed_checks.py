"""Tell of checks that fail: each once, and again only after it has passed."""

import json

import dagster as dg

from pipelines.automation.notices import RUNNING, send
from pipelines.warehouse.resource import Warehouse

_LATEST = """
SELECT check_name, table_name, is_passed OR severity <> 'error' AS is_fine, summary, partition_from, partition_to
FROM ops.check_results
QUALIFY row_number() OVER (PARTITION BY check_name, table_name ORDER BY checked_at DESC, run_id DESC) = 1
ORDER BY check_name, table_name
"""


@dg.sensor(minimum_interval_seconds=60, required_resource_keys={"warehouse"}, default_status=RUNNING)
def failed_checks(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Tell of every check whose latest result is an error: a log line and the webhook.

    A check that goes on failing is told once. Warnings are in the report and in `ops.check_results`.
    """
    warehouse: Warehouse = context.resources.warehouse
    told: list[str] = json.loads(context.cursor or "[]")
    with warehouse.reading() as con:
        rows = con.execute(_LATEST).fetchall()
    failing = {f"{check} of {table}": (summary, first, last) for check, table, is_fine, summary, first, last in rows
               if not is_fine}  # fmt: skip
    new = [name for name in failing if name not in told]
    texts = [
        f"The check {name} fails" + (f" for {first} to {last}" if first is not None else "") + f": {summary}"
        for name, (summary, first, last) in ((name, failing[name]) for name in new)
    ]
    sent, trouble = send(context, warehouse, texts)
    after = [name for name in told if name in failing] + new[:sent]
    return dg.SensorResult(
        skip_reason=trouble or " ".join(texts[:sent]) or "No check fails that was not told of.",
        cursor=json.dumps(after),
    )
