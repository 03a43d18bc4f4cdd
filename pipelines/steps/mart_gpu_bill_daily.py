"""mart.gpu_bill_daily: the GPU bill of a business day, with idle split into headroom and waste."""

from fnmatch import fnmatchcase

import polars as pl

from models.marts import mart_sql
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs

STEP = Step(table="mart.gpu_bill_daily", reads=("core.pool_hours",))


def compute(inputs: Inputs, window: Window) -> Frames:
    """Sum up the pool-hours of each day, and tell the pools that train apart."""
    gpu = inputs.project.settings.gpu
    parameters = {
        "from_on": window.from_on,
        "to_on": window.to_on,
        "target_percent": gpu.target_utilization_percent,
    }
    rows = inputs.query(mart_sql("gpu_bill_daily"), parameters)
    names = rows["deployment"].unique().to_list()
    training = [name for name in names if any(fnmatchcase(name, glob) for glob in gpu.training)]
    if training:
        is_training = pl.col("deployment").is_in(training)
        rows = rows.with_columns(workload=pl.when(is_training).then(pl.lit("training")).otherwise("workload"))
    return {STEP.table: rows}
