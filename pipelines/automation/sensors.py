"""Sensors: new files ask for their landing."""

import hashlib
from collections.abc import Iterator

import dagster as dg

from pipelines.landing.land import source_files
from pipelines.warehouse.resource import Warehouse


@dg.sensor(job_name="land", minimum_interval_seconds=60, required_resource_keys={"warehouse"})
def new_files(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for one landing whenever the files of a source changed in name, size or time."""
    warehouse: Warehouse = context.resources.warehouse
    digest = hashlib.sha256()
    for source in warehouse.project.sources:
        if source.path is None:
            continue
        for file in source_files(source, project=warehouse.project.folder):
            digest.update(f"{file.path}|{file.size_bytes}|{file.modified_at.isoformat()}\n".encode())
    state = digest.hexdigest()
    if state == context.cursor:
        yield dg.SkipReason("No file changed since the last look.")
        return
    context.update_cursor(state)
    yield dg.RunRequest(run_key=f"land-{state[:16]}")


SENSORS = [new_files]
