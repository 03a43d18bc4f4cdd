"""LiteLLM's StandardLoggingPayload, as its S3, GCS and callback loggers write it: one JSON object a call.

Times are Unix seconds. A payload from before `metadata.usage_object` holds the usage in its `response`, which is
read for that alone. Source: litellm's types/utils.py (1.109).
"""

from models.logs.litellm_fields import FIELDS, held, litellm_select
from models.logs.litellm_shape import litellm_canonical
from models.records import Importer, text

_OWN = ("id", "trace_id", "response_cost", "cost_breakdown", "error_information", "hidden_params", "response")
_HEADER = '$.additional_headers."x-litellm-attempted-{}"'
_HAS_USAGE = "TRY(json_exists(metadata, '$.usage_object.prompt_tokens'))"
_WITH_USAGE = (
    "CASE WHEN TRY(json_type(response)) = 'OBJECT' AND json_valid(coalesce(metadata, '{}')) THEN "
    "json_merge_patch(coalesce(metadata, '{}')::JSON, "
    "json_object('usage_object', json_extract(response, '$.usage')))::VARCHAR END"
)


def _in(column: str, path: str) -> str:
    return f"TRY(json_extract_string({column}, '{path}'))"


IMPORTER = Importer(
    kind="litellm_standard_payload",
    table="raw.requests",
    columns=dict.fromkeys((*FIELDS, *_OWN), "VARCHAR"),
    select=litellm_select(
        {
            "request_id": text("id"),
            "call_id": text("litellm_call_id"),
            "api_key": text(held("key_hash")),
            "cost": "response_cost",
            "user_id": text(held("user_id")),
            "team": text(held("team_id")),
            "organization_id": text(held("org_id")),
            "trace_id": text("trace_id"),
            "tier": _in("cost_breakdown", "$.service_tier"),
            "tool_cost": f"coalesce({_in('cost_breakdown', '$.tool_usage_cost')}, {held('tool_cost')})",
            "error_class": f"coalesce({_in('error_information', '$.error_class')}, {held('error_class')})",
            "retries": _in("hidden_params", _HEADER.format("retries")),
            "fallbacks": _in("hidden_params", _HEADER.format("fallbacks")),
        },
        metadata=f"CASE WHEN {_HAS_USAGE} THEN metadata ELSE coalesce({_WITH_USAGE}, {text('metadata')}) END",
    ),
    canonical=litellm_canonical,
    formats=("jsonl",),
    signature=(frozenset({"call_type", "startTime", "response_cost"}),),
    rank=21,
)
