"""LiteLLM proxy rows (`LiteLLM_SpendLogs`): the PostgreSQL table, its API, and exports of it.

`metadata` is an object or, in exports, its JSON text. Source: litellm's proxy/schema.prisma (1.109).
"""

from models.logs.litellm_shape import FIELDS, held, litellm_canonical, litellm_select
from models.records import Importer, text

IMPORTER = Importer(
    kind="litellm_spend_logs",
    table="raw.requests",
    columns=dict.fromkeys(
        (*FIELDS, "request_id", "api_key", "spend", "user", "team_id", "organization_id"), "VARCHAR"
    ),
    select=litellm_select(
        {
            "request_id": text("request_id"),
            "call_id": f"coalesce({text('litellm_call_id')}, {held('call_id')})",
            "api_key": text("api_key"),
            "cost": "spend",
            "user_id": text('"user"'),
            "team": text("team_id"),
            "organization_id": text("organization_id"),
            "trace_id": "NULL::VARCHAR",
            "tier": held("tier"),
            "error_class": held("error_class"),
            "retries": held("retries"),
            "fallbacks": held("fallbacks"),
        },
        metadata=text("metadata"),
    ),
    canonical=litellm_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(frozenset({"call_type", "startTime", "spend"}),),
    rank=20,
)
