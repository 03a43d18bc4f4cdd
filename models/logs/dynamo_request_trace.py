"""Dynamo's request trace (`DYN_REQUEST_TRACE`): one line a request that its frontend ended, without what was said.

The input includes what was read from a cache. The decode worker that the router chose is the replica, the prefill
worker a tag; a compact line tells the input by `replay` alone. Events of tools are no calls.
Source: ai-dynamo/dynamo, request replay tracing (schema `dynamo.request.trace.v1`), read 2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.with_columns(
        provider=pl.coalesce("provider", pl.lit("self_hosted")),
        is_ignored=(pl.col("event") != "request_end").fill_null(value=False),
        is_error=(pl.col("finish") == "error").fill_null(value=False),
        is_cancelled=pl.col("finish").is_in(["cancelled", "canceled"]).fill_null(value=False),
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="dynamo_request_trace",
        texts={
            "event": ("event_type",),
            "request_id": ("request$.request_id",),
            "logical_request_id": ("request$.x_request_id",),
            "provider": ("provider",),
            "served_model": ("request$.model",),
            "replica_id": ("request$.worker.decode_worker_id",),
            "session_id": ("agent_context$.session_id",),
            "finish": ("request$.finish_reason_metadata.finish_reason",),
        },
        instants={"started": ("request$.request_received_ms",), "ended": ("event_time_unix_ms",)},
        durations={
            "latency": ("request$.total_time_ms",),
            "first_token_after": ("request$.ttft_ms",),
            "queue": ("request$.prefill_wait_time_ms",),
        },
        usage=(UsagePlaces(place="request", is_mixed=True),),
        counts={
            "input_tokens": ("request$.input_tokens", "request$.replay.input_length"),
            "output_tokens": ("request$.output_tokens",),
            "cached_tokens": ("request$.cached_tokens",),
        },
        tags={"prefill_replica": ("request$.worker.prefill_worker_id",)},
        amend=_amend,
        signature=(
            frozenset({"schema=dynamo.request.trace", "event_type"}),
            frozenset({"event_type", "request.request_id", "request.output_tokens"}),
        ),
        rank=17,
        formats=("jsonl",),
    )
)
