"""Tell Dagster which partitions a run of a range has made, all at once.

Dagster writes an event of each partition before a run and after it, each by itself: for a year of hours that takes
longer than to compute them. A run that bears the tag leaves its events to the asset, which stores them by one call.
What it does not have is events of what was planned.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster._core.storage.tags import EXTERNALLY_MANAGED_ASSETS_TAG

TOLD_AT_ONCE = {EXTERNALLY_MANAGED_ASSETS_TAG: "true"}
"""Tags of a run whose partitions are told by `report_partitions`; its event log must have `store_partitions`."""


def report_partitions(
    context: dg.AssetExecutionContext,
    made: Mapping[dg.AssetKey, Mapping[str, Any]],
    keys: Mapping[dg.AssetKey, Sequence[str]],
) -> None:
    """Store that a run has made its partitions of assets; of a run that Dagster watches by itself, do nothing.

    Args:
        context: of the step.
        made: the assets, with metadata.
        keys: the partitions of each.
    """
    if not TOLD_AT_ONCE.items() <= context.run.tags.items():
        return
    step_key = context.op_execution_context.get_step_execution_context().step.key
    events = [
        dg.EventLogEntry(  # type: ignore[no-untyped-call]
            error_info=None,
            level=logging.DEBUG,
            user_message="Materialized value.",
            run_id=context.run.run_id,
            timestamp=time.time(),
            step_key=step_key,
            job_name=context.job_name,
            dagster_event=DagsterEvent(
                event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                job_name=context.job_name,
                step_key=step_key,
                message="Materialized value.",
                event_specific_data=StepMaterializationData(
                    dg.AssetMaterialization(key, partition=keys[key][-1], metadata=metadata)
                ),
            ),
        )
        for key, metadata in made.items()
        if keys[key]
    ]
    storage: Any = context.instance.event_log_storage
    storage.store_partitions(events, [keys[key] for key in made if keys[key]])
