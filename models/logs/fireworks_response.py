"""Fireworks' response objects: OpenAI's shape, with durations in `perf_metrics` where a caller asked for them.

Source: fireworks-ai SDK 1.2.30; the durations are in seconds, as clients of the API read them.
"""

from models.logs.openai_shape import openai_shaped
from models.logs.responses import response_importer

IMPORTER = response_importer(
    openai_shaped(
        "fireworks_response",
        "fireworks",
        seconds={
            "queue": ('$.perf_metrics."prefill-queue-duration"',),
            "first": ('$.perf_metrics."server-time-to-first-token"',),
            "total": ('$.perf_metrics."server-processing-time"',),
        },
        first_token_after=("first",),
        finished_after=("total",),
        tags={"deployment": ('$.perf_metrics."deployment"',)},
        signature=(
            frozenset({"model=accounts/fireworks", "usage"}),
            frozenset({"perf_metrics", "usage"}),
        ),
        rank=54,
    )
)
