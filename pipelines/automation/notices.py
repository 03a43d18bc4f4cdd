"""Tell people: what a sensor has to say goes to its log and to the project's webhook."""

import json
from collections.abc import Mapping, Sequence

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


def send_once(
    context: dg.SensorEvaluationContext, warehouse: Warehouse, texts: Mapping[str, str], *, nothing: str
) -> dg.SensorResult:
    """Send the text of each key, once as long as the key stands; the sensor's cursor holds the keys that were sent.

    Args:
        context: of the sensor.
        warehouse: the lake, whose project names the webhook.
        texts: what stands now, by key, in the order of sending.
        nothing: what the sensor says where there is nothing new.
    """
    sent_before: list[str] = json.loads(context.cursor or "[]")
    new = [key for key in texts if key not in sent_before]
    count, trouble = send(context, warehouse, [texts[key] for key in new])
    sent = new[:count]
    return dg.SensorResult(
        skip_reason=trouble or " ".join(texts[key] for key in sent) or nothing,
        cursor=json.dumps([key for key in sent_before if key in texts] + sent),
    )
