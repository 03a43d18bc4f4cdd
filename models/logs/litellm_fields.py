"""The fields that LiteLLM's rows and payloads share, and the SELECT that reads them.

Source: litellm's proxy/schema.prisma, proxy/spend_tracking and types/utils.py (1.109).
"""

from collections.abc import Mapping

from models.records import instant, money, structure, text

_PROMPT = "usage_object.prompt_tokens_details"
_COMPLETION = "usage_object.completion_tokens_details"
_MORE = "additional_usage_values"
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
METADATA = {
    "usage_prompt": "usage_object.prompt_tokens",
    "cached": f"{_PROMPT}.cached_tokens",
    "cache_read": "usage_object.cache_read_input_tokens",
    "more_cached": f"{_MORE}.prompt_tokens_details.cached_tokens",
    "more_cache_read": f"{_MORE}.cache_read_input_tokens",
    "created": f"{_PROMPT}.cache_creation_tokens",
    "written": f"{_PROMPT}.cache_write_tokens",
    "cache_creation": "usage_object.cache_creation_input_tokens",
    "more_cache_creation": f"{_MORE}.cache_creation_input_tokens",
    "created_5m": f"{_PROMPT}.cache_creation_token_details.ephemeral_5m_input_tokens",
    "created_1h": f"{_PROMPT}.cache_creation_token_details.ephemeral_1h_input_tokens",
    "audio_in": f"{_PROMPT}.audio_tokens",
    "image_in": f"{_PROMPT}.image_tokens",
    "video_in": f"{_PROMPT}.video_tokens",
    "searches": f"{_PROMPT}.web_search_requests",
    "reasoning": f"{_COMPLETION}.reasoning_tokens",
    "audio_out": f"{_COMPLETION}.audio_tokens",
    "image_out": f"{_COMPLETION}.image_tokens",
    "tool_searches": "usage_object.server_tool_use.web_search_requests",
    "queue_time": "usage_object.queue_time",
    "usage_tier": "usage_object.service_tier",
    "retries": "attempted_retries",
    "fallbacks": "attempted_fallbacks",
    "original_group": "original_model_group",
    "tier": "cost_breakdown.service_tier",
    "spillover": "azure_spillover.from_deployment",
    "error_class": "error_information.error_class",
    "requested": "router_metadata.requested_model",
    "pod_ip": "kubernetes_pod_routing.pod_ip",
    "task_class": "spend_logs_metadata.task_class",
    "retry_of": "spend_logs_metadata.retry_of",
    "fallback_cause": "spend_logs_metadata.fallback_cause",
    "prefix_hash": "spend_logs_metadata.prefix_hash",
    "call_id": "litellm_call_id",
    "key_hash": "user_api_key_hash",
    "user_id": "user_api_key_user_id",
    "team_id": "user_api_key_team_id",
    "org_id": "user_api_key_org_id",
}
"""Fields of `metadata`, which become columns `m_*`."""

_DETAILS = ("cached", "created", "audio_in", "image_in", "video_in", "reasoning", "audio_out", "image_out")
_ODD_DETAILS = r'_tokens_details"\s*:\s*[^n{\s]'
_ODD_USAGE = r'"usage_object"\s*:\s*[^n{\s]'


def litellm_select(columns: Mapping[str, str], *, metadata: str) -> str:
    """Return the SELECT over `records`; counts stay texts.

    Args:
        columns: SQL of the columns whose place differs between rows and payloads: `request_id, call_id, api_key,
            cost, user_id, team, organization_id, trace_id, tier, error_class, retries, fallbacks`; `held.*` are the
            metadata.
        metadata: SQL of the metadata object.
    """
    leaves = {name: f"held.{path}" for name, path in METADATA.items()}
    details = ", ".join(leaves[name] for name in _DETAILS)
    own = {name: sql for name, sql in columns.items() if name not in ("api_key", "cost")}
    every = ", ".join(f'"{name}"' for name in FIELDS)
    # What reads as no usage at all may be usage of another type: that is looked for where it would be lost.
    return f"""
WITH objects AS NOT MATERIALIZED (SELECT *, {metadata} AS object FROM records),
parsed AS NOT MATERIALIZED (SELECT *, TRY(from_json(object, '{structure(METADATA.values())}')) AS held FROM objects)
SELECT line_number, 1::INTEGER AS record_number,
       {", ".join(f"{sql} AS {name}" for name, sql in own.items())},
       CASE WHEN {columns["api_key"]} IS NOT NULL THEN sha256($hash_key || {columns["api_key"]}) END AS api_key_id,
       {money(columns["cost"])} AS provider_reported_cost_usd,
       {instant('"startTime"')} AS started_at, {instant('"endTime"')} AS finished_at,
       {instant('"completionStartTime"')} AS first_at,
       {text('"startTime"')} IS NOT NULL AS has_start, {text('"endTime"')} IS NOT NULL AS has_end,
       call_type, prompt_tokens, completion_tokens, total_tokens, model, model_group, model_id,
       custom_llm_provider, api_base, end_user, request_tags, session_id, cache_hit, status,
       {", ".join(f"{leaf} AS m_{name}" for name, leaf in leaves.items())},
       CASE WHEN object IS NOT NULL AND held IS NULL THEN true
            WHEN {leaves["usage_prompt"]} IS NULL THEN regexp_matches(object, '{_ODD_USAGE}')
            WHEN coalesce({details}) IS NULL THEN regexp_matches(object, '{_ODD_DETAILS}') END
         AS is_metadata_odd,
       CASE WHEN {columns["request_id"]} IS NULL AND {columns["call_id"]} IS NULL THEN
         md5(concat_ws(chr(31), {every})) END AS row_hash
FROM parsed
"""
