"""Publish what has changed: the plain DuckDB file follows the lake without being asked."""

from collections.abc import Iterator

import dagster as dg

from pipelines.automation.described import sensor
from pipelines.warehouse.resource import Warehouse

_CHANGED = """
SELECT (SELECT max(changed_at) FROM ops.partitions), (SELECT max(checked_at) FROM ops.check_results)
"""


@sensor(60, job="publish")
def publication(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for the publication once what was computed has settled: when two looks in a row see the same state."""
    warehouse: Warehouse = context.resources.warehouse
    with warehouse.reading() as con:
        state = str(con.execute(_CHANGED).fetchone())
    seen, _, published = (context.cursor or "").partition("\n")
    if state == published:
        yield dg.SkipReason("What was computed is published.")
        return
    context.update_cursor(f"{state}\n{published if seen != state else state}")
    if seen != state:
        yield dg.SkipReason("Something was computed; it is published when it has settled.")
        return
    yield dg.RunRequest(run_key=f"publish {state}")
