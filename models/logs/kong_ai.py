"""Kong's log with the statistics of its AI plugins: `ai.proxy`, and in older versions one object a plugin.

Each plugin that called a model is a call: a prompt that `ai-request-transformer` rewrote with one model and `ai-
proxy` sent to another are two. `llm_latency` is in milliseconds. Kong writes prompt, completion and total only: where
the payload is logged, its usage object tells the classes. The cost is what the plugin's configuration makes of it.
Source: developer.konghq.com/ai-gateway/ai-audit-log-reference, Kong/kong kong/llm/plugin, read 2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog, UsagePlaces
from models.logs.call_logs import call_log_importer
from models.records import tried

_PLUGINS = tried("ai", """map_entries(from_json({}, '"MAP(VARCHAR, JSON)"'))""")
_COUNTED = (
    """(json_extract(e."value", '$.usage') IS NOT NULL OR json_extract(e."value", '$.meta') IS NOT NULL)"""
)
_ANSWER = """json_extract_string(e."value", '$.payload.response')"""
_PARTS = (
    f"list_transform(list_filter({_PLUGINS}, lambda e: json_type(e.\"value\") = 'OBJECT' AND {_COUNTED}), "
    """lambda e: json_object('plugin', e."key", 'usage', json_extract(e."value", '$.usage'), """
    """'meta', json_extract(e."value", '$.meta'), 'cache', json_extract(e."value", '$.cache'), """
    f"'response', CASE WHEN json_valid({_ANSWER}) THEN {_ANSWER}::JSON END))"
)


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_hit = pl.col("cache_state").str.to_lowercase().str.contains(r"^hit").fill_null(value=False)
    provider = pl.col("provider")
    return frame.with_columns(
        is_hit=is_hit,
        # A request that no AI plugin served is no call.
        is_ignored=pl.col("plugin").is_null(),
        is_error=pl.col("is_error") & ~is_hit,
        provider=pl.when(provider != "unspecified").then(provider),
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="kong_ai",
        texts={
            "plugin": ("part$.plugin",),
            "request_id": ("request$.id", "request$.headers.x-kong-request-id", "response$.headers.x-kong-request-id"),
            "response_id": ("part$.response.id",),
            "provider": ("part$.meta.provider_name",),
            "requested_model": ("part$.meta.request_model",),
            "served_model": ("part$.meta.response_model", "part$.meta.request_model"),
            "route": ("route$.name", "service$.name", "route$.id"),
            "team": ("consumer$.username", "consumer$.custom_id"),
            "operation_name": ("part$.meta.route_type", "request$.uri"),
            "code": ("response$.status",),
            "cache_state": ("part$.cache.cache_status",),
            "tier": ("part$.response.service_tier",),
        },
        instants={"started": ("started_at",)},
        durations={
            "latency": ("part$.meta.llm_latency", "latencies$.request"),
            "first_token_after": ("part$.usage.time_to_first_token", "part$.meta.time_to_first_token"),
        },
        usage=(
            UsagePlaces(place="part$.response.usage"),
            UsagePlaces(place="part$.response.usageMetadata"),
            UsagePlaces(place="part$.usage"),
        ),
        answers=("part$.response",),
        cost=("part$.usage.cost",),
        api_key=("authenticated_entity$.id",),
        tags={"plugin": ("part$.plugin",), "model_deployment": ("part$.meta.azure_deployment_id",)},
        parts=_PARTS,
        own_columns=("ai",),
        amend=_amend,
        signature=(
            frozenset({"ai", "started_at", "latencies"}),
            frozenset({"ai.proxy.usage"}),
            frozenset({"ai.ai-proxy.usage"}),
            frozenset({"ai.proxy.meta"}),
            frozenset({"ai.ai-proxy.meta"}),
        ),
        rank=17,
        formats=("jsonl",),
    )
)  # fmt: skip
