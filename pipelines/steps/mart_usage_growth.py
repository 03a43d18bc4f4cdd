"""mart.usage_growth: what was used in a month, beside the month and the year before."""

from datetime import timedelta

import polars as pl

from models.marts import mart_sql
from models.schemas import table
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.months import LONGEST_MONTH, months_of, settled, whole_months

_YEAR = timedelta(days=366)
STEP = Step(
    table="mart.usage_growth",
    reads=(Read("mart.cost_per_token_daily", before=_YEAR, after=LONGEST_MONTH),),
    covers=whole_months,
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Hold each open month that begins in the window against the earlier ones."""
    months, kept = settled(inputs, STEP.table, months_of(window))
    found = [inputs.query(mart_sql("usage_growth"), {"month_on": month}) for month in months]
    schema = table(STEP.table)
    rows = [schema.conform(frame.lazy()).collect() for frame in found]
    return {STEP.table: pl.concat([kept, *rows])}
