"""OpenAI's usage API: `/v1/organization/usage/{completions,embeddings,moderations,...}`.

`input_tokens` includes cached and written tokens of every modality; older answers lack the uncached and written ones,
and nothing was charged for writing then. `output_tokens` includes reasoning. Results that count neither calls nor
tokens (images, characters, sessions, costs) are passed over. Source: openai/openai-openapi 2.3.0, checked 2026-08-21,
https://github.com/openai/openai-openapi.
"""

import polars as pl

from models.counters.buckets import UsageApi, usage_api

_WITHOUT_OUTPUT = ("embeddings", "moderations")


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    counter = pl.col("counter").str.extract(r"^organization\.usage\.(\w+)\.result$")
    is_plain = counter.is_in(_WITHOUT_OUTPUT).fill_null(value=False)
    rest = pl.col("input_tokens") - pl.col("cache_read_tokens") - pl.col("cache_write_5m_tokens").fill_null(0)
    read = pl.col("cache_read_tokens")
    return frame.with_columns(
        counter=pl.coalesce(counter, "counter", pl.lit("completions")),
        stated_tier=pl.when(pl.col("batch") == "true").then("stated_tier"),
        service_tier=pl.when(pl.col("batch") == "true").then(pl.lit("batch")).otherwise("service_tier"),
        cache_write_5m_tokens=pl.when(read.is_not_null()).then(pl.col("cache_write_5m_tokens").fill_null(0)),
        cache_write_1h_tokens=pl.when(read.is_not_null()).then(pl.lit(0, dtype=pl.Int64)),
        input_uncached_tokens=pl.coalesce(
            "input_uncached_tokens", rest, pl.when(is_plain).then("input_tokens")
        ),
        output_tokens=pl.coalesce(
            "output_tokens", pl.when(is_plain & pl.col("input_tokens").is_not_null()).then(0)
        ),
    )


IMPORTER = usage_api(
    UsageApi(
        kind="openai_usage_api",
        provider="openai",
        start="start_time",
        end="end_time",
        fields={
            "counter": "object",
            "model": "model",
            "service_tier": "service_tier",
            "batch": "batch",
            "stated_tier": "service_tier",
            "project": "project_id",
            "user_id": "user_id",
            "api_key_id": "api_key_id",
            "request_count": "num_model_requests",
            "input_tokens": "input_tokens",
            "input_uncached_tokens": "input_uncached_tokens",
            "cache_read_tokens": "input_cached_tokens",
            "cache_write_5m_tokens": "input_cache_write_tokens",
            "output_tokens": "output_tokens",
        },
        # Batches of several tiers are one tier of ours.
        further=("stated_tier",),
        signature=(
            frozenset({"object=page", "data[0].object=bucket"}),
            frozenset({"object=bucket", "start_time", "results"}),
        ),
        amend=_amend,
    )
)
