"""Groq's response objects: OpenAI's shape with durations inside `usage` (in `x_groq.usage` of a stream).

`total_time` is prompt plus completion time, without `queue_time`. A compound system breaks its usage down by model
(`usage_breakdown`): each model is a call with its own price, the first under the answer's id, further ones with `#2`
and so on.
Source: groq Python SDK 1.7.0, console.groq.com/docs/compound.
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
        breakdown="$.usage_breakdown.models",
        tags={"provider_request_id": ("$.x_groq.id",)},
        tiers={"on_demand": "default", "auto": "default"},
        signature=(
            frozenset({"x_groq"}),
            frozenset({"usage.queue_time"}),
            frozenset({"usage_breakdown.models"}),
            frozenset({"custom_id", "response.body.x_groq"}),
        ),
        rank=51,
    )
)
