"""mart.savings: what to change, by dollars."""

import polars as pl

from models.finance.savings import rank_savings
from models.marts import mart_sql
from models.schemas import table
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.months import month_after, months_of, of_the_month, settled, whole_months

_DAYS = """
SELECT count(DISTINCT accrued_on) FROM mart.spend_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
"""

STEP = Step(
    table="mart.savings",
    reads=(
        *map(
            of_the_month,
            (
                "mart.spend_daily", "mart.gpu_bill_daily", "mart.break_even", "mart.routing_mistakes",
                "mart.cold_starts", "mart.cold_start_bursts", "core.pool_hours", "core.request_costs",
            ),
        ),
        "ref.token_prices",
        "ref.gpu_prices",
        "ref.model_families",
    ),
    covers=whole_months,
)  # fmt: skip


def compute(inputs: Inputs, window: Window) -> Frames:
    """Rank the changes of each open month that begins in the window."""
    months, kept = settled(inputs, STEP.table, months_of(window))
    target = {"target_percent": inputs.project.settings.gpu.target_utilization_percent}
    found: list[pl.DataFrame] = [kept]
    for month_on in months:
        span = {"from_on": month_on, "to_on": month_after(month_on)}
        day_count = inputs.query(_DAYS, span).item()
        if not day_count:
            continue
        changes = [
            inputs.query(mart_sql(name), span | target) for name in ("savings_pools", "savings_tokens")
        ]
        found.append(
            rank_savings(
                pl.concat(changes, how="diagonal_relaxed"),
                inputs.query(mart_sql("savings_cells"), span),
                month_on=month_on,
                day_count=day_count,
            )
        )
    return {STEP.table: pl.concat(found) if found else table(STEP.table).empty()}
