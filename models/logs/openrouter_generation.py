"""OpenRouter's generations (`GET /api/v1/generation`), one a record, in their envelope `data` or bare.

The native counts are the provider's and are read; `tokens_prompt` and `tokens_completion` are counted by another
tokenizer and are not. Native prompt includes cached, native completion reasoning. `latency` is left out: documents and
practice disagree on what it measures. OpenRouter bills the call and is the provider, but with a key of one's
own; the provider that it chose is a tag.
Source: openrouter Python SDK 1.3.84.
"""

import polars as pl

from models.json_fields import json_field
from models.logs.openrouter_response import billed_call
from models.logs.response_format import ResponseFormat
from models.logs.responses import response_importer
from models.records import money

_CENSUS = (
    "num_media_prompt",
    "num_media_completion",
    "num_input_audio_prompt",
    "num_search_results",
    "num_fetches",
)
_BARE = ("$.cancelled", "$.response_cache_source_id", "$.provider_responses", "$.total_cost")
_OTHERS = f"""len(TRY(from_json({json_field("m", "$.provider_responses")}, '["JSON"]')))"""


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.with_columns(
        beside_logical_request_id=pl.coalesce("group", "beside_logical_request_id"),
        beside_requested_model=pl.coalesce("router", "beside_requested_model", "model"),
        beside_route=pl.coalesce("router", "beside_route"),
        beside_session_id=pl.coalesce("session", "beside_session_id"),
        beside_user_id=pl.coalesce("external_user", "beside_user_id"),
        beside_team=pl.coalesce("workspace", "beside_team"),
        beside_is_fallback=pl.coalesce(pl.col("response_count") > 1, "beside_is_fallback"),
        **billed_call("provider_reported_cost_usd"),
        is_cancelled=pl.col("was_cancelled").fill_null(value=False),
        is_gateway_cache_hit=pl.col("has_cached_response"),
    )


IMPORTER = response_importer(
    ResponseFormat(
        kind="openrouter_generation",
        provider="openrouter",
        fields={
            "response_id": ("$.id",),
            "group": ("$.request_id",),
            "model": ("$.model",),
            "router": ("$.router",),
            "upstream": ("$.provider_name",),
            "created": ("$.created_at",),
            "tier": ("$.service_tier",),
            "region": ("$.data_region",),
            "session": ("$.session_id",),
            "external_user": ("$.external_user",),
            "workspace": ("$.workspace_id",),
            "object": ("$.api_type",),
        },
        counts={
            "prompt": ("$.native_tokens_prompt",),
            "completion": ("$.native_tokens_completion",),
            "cache_read": ("$.native_tokens_cached",),
            "reasoning": ("$.native_tokens_reasoning",),
            "image_output": ("$.native_tokens_completion_images",),
        },
        own_counts=("$", r"^(?:native_|num_)"),
        lists=_BARE,
        seconds={"total": ("$.generation_time",)},
        seconds_scale=1000,
        finished_after=("total",),
        meters={name.removeprefix("num_"): (f"$.{name}",) for name in _CENSUS},
        columns_sql={
            "was_cancelled": f"{json_field('m', '$.cancelled')} = 'true'",
            "has_cached_response": f"coalesce({json_field('m', '$.response_cache_source_id')} <> '', false)",
            "response_count": _OTHERS,
            "provider_reported_cost_usd": money(json_field("m", "$.total_cost")),
        },
        tags={
            "gateway": (),
            "upstream_provider": (),
            "upstream_id": ("$.upstream_id",),
            "upstream_cost_usd": ("$.upstream_inference_cost",),
            "is_byok": ("$.is_byok",),
        },
        nested={"data": "$", "response": "$.data"},
        operations={"embeddings": "embedding"},
        amend=_amend,
        signature=(
            frozenset({"data.native_tokens_prompt"}),
            frozenset({"native_tokens_prompt", "native_tokens_completion"}),
        ),
        rank=30,
    )
)
