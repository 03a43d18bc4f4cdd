"""The response object that OpenAI made and many providers return: chat, completions, embeddings, Responses.

`prompt_tokens` includes cached, written, audio and image tokens; `completion_tokens` includes reasoning and audio.
Where the total proves another dialect, that is read: reasoning beside the completion (xAI), the cache beside the
prompt (Claude behind gateways), and Gemini's thoughts, which its answers in this shape have in the total alone. Each
class is looked for in every place where a provider puts it; a 0 in one hides no count in another, and two that differ
are marked.

Sources: openai/openai-openapi 2.3.0; api-docs.deepseek.com (prompt_cache_hit_tokens); platform.moonshot.ai, Together
(usage.cached_tokens); docs.mistral.ai (num_cached_tokens); docs.x.ai (reasoning beside); docs.perplexity.ai;
ai.google.dev/gemini-api/docs/openai (thoughts); DeepInfra (estimated_cost).
"""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from models.json_fields import json_field
from models.logs.cache_writes import split_writes
from models.logs.response_format import Paths, ResponseFormat
from models.logs.tokens import TokenRule
from models.logs.totals import hidden_thoughts
from models.records import money

_IN, _OUT = "$.usage.prompt_tokens_details", "$.usage.completion_tokens_details"
_INPUT, _OUTPUT = "$.usage.input_tokens_details", "$.usage.output_tokens_details"
_REALTIME_IN, _REALTIME_OUT = "$.usage.input_token_details", "$.usage.output_token_details"
_WRITES = f"{_IN}.cache_creation_token_details"

FIELDS: Paths = {
    "response_id": ("$.id",),
    "model": ("$.model",),
    "created": ("$.created",),
    "tier": ("$.service_tier",),
    "object": ("$.object",),
}
COUNTS: Paths = {
    "prompt": ("$.usage.prompt_tokens",),
    "completion": ("$.usage.completion_tokens",),
    "total": ("$.usage.total_tokens",),
    "cache_read": (
        f"{_IN}.cached_tokens",
        "$.usage.prompt_cache_hit_tokens",
        "$.usage.cached_tokens",
        "$.usage.num_cached_tokens",
        "$.usage.cache_read_input_tokens",
        "$.usage.cache_read_tokens",
        "$.usage.prompt_token_details.cached_tokens",
        f"{_IN}.cache_read_tokens",
        f"{_IN}.cache_read_input_tokens",
        f"{_INPUT}.cached_tokens",
        f"{_INPUT}.cache_read_tokens",
        f"{_REALTIME_IN}.cached_tokens",
    ),
    "cache_write_5m": (
        f"{_IN}.cache_write_tokens",
        f"{_INPUT}.cache_write_tokens",
        f"{_WRITES}.ephemeral_5m_input_tokens",
        f"{_IN}.cache_creation.ephemeral_5m_input_tokens",
        "$.usage.cache_creation.ephemeral_5m_input_tokens",
    ),
    "cache_write_1h": (
        f"{_WRITES}.ephemeral_1h_input_tokens",
        f"{_IN}.cache_creation.ephemeral_1h_input_tokens",
        "$.usage.cache_creation.ephemeral_1h_input_tokens",
    ),
    "written": (
        "$.usage.cache_creation_input_tokens",
        "$.usage.cache_write_input_tokens",
        "$.usage.cache_write_tokens",
        f"{_IN}.cache_creation_tokens",
        f"{_IN}.cache_creation_input_tokens",
    ),
    "audio_input": (f"{_IN}.audio_tokens", f"{_INPUT}.audio_tokens", f"{_REALTIME_IN}.audio_tokens"),
    "image_input": (f"{_IN}.image_tokens", f"{_INPUT}.image_tokens", f"{_REALTIME_IN}.image_tokens"),
    "video_input": (f"{_IN}.video_tokens", f"{_INPUT}.video_tokens"),
    "reasoning": (
        f"{_OUT}.reasoning_tokens",
        f"{_OUTPUT}.reasoning_tokens",
        "$.usage.reasoning_tokens",
        f"{_OUTPUT}.thinking_tokens",
    ),
    "citations": ("$.usage.citation_tokens",),
    "audio_output": (f"{_OUT}.audio_tokens", f"{_OUTPUT}.audio_tokens", f"{_REALTIME_OUT}.audio_tokens"),
    "image_output": (f"{_OUT}.image_tokens", f"{_OUTPUT}.image_tokens", f"{_REALTIME_OUT}.image_tokens"),
}
METERS: Paths = {
    "accepted_prediction": (f"{_OUT}.accepted_prediction_tokens",),
    "rejected_prediction": (f"{_OUT}.rejected_prediction_tokens",),
}
OPERATIONS = {
    "chat.completion": "chat",
    "chat.completion.chunk": "chat",
    "text_completion": "completion",
    "list": "embedding",
}
CHAT = frozenset({"object=chat.completion", "choices", "usage"})
RULE = TokenRule(total_decides=True)

_COST, _ESTIMATE, _TICKS = "$.usage.cost", "$.usage.estimated_cost", "$.usage.cost_in_usd_ticks"
REPORTED = (_COST, _ESTIMATE, _TICKS)
"""Paths of what a provider says that a call cost: a number, or Perplexity's breakdown; xAI's ticks of 1e-10 dollars."""


def _reported_cost() -> str:
    cost, estimate, ticks = (json_field("m", path) for path in REPORTED)
    in_dollars = f"(TRY_CAST({ticks} AS DECIMAL(18, 0)) * 0.0000000001::DECIMAL(11, 10))::DECIMAL(38, 12)"
    whole = f"TRY(json_extract_string({cost}, '$.total_cost'))"
    return f"coalesce({money(cost)}, {money(whole)}, {money(estimate)}, {in_dollars})"


def openai_shaped(kind: str, provider: str | None, **more: Any) -> ResponseFormat:
    """Return a format of OpenAI's shape; mappings in `more` are added to the shape's own."""
    own: dict[str, Any] = {
        "fields": FIELDS,
        "counts": COUNTS,
        "operations": OPERATIONS,
        "meters": METERS,
        "columns_sql": {
            "provider_reported_cost_usd": _reported_cost(),
            "is_cost_billed": f"{json_field('m', _TICKS)} IS NOT NULL OR starts_with({json_field('m', _COST)}, '{{')",
        },
    }
    merged = {
        name: {**value, **more.get(name, {})} for name, value in own.items() if isinstance(value, Mapping)
    }
    amend: Callable[[pl.LazyFrame], pl.LazyFrame] = more.pop("amend", lambda frame: frame)
    lists = (*more.pop("lists", ()), *REPORTED)
    return ResponseFormat(
        kind=kind,
        provider=provider,
        rule=RULE,
        lists=lists,
        amend=lambda frame: amend(_complete(frame)),
        **(more | merged),
    )


def _complete(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Settle cache writes by lifetime, and the reasoning that an answer has in its total alone, or beside it all."""
    frame = split_writes(frame)
    rest = pl.col("total") - pl.col("prompt") - pl.col("completion")
    beside_prompt = pl.sum_horizontal("cache_read", "cache_write_5m", "cache_write_1h")
    thoughts = hidden_thoughts(rest, model=pl.col("model"), reasoning=pl.col("reasoning"))
    is_perplexity = pl.col("provider").str.to_lowercase() == "perplexity"
    # Perplexity counts reasoning and citations beside its prompt and completion, and leaves them out of its total.
    citations = pl.when(is_perplexity).then("citations")
    return frame.with_columns(
        reasoning=pl.coalesce(pl.when(rest != beside_prompt).then(thoughts), "reasoning"),
        prompt=pl.col("prompt") + citations.fill_null(0),
        other_input=citations,
        is_reasoning_beside=is_perplexity,
        # A total of 0 beside counts is one that was not told.
        total=pl.when(~is_perplexity.fill_null(value=False) & (pl.col("total") != 0)).then("total"),
    )
