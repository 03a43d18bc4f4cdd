"""The fields that LiteLLM's rows and payloads share, and the SELECT that reads them.

Source: litellm's proxy/schema.prisma, proxy/spend_tracking and types/utils.py (1.109).
"""

from collections.abc import Mapping
from itertools import chain

from models.json_fields import json_field, json_struct, json_type
from models.logs.dimensions import given_tags
from models.records import hashed, instant, money, text

_PROMPT = "usage_object.prompt_tokens_details"
_COMPLETION = "usage_object.completion_tokens_details"
_RESPONSES_IN = "usage_object.input_tokens_details"
_RESPONSES_OUT = "usage_object.output_tokens_details"
_MORE = "additional_usage_values"
_SPLIT = (f"{_PROMPT}.cache_creation_token_details", "usage_object.cache_creation")
FIELDS = (
    "call_type",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "startTime",
    "endTime",
    "completionStartTime",
    "model",
    "model_group",
    "model_id",
    "custom_llm_provider",
    "api_base",
    "end_user",
    "request_tags",
    "session_id",
    "litellm_call_id",
    "cache_hit",
    "status",
    "metadata",
)
"""Top-level fields of both."""
METADATA: dict[str, tuple[str, ...]] = {
    "usage_prompt": ("usage_object.prompt_tokens",),
    "cache_read": (
        f"{_PROMPT}.cached_tokens",
        "usage_object.cache_read_input_tokens",
        "usage_object.prompt_cache_hit_tokens",
        "usage_object.cached_tokens",
        "usage_object.num_cached_tokens",
        "usage_object.cache_read_tokens",
        f"{_PROMPT}.cache_read_tokens",
        f"{_PROMPT}.cache_read_input_tokens",
        f"{_RESPONSES_IN}.cached_tokens",
        f"{_MORE}.prompt_tokens_details.cached_tokens",
        f"{_MORE}.cache_read_input_tokens",
        f"{_MORE}.prompt_cache_hit_tokens",
    ),
    "created": (
        f"{_PROMPT}.cache_creation_tokens",
        f"{_PROMPT}.cache_write_tokens",
        "usage_object.cache_creation_input_tokens",
        "usage_object.cache_write_input_tokens",
        f"{_RESPONSES_IN}.cache_write_tokens",
        f"{_MORE}.cache_creation_input_tokens",
    ),
    "cache_write_5m": tuple(f"{place}.ephemeral_5m_input_tokens" for place in _SPLIT),
    "cache_write_1h": tuple(f"{place}.ephemeral_1h_input_tokens" for place in _SPLIT),
    "audio_input": (f"{_PROMPT}.audio_tokens", f"{_RESPONSES_IN}.audio_tokens"),
    "image_input": (f"{_PROMPT}.image_tokens", f"{_RESPONSES_IN}.image_tokens"),
    "video_input": (f"{_PROMPT}.video_tokens",),
    "reasoning": (
        f"{_COMPLETION}.reasoning_tokens",
        f"{_RESPONSES_OUT}.reasoning_tokens",
        "usage_object.reasoning_tokens",
    ),
    "citations": ("usage_object.citation_tokens", f"{_PROMPT}.citation_tokens"),
    "audio_output": (f"{_COMPLETION}.audio_tokens", f"{_RESPONSES_OUT}.audio_tokens"),
    "image_output": (f"{_COMPLETION}.image_tokens", f"{_RESPONSES_OUT}.image_tokens"),
    "fetches": ("usage_object.server_tool_use.web_fetch_requests",),
    "searches": (
        f"{_PROMPT}.web_search_requests",
        "usage_object.server_tool_use.web_search_requests",
        "usage_object.num_search_queries",
    ),
    "context_size": ("usage_object.search_context_size",),
    "live_sources": ("usage_object.num_sources_used",),
    "audio_seconds": ("usage_object.seconds",),
    "search_units": ("usage_object.search_units",),
    "speed": ("usage_object.speed",),
    "geo": ("usage_object.inference_geo",),
    "queue_seconds": ("usage_object.queue_time",),
    "usage_tier": ("usage_object.service_tier",),
    "original_group": ("original_model_group",),
    "spillover": ("azure_spillover.from_deployment",),
    "requested": ("router_metadata.requested_model",),
    "replica_id": ("kubernetes_pod_routing.pod_ip",),
    "meta_class": ("spend_logs_metadata.task_class",),
    "meta_tenant": (
        "spend_logs_metadata.tenant",
        "spend_logs_metadata.tenant_id",
        "spend_logs_metadata.customer",
        "spend_logs_metadata.customer_id",
    ),
    "meta_team": ("spend_logs_metadata.team",),
    "meta_feature": ("spend_logs_metadata.feature",),
    "meta_environment": ("spend_logs_metadata.environment",),
    "team_alias": ("user_api_key_team_alias",),
    "key_alias": ("user_api_key_alias",),
    "user_email": ("user_api_key_user_email",),
    "end_user_id": ("user_api_key_end_user_id",),
    "retry_of": ("spend_logs_metadata.retry_of",),
    "fallback_cause": ("spend_logs_metadata.fallback_cause",),
    "prefix_hash": ("spend_logs_metadata.prefix_hash",),
}
"""Columns and where `metadata` holds them; the first place that has a value counts."""
COUNTS = (
    "cache_read",
    "created",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "video_input",
    "reasoning",
    "audio_output",
    "image_output",
    "citations",
    "searches",
    "fetches",
    "live_sources",
    "search_units",
)
PLACES = {
    "call_id": "litellm_call_id",
    "retries": "attempted_retries",
    "fallbacks": "attempted_fallbacks",
    "tier": "cost_breakdown.service_tier",
    "tool_cost": "cost_breakdown.tool_usage_cost",
    "error_class": "error_information.error_class",
    "key_hash": "user_api_key_hash",
    "user_id": "user_api_key_user_id",
    "team_id": "user_api_key_team_id",
    "org_id": "user_api_key_org_id",
}
"""Fields of `metadata` that a row or a payload may hold elsewhere too."""
_REQUESTER = "requester_metadata"
"""What the caller's own metadata held, as LiteLLM hands it on."""
_USAGE = "usage_object"
_PATHS = (_REQUESTER, *chain.from_iterable(METADATA.values()), *PLACES.values())
_USAGE_PATHS = tuple(path.removeprefix(f"{_USAGE}.") for path in _PATHS if path.startswith(f"{_USAGE}."))
METADATA_PATHS = (_USAGE, *(path for path in _PATHS if not path.startswith(f"{_USAGE}.")))
"""Everything of `metadata` that is read; the usage object stays a text, in which fields that no rule reads are seen."""
USAGE_KNOWN = frozenset(_USAGE_PATHS)
"""Paths in the usage object that are read."""

_ODD_DETAILS = r'_tokens_details"\s*:\s*[^n{\s]'


METADATA_TYPE = json_type(METADATA_PATHS)
"""The type of `metadata` where it is an object."""


def held(name: str) -> str:
    """Return the SQL of a field of PLACES in the metadata."""
    return json_field("held", PLACES[name])


def _first(name: str) -> str:
    found = [
        json_field("used", path.removeprefix(f"{_USAGE}."))
        if path.startswith(f"{_USAGE}.")
        else json_field("held", path)
        for path in METADATA[name]
    ]
    # A count that is 0 in one place may stand in another.
    above = [f"nullif({field}, '0')" for field in found] if name in COUNTS and len(found) > 1 else []
    return f"coalesce({', '.join([*above, *found])}, NULL)"


def litellm_select(columns: Mapping[str, str], *, metadata: str | None = None) -> str:
    """Return the SELECT over `records`; counts stay texts.

    Args:
        columns: SQL of the columns whose place differs between rows and payloads: `request_id, call_id, api_key,
            cost, user_id, team, organization_id, trace_id, tier, tool_cost, error_class, retries,
            fallbacks`; `held(...)` are
            fields of the metadata.
        metadata: SQL of the metadata as JSON text; without it the field `metadata` is of METADATA_TYPE.
    """
    own = {name: sql for name, sql in columns.items() if name not in ("api_key", "cost")}
    every = ", ".join(f'"{name}"' for name in FIELDS)
    details = ", ".join(_first(name) for name in COUNTS)
    if metadata is None:
        records, is_no_object = "SELECT *, metadata AS held FROM records", "false"
    else:
        objects = f"SELECT *, {metadata} AS object FROM records"
        records = f"SELECT *, {json_struct('object', METADATA_PATHS)} AS held FROM ({objects})"
        is_no_object = "object IS NOT NULL AND held IS NULL"
    records = f"SELECT *, {json_struct('held.usage_object', _USAGE_PATHS)} AS used FROM ({records})"
    # What reads as no usage at all may be usage of another type: that is looked for where it would be lost.
    is_odd = f"""CASE WHEN {is_no_object} THEN true
        WHEN held.usage_object <> '' AND held.usage_object[1] <> '{{' THEN true
        WHEN coalesce({details}) IS NULL THEN regexp_matches(held.usage_object, '{_ODD_DETAILS}') END"""
    return f"""
SELECT line_number, 1::INTEGER AS record_number,
       {", ".join(f"{sql} AS {name}" for name, sql in own.items())},
       {hashed(columns["api_key"])} AS api_key_id,
       {money(columns["cost"])} AS provider_reported_cost_usd,
       {instant('"startTime"')} AS started_at, {instant('"endTime"')} AS finished_at,
       {instant('"completionStartTime"')} AS first_at,
       {text('"startTime"')} IS NOT NULL AS has_start, {text('"endTime"')} IS NOT NULL AS has_end,
       call_type, prompt_tokens, completion_tokens, total_tokens, model, model_group, model_id,
       custom_llm_provider, api_base, end_user, request_tags, session_id, cache_hit, status,
       {given_tags(metadata=json_field("held", _REQUESTER), tags="nullif(request_tags, '[]')")} AS tag_entries,
       {", ".join(f"{_first(name)} AS {name}" for name in METADATA)},
       held.usage_object AS usage_text, {is_odd} AS is_metadata_odd,
       CASE WHEN {columns["request_id"]} IS NULL AND {columns["call_id"]} IS NULL THEN
         md5(concat_ws(chr(31), {every})) END AS row_hash
FROM ({records})
"""
