"""SGLang's request metrics (`--export-metrics-to-file-dir`) and its JSON request log (`request.finished` lines).

`prompt_tokens` includes cached tokens and media, `completion_tokens` reasoning. Times need `--enable-metrics`. A line
names no model: `served_model`, `route` or `replica_id` may stand beside. Lines of received requests are ignored.
Source: sglang 0.5.23, request metrics exporter.
"""

import polars as pl

from models.logs.response_format import ResponseFormat
from models.logs.responses import response_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    # Where only the end is told, the start lies before it by the whole latency.
    latency = pl.duration(microseconds=(pl.col("seconds_total") * 1e6).round(0).cast(pl.Int64, strict=False))
    return frame.with_columns(
        created=pl.when("has_created").then("created").otherwise(pl.col("ended") - latency),
        is_cancelled=(pl.col("finish") == "abort").fill_null(value=False),
        is_ignored=(pl.col("event") == "request.received").fill_null(value=False),
    )


IMPORTER = response_importer(
    ResponseFormat(
        kind="sglang_request_metrics",
        provider="self_hosted",
        fields={
            "response_id": ("$.id", "$.rid"),
            "created": ("$.request_received_ts",),
            "ended": ("$.request_finished_ts",),
            "finish": ("$.finish_reason.type",),
            "event": ("$.event",),
        },
        counts={
            "prompt": ("$.prompt_tokens",),
            "completion": ("$.completion_tokens",),
            "cache_read": ("$.cached_tokens",),
            "reasoning": ("$.reasoning_tokens",),
            "image_input": ("$.image_tokens",),
            "audio_input": ("$.audio_tokens",),
            "video_input": ("$.video_tokens",),
        },
        own_counts=("$", r"_tokens$"),
        seconds={
            "total": ("$.e2e_latency",),
            "first": ("$.first_token_latency",),
            "queue": ("$.queue_time",),
        },
        first_token_after=("first",),
        finished_after=("total",),
        tags={"model_version": ("$.weight_version",)},
        nested={"out": "$.meta_info"},
        beside=("event", "rid"),
        amend=_amend,
        signature=(
            frozenset({"request_parameters", "prompt_tokens", "completion_tokens"}),
            frozenset({"event=request.", "rid"}),
        ),
        rank=20,
    )
)
