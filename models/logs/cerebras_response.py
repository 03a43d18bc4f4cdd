"""Cerebras' response objects: OpenAI's shape with durations in `time_info`, beside `usage`.

`time_info.total_time` is the whole request on their side; `time_info.created` tells the start to the fraction.
Source: cerebras-cloud-sdk 1.91.0.
"""

from models.logs.openai_shape import COUNTS, FIELDS, openai_shaped
from models.logs.responses import response_importer

IMPORTER = response_importer(
    openai_shaped(
        "cerebras_response",
        "cerebras",
        fields={"created": ("$.time_info.created", *FIELDS["created"])},
        counts={"image_input": (*COUNTS["image_input"], "$.usage.image_tokens")},
        seconds={
            "queue": ("$.time_info.queue_time",),
            "prefill": ("$.time_info.prompt_time",),
            "total": ("$.time_info.total_time",),
        },
        first_token_after=("queue", "prefill"),
        finished_after=("total",),
        meters={
            "accepted_prediction": ("$.usage.completion_tokens_details.accepted_prediction_tokens",),
            "rejected_prediction": ("$.usage.completion_tokens_details.rejected_prediction_tokens",),
        },
        tiers={"auto": "default"},
        signature=(frozenset({"time_info", "usage"}),),
        rank=50,
    )
)
