"""LangSmith's runs: bulk export (Parquet), `list_runs` of its SDK and query API.

Runs of the type `llm` and `embedding` are calls; a chain's, an agent's or a graph's repeats the tokens of the calls
beneath it. LangChain's counts: the input includes what was read from and written to a cache, the output reasoning.
Costs are LangSmith's own or the caller's. The project is `session_id`, which is no conversation: that is `thread_id`
of the metadata.
Source: docs.langchain.com/langsmith (run data format, bulk export), langsmith SDK 0.15.1 (its own runs), read
2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer

_CALLS = ("llm", "embedding", "embeddings")
_META = "extra$.metadata"


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_call = pl.col("span_kind").str.to_lowercase().is_in(_CALLS).fill_null(value=False)
    has_counts = pl.col("prompt").is_not_null() | pl.col("completion").is_not_null()
    return frame.with_columns(
        cache_apart=pl.lit(value=False),
        is_sum=~is_call & has_counts & pl.col("trace_id").is_not_null(),
        is_ignored=~is_call & ~(has_counts & pl.col("trace_id").is_not_null()),
        is_error=(pl.col("is_error") | pl.col("error_text").is_not_null()),
        error_class=pl.when(pl.col("error_text").is_not_null()).then(pl.lit("error")),
        operation_name=pl.when(is_call).then("span_kind"),
        provider=pl.col("provider").replace({"amazon_bedrock": "aws.bedrock", "azure": "azure.ai.openai"}),
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="langsmith_run",
        texts={
            "request_id": ("id",),
            "response_id": (
                "outputs$.generations[0][0].message.kwargs.response_metadata.id",
                "outputs$.llm_output.id",
                "outputs$.id",
            ),
            "logical_request_id": ("trace_id",),
            "trace_id": ("trace_id",),
            "span_id": ("id",),
            "parent_id": ("parent_run_id",),
            "span_kind": ("run_type",),
            "provider": (f"{_META}.ls_provider", "metadata$.ls_provider"),
            "requested_model": (
                f"{_META}.ls_model_name", "metadata$.ls_model_name", "extra$.invocation_params.model",
                "extra$.invocation_params.model_name", "ls_model_name",
            ),
            "served_model": (
                "outputs$.llm_output.model_name",
                "outputs$.generations[0][0].message.kwargs.response_metadata.model_name",
                "outputs$.model",
                f"{_META}.ls_model_name", "metadata$.ls_model_name",
                "extra$.invocation_params.model",
            ),
            "tier": (
                "outputs$.generations[0][0].message.kwargs.response_metadata.service_tier",
                "outputs$.service_tier",
            ),
            "team": ("session_name", "project_name", "session_id"),
            "session_id": (f"{_META}.thread_id", f"{_META}.session_id", f"{_META}.conversation_id", "thread_id"),
            "state": ("status",),
            "error_text": ("error",),
        },
        instants={
            "started": ("start_time",),
            "ended": ("end_time",),
            "first_token": ("first_token_time",),
        },
        usage=(
            UsagePlaces(place="outputs$.usage_metadata"),
            UsagePlaces(place="outputs$.generations[0][0].message.kwargs.usage_metadata"),
            UsagePlaces(place="usage_metadata"),
            UsagePlaces(place="outputs$.usage"),
            UsagePlaces(place="outputs$.llm_output.token_usage"),
            UsagePlaces(place=f"{_META}.usage_metadata"),
            UsagePlaces(place="prompt_token_details", side="input"),
            UsagePlaces(place="completion_token_details", side="output"),
        ),
        counts={
            "input_tokens": ("prompt_tokens",),
            "output_tokens": ("completion_tokens",),
            "total_tokens": ("total_tokens",),
        },
        answers=("outputs",),
        cost=("total_cost",),
        metadata=_META,
        tag_list="tags",
        tags={"name": ("name",)},
        amend=_amend,
        signature=(
            frozenset({"run_type", "trace_id", "start_time"}),
            frozenset({"run_type", "dotted_order"}),
        ),
        rank=14,
    )
)  # fmt: skip
