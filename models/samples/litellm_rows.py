"""Calls as LiteLLM writes them to SpendLogs, one JSON line each, about 1.2 KB.

Source: litellm's proxy/spend_tracking (1.109): metadata is an object, or its text in exports of the table.
"""

import polars as pl

from models.samples.json_text import json_text

_INSTANT = "%Y-%m-%dT%H:%M:%S%.3f"


def litellm_lines(calls: pl.DataFrame, *, is_metadata_text: bool) -> pl.Series:
    """Return the rows of `day_of_calls` as JSON lines without line ends.

    Args:
        calls: attempts as `day_of_calls` returns them.
        is_metadata_text: whether `metadata` is a JSON string and instants carry +00:00, as a proxy's table
            export has them, or an object and Z, as its API answers.
    """
    metadata = _metadata()
    if is_metadata_text:
        quoted = metadata.str.replace_all('"', '\\"', literal=True)
        metadata = pl.format('"{}"', quoted)
    zone = "+00:00" if is_metadata_text else "Z"
    is_error = pl.col("error_class").is_not_null()
    ended = pl.when("is_embedding").then(pl.col("finished_at")).otherwise(pl.col("first_token_at"))
    line = json_text(
        '<"request_id":"{}","litellm_call_id":"{}","call_type":"{}","api_key":"{}","spend":{},'
        '"total_tokens":{},"prompt_tokens":{},"completion_tokens":{},"startTime":"{}","endTime":"{}",'
        '"completionStartTime":"{}","request_duration_ms":{},"model":"{}","model_id":"{}","model_group":"{}",'
        '"custom_llm_provider":"{}","api_base":"{}","user":"{}","team_id":"{}","organization_id":"{}",'
        '"end_user":"","cache_hit":"{}","cache_key":"Cache OFF","request_tags":["task_class:{}","app:{}",'
        '"env:prod","User-Agent: OpenAI/Python 1.99.9"],"session_id":"{}","status":"{}","messages":<>,'
        '"response":<>,"proxy_server_request":<>,"requester_ip_address":"10.20.0.{}","metadata":{}>',
        "request_id",
        "call_id",
        pl.when("is_embedding").then(pl.lit("aembedding")).otherwise(pl.lit("acompletion")),
        _key_hash(),
        "spend_usd",
        pl.col("prompt_tokens") + pl.col("completion_tokens"),
        "prompt_tokens",
        "completion_tokens",
        _instant("started_at", zone),
        _instant("finished_at", zone),
        ended.dt.strftime(_INSTANT) + zone,
        (pl.col("finished_at") - pl.col("started_at")).dt.total_milliseconds(),
        "model",
        pl.format("{}-{}", "gateway_provider", "lane"),
        "route",
        "gateway_provider",
        "api_base",
        pl.format("user-{}", "user_number"),
        pl.format("{}-team", _caller()),
        "tenant",
        pl.when("is_cache_hit").then(pl.lit("True")).otherwise(pl.lit("False")),
        "task_class",
        _caller(),
        "session_id",
        pl.when(is_error).then(pl.lit("failure")).otherwise(pl.lit("success")),
        "user_number",
        metadata,
    )
    return calls.select(line.alias("line")).get_column("line")


def _instant(column: str, zone: str) -> pl.Expr:
    return pl.col(column).dt.strftime(_INSTANT) + zone


def _caller() -> pl.Expr:
    return pl.col("original_route").str.replace("_", "-", literal=True)


def _key_hash() -> pl.Expr:
    return pl.format("88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe{}", pl.col("lane") + 1000)


def _metadata() -> pl.Expr:
    """Return the metadata object as text."""
    text = (
        '<"user_api_key_alias":"{}-key","user_api_key_team_alias":"{}-team","user_api_key_org_id":"{}",'
        '"attempted_retries":{},"max_retries":2,"attempted_fallbacks":{},"original_model_group":"{}",'
        '"billed_retry_attempt":{},"spend_logs_metadata":{},"error_information":{},"usage_object":{},'
        '"cost_breakdown":{},"applied_guardrails":[],"batch_models":null,"status":"{}">'
    )
    is_error = pl.col("error_class").is_not_null()
    links = (
        pl.when(pl.col("retry_of").is_not_null())
        .then(json_text('<"retry_of":"{}">', "retry_of"))
        .when("is_fallback")
        .then(json_text('<"fallback_cause":"{}">', "fallback_cause"))
        .otherwise(pl.lit("null"))
    )
    error = (
        pl.when(is_error)
        .then(
            json_text(
                '<"error_code":"{}","error_class":"{}","llm_provider":"{}">',
                _code(),
                "error_class",
                "gateway_provider",
            )
        )
        .otherwise(pl.lit("null"))
    )
    usage = json_text(
        '<"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"prompt_tokens_details":<"cached_tokens":{},'
        '"cache_creation_tokens":{},"audio_tokens":0>,"completion_tokens_details":<"reasoning_tokens":{},'
        '"audio_tokens":0>>',
        "prompt_tokens",
        "completion_tokens",
        pl.col("prompt_tokens") + pl.col("completion_tokens"),
        "cached_tokens",
        "written_tokens",
        "reasoning_tokens",
    )
    has_usage = pl.col("prompt_tokens") > 0
    return json_text(
        text,
        _caller(),
        _caller(),
        "tenant",
        "retries",
        pl.col("is_fallback").cast(pl.Int8),
        "original_route",
        pl.when("is_billed_retry").then(pl.lit("true")).otherwise(pl.lit("null")),
        links,
        error,
        pl.when(has_usage).then(usage).otherwise(pl.lit("null")),
        json_text('<"total_cost":{},"service_tier":null>', "spend_usd"),
        pl.when(is_error).then(pl.lit("failure")).otherwise(pl.lit("success")),
    )


def _code() -> pl.Expr:
    codes = {"Timeout": "408", "RateLimitError": "429", "ServiceUnavailableError": "503"}
    return pl.col("error_class").replace_strict(codes, default=None, return_dtype=pl.String)
