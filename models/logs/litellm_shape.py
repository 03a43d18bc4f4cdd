"""What LiteLLM's rows and payloads share: usage and metadata paths, and the way to canonical columns.

`prompt_tokens` includes cache reads and writes, `completion_tokens` includes reasoning, for every provider.
`tenant` is organization_id, else team_id; the cost is the gateway's own estimate, not an invoice. A row whose id ends
in `-attempt-N` is an earlier billed attempt (N from 0) of the call whose id stands before.
Source: litellm's proxy/schema.prisma, proxy/spend_tracking and proxy/hooks (1.109).
"""

from collections.abc import Mapping

import polars as pl

from models.logs.cache_writes import split_writes
from models.logs.tokens import TokenRule, disjoint
from models.records import METER, bad_numbers, first_reason, instant, integer, money, number, text, with_map

_USAGE = "$.usage_object"
_PROMPT = f"{_USAGE}.prompt_tokens_details"
_COMPLETION = f"{_USAGE}.completion_tokens_details"
_MORE = "$.additional_usage_values"
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
    "usage": _USAGE,
    "prompt_details": _PROMPT,
    "completion_details": _COMPLETION,
    "usage_prompt": f"{_USAGE}.prompt_tokens",
    "cached": f"{_PROMPT}.cached_tokens",
    "cache_read": f"{_USAGE}.cache_read_input_tokens",
    "more_cached": f"{_MORE}.prompt_tokens_details.cached_tokens",
    "more_cache_read": f"{_MORE}.cache_read_input_tokens",
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
    "queue_time": f"{_USAGE}.queue_time",
    "usage_tier": f"{_USAGE}.service_tier",
    "retries": "$.attempted_retries",
    "fallbacks": "$.attempted_fallbacks",
    "original_group": "$.original_model_group",
    "tier": "$.cost_breakdown.service_tier",
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
"""Fields of `metadata`."""

_REGION = r"[./-]((?:us|eu|ap|ca|sa|me|af|il)-[a-z]+-?[0-9])[.-]|//([a-z]+-[a-z]+[0-9])-aiplatform"
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
    "generate_content": "chat",
}
_ATTEMPT = r"^(.*)-attempt-(\d+)$"
_CANCELLED = ("CancelledError", "ClientDisconnect", "ClientDisconnected")
_COUNTS = ("cached", "created", "reasoning", "audio_in", "image_in", "video_in", "audio_out", "image_out")


def held(name: str) -> str:
    """Return the SQL of a metadata field."""
    return f"m[{list(METADATA).index(name) + 1}]"


def litellm_select(columns: Mapping[str, str], *, metadata: str) -> str:
    """Return the SELECT over `records`.

    Args:
        columns: SQL of the columns whose place differs between rows and payloads: `request_id, call_id, api_key,
            cost, user_id, team, organization_id, trace_id, tier, error_class, retries, fallbacks`.
        metadata: SQL of the metadata object.
    """
    odd = " OR ".join(
        f"{held(name)}[1] != '{{'" for name in ("usage", "prompt_details", "completion_details")
    )
    every = ", ".join(f'"{name}"' for name in FIELDS)
    numbers = {name: name for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    return f"""
WITH parsed AS (
  SELECT *, TRY(json_extract_string({metadata}, [{", ".join(f"'{path}'" for path in METADATA.values())}])) AS m
  FROM records
)
SELECT line_number, 1::INTEGER AS record_number,
       {columns["request_id"]} AS request_id, {columns["call_id"]} AS call_id,
       {text("call_type")} AS call_type, {text("status")} AS raw_status,
       CASE WHEN {columns["api_key"]} IS NOT NULL THEN sha256($hash_key || {columns["api_key"]}) END AS api_key_id,
       {money(columns["cost"])} AS provider_reported_cost_usd,
       {integer("prompt_tokens")} AS raw_prompt, {integer("completion_tokens")} AS raw_completion,
       {integer("total_tokens")} AS raw_total, {held("usage_prompt")} IS NOT NULL AS has_usage_object,
       metadata IS NOT NULL AND (m IS NULL OR {odd}) AS is_metadata_odd,
       {instant('"startTime"')} AS started_at, {instant('"endTime"')} AS finished_at,
       {instant('"completionStartTime"')} AS first_at, "startTime" IS NOT NULL AS has_start,
       {text('"endTime"')} IS NOT NULL AS has_end,
       {text("model")} AS model, {text("model_group")} AS model_group, {text("model_id")} AS model_id,
       {text("custom_llm_provider")} AS provider, {columns["user_id"]} AS user_id, {columns["team"]} AS team,
       {columns["organization_id"]} AS organization_id, {text("end_user")} AS end_user,
       {text("session_id")} AS session_id, {columns["trace_id"]} AS trace_id,
       lower(cache_hit) = 'true' AS is_gateway_cache_hit, nullif(request_tags, '[]') AS request_tags,
       CASE WHEN contains(request_tags, 'task_class:') THEN regexp_extract(request_tags, '"task_class:([^"]+)"', 1) END
         AS tag_class,
       nullif(concat_ws('', nullif(regexp_extract(api_base, '{_REGION}', 1), ''),
                        nullif(regexp_extract(api_base, '{_REGION}', 2), '')), '') AS region,
       coalesce({", ".join(integer(held(n)) for n in ("cached", "cache_read", "more_cached", "more_cache_read"))})
         AS cache_read,
       coalesce({", ".join(integer(held(n)) for n in ("created", "written", "cache_creation", "more_cache_creation"))})
         AS created,
       {integer(held("created_5m"))} AS cache_write_5m, {integer(held("created_1h"))} AS cache_write_1h,
       {integer(held("audio_in"))} AS audio_input, {integer(held("image_in"))} AS image_input,
       {integer(held("video_in"))} AS video_input, {integer(held("reasoning"))} AS reasoning,
       {integer(held("audio_out"))} AS audio_output, {integer(held("image_out"))} AS image_output,
       coalesce({integer(held("searches"))}, {integer(held("tool_searches"))}) AS searches,
       {integer(columns["retries"])} AS retries, {integer(columns["fallbacks"])} AS fallbacks,
       {held("original_group")} AS original_group, {held("requested")} AS requested,
       coalesce({columns["tier"]}, {held("usage_tier")}) AS tier, {held("spillover")} AS spillover,
       {columns["error_class"]} AS error_class, {held("pod_ip")} AS replica_id,
       {held("task_class")} AS meta_class, {held("retry_of")} AS retry_of,
       {held("fallback_cause")} AS fallback_cause, {held("prefix_hash")} AS prefix_hash,
       {number(held("queue_time"))} AS queue_seconds,
       CASE WHEN {columns["request_id"]} IS NULL AND {columns["call_id"]} IS NULL THEN
         md5(concat_ws(chr(31), {every})) END AS row_hash,
       {bad_numbers(numbers | {name: held(name) for name in _COUNTS})} AS bad_numbers
FROM parsed
"""


def litellm_canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected LiteLLM rows into canonical columns; `is_ignored` marks polls of an unfinished batch."""
    total = pl.col("raw_prompt") + pl.col("raw_completion")
    # The proxy writes 0 tokens where the provider reported none.
    is_reported = pl.col("has_usage_object") | (total > 0).fill_null(value=False)
    parts = pl.col("cache_write_5m").fill_null(0) + pl.col("cache_write_1h").fill_null(0)
    frame = split_writes(
        frame.with_columns(
            prompt=pl.when(is_reported).then(pl.col("raw_prompt")),
            completion=pl.when(is_reported).then(pl.col("raw_completion")),
            # Versions that tell the parts alone leave the total at 0.
            written=pl.when((pl.col("created") != 0) | (parts == 0)).then(pl.col("created")),
        )
    )
    frame = disjoint(frame, TokenRule(has_exclusive_variant=True))
    hit = pl.col("is_gateway_cache_hit").fill_null(value=False)
    fell_back = pl.col("fallbacks").fill_null(0) > 0
    is_batch = (pl.col("call_type") == "aretrieve_batch").fill_null(value=False)
    is_whole = pl.col("prompt").is_not_null() & pl.col("completion").is_not_null()
    # An exclusive count is recognised by its shape, and its total may include the cache.
    adds_up = (pl.col("raw_total") == 0) | (pl.col("raw_total") == total) | pl.col("is_exclusive")
    request_id = pl.coalesce("request_id", "call_id")
    attempt = request_id.str.extract(_ATTEMPT, 2).cast(pl.Int32, strict=False)
    call_id = pl.coalesce(pl.col("call_id").str.extract(_ATTEMPT, 1), "call_id")
    model = pl.coalesce(
        pl.when(pl.col("model").str.starts_with(pl.concat_str("provider", pl.lit("/")))).then(
            pl.col("model").str.strip_prefix(pl.concat_str("provider", pl.lit("/")))
        ),
        "model",
    )
    error_class = pl.col("error_class").replace("", None)
    tags = {
        "request_tags": pl.col("request_tags"),
        "end_user": pl.col("end_user"),
        "deployment_id": pl.col("model_id"),
        "cache_write_split": pl.when("is_split_assumed").then(pl.lit("assumed")),
    }
    frame = with_map(frame, "tags", tags, pl.String)
    frame = with_map(frame, "other_meters", {"web_search": pl.col("searches")}, METER)
    return frame.with_columns(
        *first_reason(
            (pl.col("started_at").is_null() & pl.col("has_start"), "bad_value", "startTime is no instant"),
            (pl.col("started_at").is_null(), "missing_started_at", "startTime"),
            (pl.col("finished_at").is_null() & pl.col("has_end"), "bad_value", "endTime is no instant"),
            (pl.col("is_metadata_odd"), "bad_value", "metadata"),
            (pl.col("bad_numbers").is_not_null(), "bad_value", pl.col("bad_numbers")),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
            (~adds_up.fill_null(value=True), "tokens_do_not_add_up", "total_tokens"),
        ),
        is_ignored=is_batch & ~pl.col("has_usage"),
        request_id=request_id,
        content_hash=pl.when(request_id.is_null()).then(pl.col("row_hash")),
        logical_request_id=pl.when(call_id != request_id).then(call_id),
        attempt_no=pl.when(hit)
        .then(0)
        .otherwise(pl.coalesce(attempt + 1, pl.col("retries").fill_null(0) + 1)),
        retry_of=pl.coalesce(
            "retry_of",
            pl.when(attempt > 0).then(
                pl.concat_str(
                    request_id.str.extract(_ATTEMPT, 1), pl.lit("-attempt-"), (attempt - 1).cast(pl.String)
                )
            ),
        ),
        first_token_at=pl.when(pl.col("first_at") != pl.col("finished_at")).then(pl.col("first_at")),
        route=pl.col("model_group"),
        requested_model=pl.coalesce("requested", "original_group", "model_group", "model"),
        routed_model=model,
        served_model=model,
        service_tier=pl.when(pl.col("spillover").is_not_null())
        .then(pl.lit("spillover"))
        .when(is_batch)
        .then(pl.lit("batch"))
        .otherwise(pl.coalesce("tier", pl.lit("default"))),
        batch_id=pl.when(is_batch).then(request_id),
        tenant=pl.coalesce("organization_id", "team"),
        operation=_operation(),
        task_class=pl.coalesce(
            pl.when(pl.col("tag_class") != "").then(pl.col("tag_class")), pl.col("meta_class")
        ),
        status=pl.when(error_class.is_in(_CANCELLED).fill_null(value=False))
        .then(pl.lit("cancelled"))
        .when(pl.col("raw_status") == "failure")
        .then(pl.lit("error"))
        .otherwise(pl.lit("ok")),
        error_class=error_class,
        usage_source=pl.when(~pl.col("has_usage") | ~is_whole)
        .then(pl.lit("missing"))
        .when(pl.col("is_exclusive"))
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("provider")),
        is_fallback=fell_back,
        fallback_cause=pl.when(fell_back).then(pl.coalesce("fallback_cause", pl.lit("unknown"))),
        is_gateway_cache_hit=hit,
        dedupe_key=pl.concat_str(pl.lit("id:"), request_id),
    )


def _operation() -> pl.Expr:
    operation: pl.Expr = pl.lit("other")
    for word, name in reversed(_OPERATIONS.items()):
        operation = (
            pl.when(pl.col("call_type").str.contains(word, literal=True))
            .then(pl.lit(name))
            .otherwise(operation)
        )
    return operation
