"""Runware's results of tasks (text, images, video, audio), with the charge that they tell (`includeCost`).

A result names neither its model nor a time: let the caller write `model` and `started_at` beside it. What it charged is
the bill, as Runware publishes no price a token that its models share. The prompt includes what was read from a cache.
Source: runware SDK 0.5.24, `runware/types.py` (IText, ITextInferenceUsage, IImage).
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.with_columns(
        provider=pl.lit("runware"), is_cost_billed=pl.col("provider_reported_cost_usd").is_not_null()
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="runware_task",
        texts={
            "request_id": ("imageUUID", "videoUUID", "audioUUID", "taskUUID"),
            "logical_request_id": ("taskUUID",),
            "served_model": ("model",),
            "operation_name": ("taskType",),
            "state": ("status",),
        },
        instants={"started": ("started_at",), "ended": ("finished_at",)},
        usage=(UsagePlaces(place="usage", is_mixed=True),),
        counts={
            "prompt_tokens": ("usage$.promptTokens",),
            "completion_tokens": ("usage$.completionTokens",),
            "total_tokens": ("usage$.totalTokens",),
            "cached_tokens": ("usage$.costBreakdown.tokens.cache.billableTokens",),
            "reasoning_tokens": ("usage$.thinkingTokens", "usage$.completionTokensDetails.reasoningTokens"),
        },
        cost=("cost", "usage$.costBreakdown.total"),
        amend=_amend,
        signature=(frozenset({"taskUUID", "taskType"}),),
        rank=17,
        formats=("jsonl", "parquet"),
    )
)
