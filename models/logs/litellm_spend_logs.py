"""LiteLLM proxy rows (`LiteLLM_SpendLogs`): the PostgreSQL table, its API, and exports of it.

`metadata` is an object or, in exports, its JSON text. Source: litellm's proxy/schema.prisma (1.109).
"""

from models.logs.litellm_fields import FIELDS, METADATA, litellm_select
from models.logs.litellm_shape import litellm_canonical
from models.records import Importer, text

_OWN = ("request_id", "api_key", "spend", "user", "team_id", "organization_id")

IMPORTER = Importer(
    kind="litellm_spend_logs",
    table="raw.requests",
    columns=dict.fromkeys((*FIELDS, *_OWN), "VARCHAR"),
    select=litellm_select(
        {
            "request_id": text("request_id"),
            "call_id": f"coalesce({text('litellm_call_id')}, held.{METADATA['call_id']})",
            "api_key": text("api_key"),
            "cost": "spend",
            "user_id": text('"user"'),
            "team": text("team_id"),
            "organization_id": text("organization_id"),
            "trace_id": "NULL::VARCHAR",
            "tier": f"held.{METADATA['tier']}",
            "error_class": f"held.{METADATA['error_class']}",
            "retries": f"held.{METADATA['retries']}",
            "fallbacks": f"held.{METADATA['fallbacks']}",
        },
        metadata=text("metadata"),
    ),
    canonical=litellm_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(frozenset({"call_type", "startTime", "spend"}),),
    rank=20,
)
