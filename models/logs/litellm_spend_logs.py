"""LiteLLM proxy rows (`LiteLLM_SpendLogs`), as JSON lines.

`prompt_tokens` includes cache reads and writes, `completion_tokens` includes reasoning, for every provider.
`tenant` is organization_id, else team_id; `spend` is the gateway's own estimate, not an invoice.
Source: litellm's proxy/schema.prisma and proxy/spend_tracking (1.109).
"""

import polars as pl

from models.logs.tokens import disjoint
from models.records import Importer, bad_numbers, first_reason, instant, integer, text

KIND = "litellm_spend_logs"

_FIELDS = (
    "request_id",
    "litellm_call_id",
    "call_type",
    "api_key",
    "spend",
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
    "user",
    "team_id",
    "organization_id",
    "end_user",
    "request_tags",
    "session_id",
    "cache_hit",
    "status",
    "metadata",
)
_USAGE = "$.usage_object"
_PROMPT = f"{_USAGE}.prompt_tokens_details"
_COMPLETION = f"{_USAGE}.completion_tokens_details"
_MORE = "$.additional_usage_values"
_PATHS = {
    "usage_prompt": f"{_USAGE}.prompt_tokens",
    "cached": f"{_PROMPT}.cached_tokens",
    "cache_read": f"{_USAGE}.cache_read_input_tokens",
    "more_cache_read": f"{_MORE}.cache_read_input_tokens",
    "more_cached": f"{_MORE}.prompt_tokens_details.cached_tokens",
    "created": f"{_PROMPT}.cache_creation_tokens",
    "written": f"{_PROMPT}.cache_write_tokens",
    "cache_creation": f"{_USAGE}.cache_creation_input_tokens",
    "more_cache_creation": f"{_MORE}.cache_creation_input_tokens",
    "created_5m": f"{_PROMPT}.cache_creation_token_details.ephemeral_5m_input_tokens",
    "created_1h": f"{_PROMPT}.cache_creation_token_details.ephemeral_1h_input_tokens",
    "audio_in": f"{_PROMPT}.audio_tokens",
    "image_in": f"{_PROMPT}.image_tokens",
    "video_in": f"{_PROMPT}.video_tokens",
    "reasoning": f"{_COMPLETION}.reasoning_tokens",
    "audio_out": f"{_COMPLETION}.audio_tokens",
    "image_out": f"{_COMPLETION}.image_tokens",
    "searches": f"{_PROMPT}.web_search_requests",
    "tool_searches": f"{_USAGE}.server_tool_use.web_search_requests",
    "retries": "$.attempted_retries",
    "fallbacks": "$.attempted_fallbacks",
    "original_group": "$.original_model_group",
    "tier": "$.cost_breakdown.service_tier",
    "usage_tier": f"{_USAGE}.service_tier",
    "spillover": "$.azure_spillover.from_deployment",
    "error_class": "$.error_information.error_class",
    "requested": "$.router_metadata.requested_model",
    "pod_ip": "$.kubernetes_pod_routing.pod_ip",
    "task_class": "$.spend_logs_metadata.task_class",
    "retry_of": "$.spend_logs_metadata.retry_of",
    "fallback_cause": "$.spend_logs_metadata.fallback_cause",
    "prefix_hash": "$.spend_logs_metadata.prefix_hash",
    "call_id": "$.litellm_call_id",
}


def _path(name: str) -> str:
    return f"m[{list(_PATHS).index(name) + 1}]"


_NUMBERS = {
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    **{name: _path(name) for name in ("cached", "created", "reasoning", "audio_in", "audio_out")},
}
_REGION = r"[./-]((?:us|eu|ap|ca|sa|me|af|il)-[a-z]+-?[0-9])[.-]|//([a-z]+-[a-z]+[0-9])-aiplatform"

_SELECT = f"""
WITH parsed AS (
  SELECT *, TRY(json_extract_string(metadata, [{", ".join(f"'{path}'" for path in _PATHS.values())}])) AS m
  FROM records
)
SELECT line_number, 1::INTEGER AS record_number,
       {text("request_id")} AS request_id,
       coalesce({text("litellm_call_id")}, {_path("call_id")}) AS call_id,
       call_type, {text("status")} AS raw_status,
       CASE WHEN {text("api_key")} IS NOT NULL THEN sha256($hash_key || api_key) END AS api_key_id,
       TRY_CAST(spend AS DECIMAL(38, 12)) AS provider_reported_cost_usd,
       {integer("prompt_tokens")} AS raw_prompt, {integer("completion_tokens")} AS raw_completion,
       {integer("total_tokens")} AS raw_total, {_path("usage_prompt")} IS NOT NULL AS has_usage_object,
       {instant('"startTime"')} AS started_at, {instant('"endTime"')} AS finished_at,
       {instant('"completionStartTime"')} AS first_at, "startTime" IS NOT NULL AS has_start,
       {text("model")} AS model, {text("model_group")} AS model_group, {text("model_id")} AS model_id,
       {text("custom_llm_provider")} AS provider, {text('"user"')} AS user_id, {text("team_id")} AS team,
       {text("organization_id")} AS organization_id, {text("end_user")} AS end_user,
       {text("session_id")} AS session_id, lower(cache_hit) = 'true' AS is_gateway_cache_hit,
       nullif(request_tags, '[]') AS request_tags,
       regexp_extract(request_tags, '"task_class:([^"]+)"', 1) AS tag_class,
       nullif(concat_ws('', nullif(regexp_extract(api_base, '{_REGION}', 1), ''),
                        nullif(regexp_extract(api_base, '{_REGION}', 2), '')), '') AS region,
       coalesce({integer(_path("cached"))}, {integer(_path("cache_read"))}, {integer(_path("more_cached"))},
                {integer(_path("more_cache_read"))}) AS cache_read,
       coalesce({integer(_path("created"))}, {integer(_path("written"))}, {integer(_path("cache_creation"))},
                {integer(_path("more_cache_creation"))}) AS created,
       {integer(_path("created_5m"))} AS created_5m, {integer(_path("created_1h"))} AS created_1h,
       {integer(_path("audio_in"))} AS audio_input, {integer(_path("image_in"))} AS image_input,
       {integer(_path("video_in"))} AS video_input, {integer(_path("reasoning"))} AS reasoning,
       {integer(_path("audio_out"))} AS audio_output, {integer(_path("image_out"))} AS image_output,
       coalesce({integer(_path("searches"))}, {integer(_path("tool_searches"))}) AS searches,
       {integer(_path("retries"))} AS retries, {integer(_path("fallbacks"))} AS fallbacks,
       {_path("original_group")} AS original_group, {_path("requested")} AS requested,
       coalesce({_path("tier")}, {_path("usage_tier")}) AS tier, {_path("spillover")} AS spillover,
       {_path("error_class")} AS error_class, {_path("pod_ip")} AS replica_id,
       {_path("task_class")} AS meta_class, {_path("retry_of")} AS retry_of,
       {_path("fallback_cause")} AS fallback_cause, {_path("prefix_hash")} AS prefix_hash,
       {bad_numbers(_NUMBERS)} AS bad_numbers
FROM parsed
"""

_OPERATIONS = {
    "embedding": "embedding",
    "text_completion": "completion",
    "image": "image",
    "transcription": "audio",
    "speech": "audio",
    "rerank": "rerank",
    "completion": "chat",
    "responses": "chat",
    "messages": "chat",
}


def canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected LiteLLM rows into canonical columns."""
    total = pl.col("raw_prompt").fill_null(0) + pl.col("raw_completion").fill_null(0)
    # The proxy writes 0 tokens where the provider reported none.
    reported = pl.col("has_usage_object") | (total > 0)
    split = pl.col("created_5m").fill_null(0) + pl.col("created_1h").fill_null(0)
    has_split = split > 0
    frame = disjoint(
        frame.with_columns(
            prompt=pl.when(reported).then(pl.col("raw_prompt")),
            completion=pl.when(reported).then(pl.col("raw_completion")),
            cache_write_5m=pl.when(has_split).then(pl.col("created_5m")).otherwise(pl.col("created")),
            cache_write_1h=pl.when(has_split).then(pl.col("created_1h")),
        )
    )
    hit = pl.col("is_gateway_cache_hit").fill_null(value=False)
    fell_back = pl.col("fallbacks").fill_null(0) > 0
    operation: pl.Expr = pl.lit("other")
    for word, name in reversed(_OPERATIONS.items()):
        operation = (
            pl.when(pl.col("call_type").str.contains(word, literal=True))
            .then(pl.lit(name))
            .otherwise(operation)
        )
    adds_up = pl.col("raw_total").is_null() | (pl.col("raw_total") == 0) | (pl.col("raw_total") == total)
    # An exclusive count is recognised by its shape, and its total may include the cache.
    adds_up = adds_up | pl.col("is_exclusive")
    return frame.with_columns(
        *first_reason(
            (
                pl.col("request_id").is_null() & pl.col("call_id").is_null(),
                "missing_request_id",
                "request_id",
            ),
            (pl.col("started_at").is_null() & pl.col("has_start"), "bad_value", "startTime is no instant"),
            (pl.col("started_at").is_null(), "missing_started_at", "startTime"),
            (pl.col("bad_numbers").is_not_null(), "bad_value", pl.col("bad_numbers")),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
            (~adds_up, "tokens_do_not_add_up", "total_tokens"),
        ),
        request_id=pl.coalesce("request_id", "call_id"),
        logical_request_id=pl.when(pl.col("call_id") != pl.col("request_id")).then(pl.col("call_id")),
        attempt_no=pl.when(hit).then(0).otherwise(pl.col("retries").fill_null(0) + 1),
        first_token_at=pl.when(pl.col("first_at") != pl.col("finished_at")).then(pl.col("first_at")),
        route=pl.col("model_group"),
        requested_model=pl.coalesce("requested", "original_group", "model_group", "model"),
        routed_model=pl.col("model"),
        served_model=pl.col("model"),
        service_tier=pl.when(pl.col("spillover").is_not_null())
        .then(pl.lit("spillover"))
        .otherwise(pl.coalesce("tier", pl.lit("default"))),
        batch_id=pl.when(pl.col("call_type") == "aretrieve_batch").then(pl.col("request_id")),
        tenant=pl.coalesce("organization_id", "team"),
        operation=operation,
        task_class=pl.coalesce(
            pl.when(pl.col("tag_class") != "").then(pl.col("tag_class")), pl.col("meta_class")
        ),
        status=pl.when(pl.col("raw_status") == "failure").then(pl.lit("error")).otherwise(pl.lit("ok")),
        usage_source=pl.when(~pl.col("has_usage"))
        .then(pl.lit("missing"))
        .when(pl.col("is_exclusive"))
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("provider")),
        is_fallback=fell_back,
        fallback_cause=pl.when(fell_back).then(pl.coalesce("fallback_cause", pl.lit("unknown"))),
        is_gateway_cache_hit=hit,
        queue_seconds=pl.lit(None, dtype=pl.Float64),
        trace_id=pl.lit(None, dtype=pl.String),
        tag_entries=pl.concat_list(
            pl.struct(key=pl.lit(key), value=pl.col(column))
            for key, column in (
                ("request_tags", "request_tags"),
                ("end_user", "end_user"),
                ("deployment_id", "model_id"),
            )
        ),
        meter_entries=pl.concat_list(
            pl.struct(key=pl.lit("web_search"), value=pl.col("searches").cast(pl.Decimal(18, 6)))
        ),
        dedupe_key=pl.concat_str(pl.lit("id:"), pl.coalesce("request_id", "call_id")),
    )


IMPORTER = Importer(
    kind=KIND,
    table="raw.requests",
    columns=dict.fromkeys(_FIELDS, "VARCHAR"),
    select=_SELECT,
    canonical=canonical,
    formats=("jsonl",),
    signature=(frozenset({"call_type", "startTime", "spend"}),),
)
