"""Snowflake's `CORTEX_AI_FUNCTIONS_USAGE_HISTORY`, and the older `CORTEX_AISQL_USAGE_HISTORY`: AI functions in SQL.

A row is what one query's calls of a function with a model used in an hour: `METRICS` lists counts by a key of metric
and unit (`input`, `output`; tokens, or pages of AI_PARSE_DOCUMENT), and `CREDITS` what Snowflake bills, which
`usd_per_credit` of contracts.yml turns into money. The row begins with its hour; a function without a model is named
in its place. The older view counts tokens as one number (`TOKENS`), which no side is known of. Names are found in any
case. Source: docs.snowflake.com/sql-reference/account-usage/cortex_ai_functions_usage_history, read 2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog
from models.logs.call_logs import call_log_importer
from models.logs.cortex_credits import METER_NAME, with_credits
from models.records import tried

_LISTED = tried(
    "metrics",
    """from_json({}, '[{{"key": {{"metric": "VARCHAR", "unit": "VARCHAR"}}, "value": "VARCHAR"}}]')""",
)


def _counted(metric: str, unit: str) -> str:
    said = f'lower(e."key"."metric") = \'{metric}\' AND lower(e."key"."unit") LIKE \'{unit}%\''
    return f'list_filter({_LISTED}, lambda e: {said})[1]."value"'


_PARTS = (
    "[json_object('id', concat_ws(':', query_id, function_name, model_name, coalesce(start_time, usage_time)), "
    f"'input', {_counted('input', 'token')}, 'output', {_counted('output', 'token')}, "
    f"""'pages', list_filter({_LISTED}, lambda e: lower(e."key"."unit") LIKE 'page%')[1]."value")]"""
)


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    return with_credits(
        frame.with_columns(
            provider=pl.lit("snowflake"),
            cache_apart=pl.lit(value=True),
        )
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="snowflake_ai_functions",
        texts={
            "request_id": ("part$.id",),
            "logical_request_id": ("QUERY_ID",),
            "served_model": ("MODEL_NAME", "FUNCTION_NAME"),
            "route": ("FUNCTION_NAME",),
            "operation_name": ("FUNCTION_NAME",),
            "user_id": ("USER_NAME", "USER_ID"),
        },
        instants={"started": ("START_TIME", "USAGE_TIME")},
        counts={"input_tokens": ("part$.input",), "output_tokens": ("part$.output",)},
        metadata="QUERY_TAG",
        meters={METER_NAME: ("CREDITS", "TOKEN_CREDITS")},
        tags={"credits": ("CREDITS", "TOKEN_CREDITS"), "pages": ("part$.pages",), "tokens": ("TOKENS",)},
        parts=_PARTS,
        own_columns=("METRICS",),
        amend=_amend,
        signature=(
            frozenset({"FUNCTION_NAME", "QUERY_ID", "METRICS"}),
            frozenset({"function_name", "query_id", "metrics"}),
            frozenset({"FUNCTION_NAME", "QUERY_ID", "TOKEN_CREDITS"}),
            frozenset({"function_name", "query_id", "token_credits"}),
        ),
        rank=18,
        ignores_case=True,
    )
)
