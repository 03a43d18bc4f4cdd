"""Snowflake's `CORTEX_REST_API_USAGE_HISTORY`: one row a call of Cortex' REST API that did not fail.

`TOKENS_GRANULAR` counts four classes beside each other (`input`, `cache_read_input`, `cache_write_input`, `output`),
whose sum is `TOKENS`; reasoning is inside the output. START_TIME is the start of the hour in which the call ran.
Names are found in any case.
Source: docs.snowflake.com/sql-reference/account-usage/cortex_rest_api_usage_history, read 2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.with_columns(
        provider=pl.coalesce("provider", pl.lit("snowflake")),
        cache_apart=pl.lit(value=True),
        # The end is that of the hour, not of the call.
        ended=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="snowflake_cortex",
        texts={
            "request_id": ("REQUEST_ID",),
            "provider": ("provider",),
            "served_model": ("MODEL_NAME",),
            "user_id": ("USER_NAME", "USER_ID"),
            "region": ("INFERENCE_REGION",),
        },
        instants={"started": ("START_TIME",)},
        usage=(UsagePlaces(place="TOKENS_GRANULAR"),),
        counts={"total_tokens": ("TOKENS",)},
        metadata="QUERY_TAG",
        amend=_amend,
        signature=(
            frozenset({"TOKENS_GRANULAR", "REQUEST_ID", "MODEL_NAME"}),
            frozenset({"tokens_granular", "request_id", "model_name"}),
        ),
        rank=18,
        ignores_case=True,
    )
)
