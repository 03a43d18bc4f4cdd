"""What Azure's logs of model calls mean: the resource logs of an account, and the gateway logs of API Management.

An account's `RequestResponse` tells of a call and counts nothing; only where the answer's body is logged too, its usage
is read. API Management's LLM log counts input and output, each with all of its parts, and no cache; a long message
lies in several rows of one correlation, which are one call. None of them names the kind of deployment (global, data
zone, regional, provisioned), which chooses the price: deployments.yml says it by the deployment's name.
Source: learn.microsoft.com/azure/azure-monitor/reference/tables (ApiManagementGatewayLlmLog, ApiManagementGatewayLogs,
AzureDiagnostics), learn.microsoft.com/azure/api-management/api-management-howto-llm-logs, elastic/integrations
azure_openai (its fixtures: instants are .NET ticks).
"""

from collections.abc import Mapping

import polars as pl

from models.json_fields import json_field, json_struct
from models.logs.streams import events_of, merged
from models.logs.tokens import TokenRule, disjoint
from models.logs.unread import unread_usage
from models.records import first_reason, hashed, instant, text, with_map, with_numbers

_FIRST_ERROR_CODE = 400
_TICKS_IN_1970 = 621_355_968_000_000_000
_TICKS_A_MICROSECOND = 10
_IN, _OUT = "prompt_tokens_details", "completion_tokens_details"
_USAGE: Mapping[str, tuple[str, ...]] = {
    "body_prompt": ("prompt_tokens", "input_tokens"),
    "body_completion": ("completion_tokens", "output_tokens"),
    "cache_read": (f"{_IN}.cached_tokens", "input_tokens_details.cached_tokens"),
    "reasoning": (f"{_OUT}.reasoning_tokens", "output_tokens_details.reasoning_tokens"),
    "audio_input": (f"{_IN}.audio_tokens",),
    "audio_output": (f"{_OUT}.audio_tokens",),
}
_USAGE_PATHS = tuple(path for paths in _USAGE.values() for path in paths)
_BODY = {"body_model": "$.model", "body_id": "$.id", "body_tier": "$.service_tier", "usage_text": "$.usage"}
FIELDS = (
    "logged_at", "category", "call_id", "code", "milliseconds", "place", "resource", "method", "asked_ticks",
    "answered_ticks", "deployment", "model_name", "model_version", "stream", "who", "key", "product", "url", "cache",
    "prompt_tokens", "completion_tokens", "total_tokens", "answer",
)  # fmt: skip
"""Texts that a log's own SELECT gives, beside `line_number`: `logged_at` in ISO 8601, `answer` the logged body."""
CATEGORIES = ("RequestResponse", "AzureOpenAIRequestUsage", "GatewayLlmLogs", "GatewayLogs")
_OPERATIONS = {
    "chat": "chat",
    "embedding": "embedding",
    "image": "image",
    "audio": "audio",
    "speech": "audio",
    "transcription": "audio",
    "completion": "completion",
    "response": "chat",
}
_DEPLOYMENT = r"/deployments/([^/?]+)"
_DATED = r"[0-9]{4}|[a-z]"


def azure_select(fields: str) -> str:
    """Return the SELECT over `records`.

    Args:
        fields: the SQL of a SELECT of `line_number` and FIELDS.
    """
    body = f"CASE WHEN answer[1] = '{{' THEN answer ELSE ({merged(events_of('answer'))})::VARCHAR END"
    counts = ", ".join(
        f"coalesce({', '.join(json_field('u', path) for path in paths)}, NULL) AS {name}"
        for name, paths in _USAGE.items()
    )
    return f"""
WITH fields AS NOT MATERIALIZED ({fields}),
bodies AS NOT MATERIALIZED (SELECT *, {body} AS body FROM fields),
parsed AS NOT MATERIALIZED (SELECT *, {json_struct("body", _BODY.values())} AS m FROM bodies),
found AS NOT MATERIALIZED (
  SELECT *, {", ".join(f"{json_field('m', path)} AS {name}" for name, path in _BODY.items())} FROM parsed
),
opened AS NOT MATERIALIZED (SELECT *, {json_struct("usage_text", _USAGE_PATHS)} AS u FROM found)
SELECT line_number, 1::INTEGER AS record_number, {instant("logged_at")} AS logged_at,
       {text("logged_at")} IS NOT NULL AS has_start,
       {", ".join(f"{text(name)} AS {name}" for name in FIELDS if name not in ("logged_at", "answer", "key"))},
       {hashed(text("key"))} AS api_key_id, {", ".join(_BODY)}, {counts}
FROM opened
"""


def azure_canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected log records into canonical columns; what is no call of a model is passed over."""
    totals = ("prompt_tokens", "completion_tokens", "total_tokens")
    frame = with_numbers(frame, (*totals, *_USAGE, "code"))
    # Rows that hold the rest of a long message count nothing.
    is_counted = (pl.col("total_tokens") > 0) | (pl.col("prompt_tokens") > 0)
    frame = frame.with_columns(
        prompt=pl.coalesce("body_prompt", pl.when(is_counted).then("prompt_tokens")),
        completion=pl.coalesce(
            "body_completion", pl.when(is_counted).then(pl.col("completion_tokens").fill_null(0))
        ),
    )
    frame = disjoint(frame, TokenRule())
    milliseconds = pl.col("milliseconds").cast(pl.Float64, strict=False)
    length = pl.when(milliseconds >= 0).then(
        pl.duration(microseconds=(milliseconds * 1e3).round(0).cast(pl.Int64, strict=False))
    )
    is_gateway = ~pl.col("category").is_in(CATEGORIES[:2])
    started = pl.coalesce(
        _instant("asked_ticks"),
        pl.when(is_gateway).then("logged_at").otherwise(pl.col("logged_at") - length),
        "logged_at",
    )
    finished = pl.coalesce(_instant("answered_ticks"), started + length)
    deployment = pl.coalesce("deployment", pl.col("url").str.extract(_DEPLOYMENT, 1))
    named = (
        pl.when(pl.col("model_version").str.contains(_DATED))
        .then(pl.concat_str("model_name", pl.lit("-"), "model_version"))
        .otherwise("model_name")
    )
    model = pl.coalesce("body_model", named)
    operation: pl.Expr = pl.lit(None, dtype=pl.String)
    for word, name in reversed(_OPERATIONS.items()):
        operation = (
            pl.when(pl.col("method").str.to_lowercase().str.contains(word, literal=True))
            .then(pl.lit(name))
            .otherwise(operation)
        )
    is_call = pl.col("category").is_in(CATEGORIES) & pl.any_horizontal(
        deployment.is_not_null(), model.is_not_null(), operation.is_not_null(), pl.col("prompt").is_not_null()
    )
    # The gateway logs calls of every API: those whose answer counts are a model's.
    is_call = is_call & ((pl.col("category") != "GatewayLogs") | pl.col("prompt").is_not_null())
    failed = (pl.col("code") >= _FIRST_ERROR_CODE).fill_null(value=False)
    tags = {
        "azure_resource": pl.col("resource").str.to_lowercase().str.extract(r"([^/]+)$", 1),
        "stream": pl.col("stream"),
        "product": pl.col("product"),
        "provider_request_id": pl.col("body_id"),
    }
    return with_map(frame, "tags", tags, pl.String).with_columns(
        *first_reason(
            (pl.col("logged_at").is_null() & pl.col("has_start"), "bad_value", "the time is no instant"),
            (started.is_null(), "missing_started_at", "time"),
            (pl.col("call_id").is_null(), "missing_request_id", "correlationId"),
            (pl.col("bad").is_not_null(), "bad_value", pl.col("bad")),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
        ),
        is_ignored=~is_call.fill_null(value=False),
        request_id=pl.col("call_id"),
        attempt_no=pl.lit(1, dtype=pl.Int32),
        started_at=started,
        finished_at=pl.when(finished >= started).then(finished),
        provider=pl.lit("azure.ai.openai"),
        region=pl.col("place").str.to_lowercase().str.replace_all(" ", "", literal=True),
        route=deployment,
        requested_model=pl.coalesce(deployment, model),
        routed_model=pl.coalesce(deployment, model),
        served_model=model,
        service_tier=pl.coalesce("body_tier", pl.lit("default")),
        operation=pl.coalesce(operation, pl.lit("chat")),
        status=pl.when(failed).then(pl.lit("error")).otherwise(pl.lit("ok")),
        error_class=pl.when(failed).then(pl.concat_str(pl.lit("http_"), "code")),
        usage_source=pl.when(pl.col("prompt").is_null() | pl.col("completion").is_null())
        .then(pl.lit("missing"))
        .otherwise(pl.lit("provider")),
        unread_usage=unread_usage(
            "usage_text", "usage", frozenset(_USAGE_PATHS), elsewhere=frozenset({"total"})
        ),
        user_id=pl.col("who"),
        is_gateway_cache_hit=(pl.col("cache") == "hit").fill_null(value=False),
        # The provider's own id, where the answer is there: a log of the same call beside this one has it too.
        dedupe_key=pl.concat_str(pl.lit("id:"), pl.coalesce("body_id", "call_id")),
    )


def _instant(ticks: str) -> pl.Expr:
    """Return the instant of .NET ticks, of 100 ns since the year 1; NULL for 0."""
    microseconds = (pl.col(ticks).cast(pl.Int64, strict=False) - _TICKS_IN_1970) // _TICKS_A_MICROSECOND
    return pl.when(microseconds > 0).then(microseconds).cast(pl.Datetime("us", "UTC"))
