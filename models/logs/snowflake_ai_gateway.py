"""Snowflake's `AI_GATEWAY_USAGE_HISTORY`: one row a request through the Cortex AI gateway.

`OPERATION_DETAILS` counts tokens by model; each model is a call. Snowflake bills credits, which a contract turns into
money (`usd_per_credit` of contracts.yml): they are a meter, and kept as tag.
The view's documentation lists no time; START_TIME is read, and USAGE_TIME or END_TIME in its place. Names are in
upper case, as Snowflake writes them; in CSV and Parquet any case is found.
Source: docs.snowflake.com/sql-reference/account-usage/ai_gateway_usage_history, read 2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer
from models.logs.cortex_credits import METER_NAME, with_credits
from models.records import tried

_MODELS = tried("operation_details", """map_entries(from_json({}, '"MAP(VARCHAR, JSON)"'))""")
_CREDITS = tried("credits_granular", """from_json({}, '"MAP(VARCHAR, VARCHAR)"')""")
_PARTS = (
    f"list_transform(list_filter({_MODELS}, lambda e: json_type(e.\"value\") = 'OBJECT'), "
    f"""lambda e: json_object('model', e."key", 'usage', e."value", 'credits', coalesce({_CREDITS}[e."key"], """
    f"CASE WHEN len({_MODELS}) = 1 THEN credits END)))"
)


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    # Snowflake's views count the cache beside the input.
    return with_credits(
        frame.with_columns(
            provider=pl.coalesce("provider", pl.lit("snowflake")), cache_apart=pl.lit(value=True)
        )
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="snowflake_ai_gateway",
        texts={
            "request_id": ("REQUEST_ID",),
            "provider": ("provider",),
            "served_model": ("part$.model",),
            "route": ("GATEWAY_NAME", "GATEWAY_ID"),
            "user_id": ("USER_NAME", "USER_ID"),
            "operation_name": ("SERVICE_TYPE",),
            "region": ("INFERENCE_REGION",),
        },
        instants={"started": ("START_TIME", "USAGE_TIME"), "ended": ("END_TIME",)},
        usage=(UsagePlaces(place="part$.usage"),),
        metadata="METADATA",
        tags={"credits": ("part$.credits",)},
        meters={METER_NAME: ("part$.credits",)},
        parts=_PARTS,
        own_columns=("OPERATION_DETAILS", "CREDITS_GRANULAR", "CREDITS"),
        amend=_amend,
        signature=(
            frozenset({"OPERATION_DETAILS", "CREDITS"}),
            frozenset({"operation_details", "credits"}),
        ),
        rank=18,
        ignores_case=True,
    )
)  # fmt: skip
