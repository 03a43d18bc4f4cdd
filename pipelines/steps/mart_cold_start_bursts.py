"""mart.cold_start_bursts: bursts of cold starts as incidents, with their cost and cure."""

from datetime import timedelta

from models.cold_starts.bursts import HISTORY_DAYS, cold_start_bursts
from pipelines.project import Project
from pipelines.steps.base import Frames, Read, Step, Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.starts import burst_history


def _and_the_day_before(window: Window, project: Project) -> Window:
    """An incident may run past midnight: the day before is settled with the day."""
    first = max(window.from_on - timedelta(days=1), project.start_on)
    return Window.of_days(first, window.to_on, now=window.now, time_zone=window.time_zone)


STEP = Step(
    table="mart.cold_start_bursts",
    reads=(
        Read("mart.cold_starts", before=timedelta(days=HISTORY_DAYS), after=timedelta(days=1)),
        "ref.gpu_prices",
    ),
    covers=_and_the_day_before,
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Judge the starts of each day by those of the weeks before."""
    known_from = inputs.query("SELECT min(requested_at) AS known_from FROM mart.cold_starts").item()
    rows = cold_start_bursts(
        burst_history(inputs, from_on=window.from_on, to_on=window.to_on),
        from_on=window.from_on,
        to_on=window.to_on,
        time_zone=window.time_zone,
        prices=inputs.whole("ref.gpu_prices"),
        known_from=known_from,
    )
    return {STEP.table: rows}
