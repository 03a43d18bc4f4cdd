"""Responses of a Dynamo frontend: OpenAI's shape, with the workers that the router chose and times in `nvext`.

The decode worker is the replica; the prefill worker of a pool of its own is a tag.
Source: ai-dynamo/dynamo, NVIDIA extensions of responses (`worker_id`, `timing`), read 2026-11-29.
"""

import polars as pl

from models.logs.openai_shape import openai_shaped
from models.logs.responses import response_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.with_columns(beside_replica_id=pl.coalesce("decode_worker", "beside_replica_id"))


IMPORTER = response_importer(
    openai_shaped(
        "dynamo_response",
        "self_hosted",
        fields={"decode_worker": ("$.nvext.worker_id.decode_worker_id",)},
        seconds={
            "queue": ("$.nvext.timing.prefill_wait_time_ms",),
            "first": ("$.nvext.timing.ttft_ms",),
            "total": ("$.nvext.timing.total_time_ms",),
        },
        seconds_scale=1000,
        first_token_after=("first",),
        finished_after=("total",),
        tags={"prefill_replica": ("$.nvext.worker_id.prefill_worker_id",)},
        amend=_amend,
        signature=(
            frozenset({"object=chat.completion", "nvext"}),
            frozenset({"object=text_completion", "nvext"}),
        ),
        rank=52,
    )
)
