"""LiteLLM proxy rows (`LiteLLM_SpendLogs`): the PostgreSQL table, its API, and exports of it.

`metadata` is an object or, in exports, its JSON text. Source: litellm's proxy/schema.prisma (1.109).
"""

from models.logs.litellm_fields import FIELDS, METADATA_TYPE, held, litellm_select
from models.logs.litellm_shape import litellm_canonical
from models.records import Importer, Reading, text

_OWN = ("request_id", "api_key", "spend", "user", "team_id", "organization_id")

_COLUMNS = dict.fromkeys((*FIELDS, *_OWN), "VARCHAR")
_FIELDS = {
    "request_id": text("request_id"),
    "call_id": f"coalesce({text('litellm_call_id')}, {held('call_id')})",
    "api_key": text("api_key"),
    "cost": "spend",
    # What a column lacks the metadata has: that of the key.
    "user_id": f"""coalesce({text('"user"')}, {text(held("user_id"))})""",
    "team": f"coalesce({text('team_id')}, {text(held('team_id'))})",
    "organization_id": f"coalesce({text('organization_id')}, {text(held('org_id'))})",
    "trace_id": "NULL::VARCHAR",
    "tier": held("tier"),
    "tool_cost": held("tool_cost"),
    "error_class": held("error_class"),
    "retries": held("retries"),
    "fallbacks": held("fallbacks"),
}

IMPORTER = Importer(
    kind="litellm_spend_logs",
    table="raw.requests",
    columns=_COLUMNS,
    select=litellm_select(_FIELDS, metadata=text("metadata")),
    fast=Reading(columns=_COLUMNS | {"metadata": METADATA_TYPE}, select=litellm_select(_FIELDS)),
    canonical=litellm_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(frozenset({"call_type", "startTime", "spend"}),),
    rank=20,
)
