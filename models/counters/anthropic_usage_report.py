"""Anthropic's usage report: `/v1/organizations/usage_report/messages`. It counts tokens, and no calls.

Its three input numbers are disjoint. Source: Anthropic's API reference and Python SDK 2.12.0, checked 2026-11-20,
https://docs.anthropic.com/en/api/admin-api/usage-cost/get-messages-usage-report.
"""

import polars as pl

from models.counters.buckets import INPUT_PARTS, UsageApi, usage_api


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.with_columns(
        counter=pl.lit("messages"),
        input_tokens=pl.sum_horizontal(*INPUT_PARTS, ignore_nulls=False),
        service_tier=pl.col("service_tier").replace("standard", "default"),
    )


IMPORTER = usage_api(
    UsageApi(
        kind="anthropic_usage_report",
        provider="anthropic",
        start="starting_at",
        end="ending_at",
        fields={
            "model": "model",
            "service_tier": "service_tier",
            "project": "workspace_id",
            "user_id": "account_id",
            "api_key_id": "api_key_id",
            "input_uncached_tokens": "uncached_input_tokens",
            "cache_read_tokens": "cache_read_input_tokens",
            "cache_write_5m_tokens": "cache_creation.ephemeral_5m_input_tokens",
            "cache_write_1h_tokens": "cache_creation.ephemeral_1h_input_tokens",
            "output_tokens": "output_tokens",
            # Of the analytics API's reports alone.
            "request_count": "requests",
            "context_window": "context_window",
            "inference_geo": "inference_geo",
            "speed": "speed",
            "service_account": "service_account_id",
        },
        further=("context_window", "inference_geo", "speed", "service_account"),
        signature=(
            frozenset({"data[0].starting_at", "data[0].results[0].uncached_input_tokens"}),
            frozenset({"starting_at", "ending_at", "results[0].uncached_input_tokens"}),
        ),
        amend=_amend,
    )
)
