"""Tell people: what a sensor has to say goes to its log and to the project's webhook."""

from collections.abc import Sequence

import dagster as dg

from models.errors import NanodollarError
from pipelines.notify.webhook import post
from pipelines.warehouse.resource import Warehouse


def send(
    context: dg.SensorEvaluationContext, warehouse: Warehouse, texts: Sequence[str]
) -> tuple[int, str | None]:
    """Send texts in order until one cannot be sent; the log holds each that was.

    Returns:
        How many were sent, and what went wrong with the next one.
    """
    webhook = warehouse.project.settings.notifications.webhook
    for place, text in enumerate(texts):
        try:
            if webhook is not None:
                post(webhook, text)
        except NanodollarError as error:
            trouble = f"{error} The next look tries again to tell: {' '.join(texts[place:])}"
            context.log.warning(trouble)
            return place, trouble
        context.log.warning(text)
    return len(texts), None
