"""LiteLLM's StandardLoggingPayload, as its S3, GCS and callback loggers write it: one JSON object a call.

Times are Unix seconds. A payload from before `metadata.usage_object` holds the usage in its `response`, which is
read for that alone. Source: litellm's types/utils.py (1.109).
"""

from models.logs.litellm_shape import FIELDS, held, litellm_canonical, litellm_select
from models.records import Importer, text

_OWN = ("id", "trace_id", "response_cost", "cost_breakdown", "error_information", "hidden_params", "response")
_METADATA = text("metadata")
_HEADER = '$.additional_headers."x-litellm-{}"'


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
            "api_key": text(_in(_METADATA, "$.user_api_key_hash")),
            "cost": "response_cost",
            "user_id": text(_in(_METADATA, "$.user_api_key_user_id")),
            "team": text(_in(_METADATA, "$.user_api_key_team_id")),
            "organization_id": text(_in(_METADATA, "$.user_api_key_org_id")),
            "trace_id": text("trace_id"),
            "tier": _in("cost_breakdown", "$.service_tier"),
            "retries": _in("hidden_params", _HEADER.format("attempted-retries")),
            "fallbacks": _in("hidden_params", _HEADER.format("attempted-fallbacks")),
            "error_class": f"coalesce({_in('error_information', '$.error_class')}, {held('error_class')})",
        },
        metadata=f"""CASE WHEN TRY(json_exists({_METADATA}, '$.usage_object.prompt_tokens')) THEN {_METADATA}
          ELSE TRY(json_merge_patch({_METADATA}::JSON,
                   json_object('usage_object', json_extract(response, '$.usage'))))::VARCHAR END""",
    ),
    canonical=litellm_canonical,
    formats=("jsonl",),
    signature=(frozenset({"call_type", "startTime", "response_cost"}),),
    rank=21,
)
