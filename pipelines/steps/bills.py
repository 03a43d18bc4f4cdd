"""What the steps of bills share: a bill is the partition of the first day of its billing period."""

from datetime import timedelta

from pipelines.project import Project
from pipelines.steps.base import Read, Window

LONGEST_PERIOD = timedelta(days=31)
"""How far from the first day of its billing period a charge may lie."""


def whole_months(window: Window, _project: Project) -> Window:
    """A day of usage belongs to the bill of its month, which its first day holds."""
    return Window.of_days(
        window.from_on.replace(day=1), window.to_on, now=window.now, time_zone=window.time_zone
    )


def around(dotted: str) -> Read:
    """Return the reading of a table as far around a bill's first day as its charges may lie."""
    return Read(dotted, before=LONGEST_PERIOD, after=LONGEST_PERIOD)
