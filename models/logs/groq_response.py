"""Groq's response objects: OpenAI's shape with durations inside `usage` (in `x_groq.usage` of a stream).

`total_time` is prompt plus completion time, without `queue_time`.
Source: groq Python SDK 1.7.0.
"""

from models.logs.openai_shape import COUNTS, openai_shaped
from models.logs.responses import response_importer


def _both(*paths: str) -> tuple[str, ...]:
    return (*paths, *(path.replace("$.usage", "$.x_groq.usage") for path in paths))


IMPORTER = response_importer(
    openai_shaped(
        "groq_response",
        "groq",
        counts={name: _both(*paths) for name, paths in COUNTS.items()},
        seconds={
            "queue": _both("$.usage.queue_time"),
            "prefill": _both("$.usage.prompt_time"),
            "total": _both("$.usage.total_time"),
        },
        first_token_after=("queue", "prefill"),
        finished_after=("queue", "total"),
        tags={"provider_request_id": ("$.x_groq.id",)},
        tiers={"on_demand": "default", "auto": "default"},
        signature=(
            frozenset({"x_groq"}),
            frozenset({"usage.queue_time"}),
            frozenset({"custom_id", "response.body.x_groq"}),
        ),
        rank=51,
    )
)
