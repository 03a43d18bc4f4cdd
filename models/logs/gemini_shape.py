"""`usageMetadata` of Gemini, in camel case (the API) and snake case (logs, Python dumps).

The prompt includes cached content; thoughts and tool results stand apart; a modality's prompt count includes what
was cached of it. An absent count is 0 where the total is there.
Source: google-genai Python SDK 3.4.0.
"""

import re

import polars as pl

from models.json_fields import json_field
from models.logs.fees import BY_PROMPT
from models.logs.response_format import Paths
from models.logs.tokens import TokenRule
from models.records import entry_sum

RULE = TokenRule(reasoning_in_completion=False)
TIERS = {
    "ON_DEMAND": "default",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_OFFPEAK": "offpeak",
    "PROVISIONED_THROUGHPUT": "provisioned",
    "TRAFFIC_TYPE_UNSPECIFIED": "default",
    "standard": "default",
}
_LISTS = {
    "audio_input": ("promptTokensDetails", "AUDIO"),
    "image_input": ("promptTokensDetails", "IMAGE"),
    "video_input": ("promptTokensDetails", "VIDEO"),
    "other_input": ("promptTokensDetails", "MODALITY_UNSPECIFIED"),
    "cache_read_audio": ("cacheTokensDetails", "AUDIO"),
    "cache_read_image": ("cacheTokensDetails", "IMAGE"),
    "cached_video": ("cacheTokensDetails", "VIDEO"),
    "audio_output": ("candidatesTokensDetails", "AUDIO"),
    "image_output": ("candidatesTokensDetails", "IMAGE"),
    "other_output": ("candidatesTokensDetails", "MODALITY_UNSPECIFIED"),
}


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", lambda found: "_" + found.group(1).lower(), name)


def both(*names: str) -> tuple[str, ...]:
    """Return the paths of fields of the usage object in both spellings."""
    return tuple(
        path for name in names for path in (f"$.usageMetadata.{name}", f"$.usage_metadata.{_snake(name)}")
    )


COUNTS: Paths = {
    "prompt": both("promptTokenCount"),
    "completion": both("candidatesTokenCount", "responseTokenCount"),
    "total": both("totalTokenCount"),
    "cache_read": both("cachedContentTokenCount"),
    "reasoning": both("thoughtsTokenCount"),
    "tool_prompt": both("toolUsePromptTokenCount"),
}


def _modality(name: str, modality: str) -> str:
    listed = f"coalesce({', '.join(json_field('m', path) for path in _list_paths(name))})"
    return entry_sum(listed, counts=("tokenCount", "token_count"), where=("modality", modality))


def _list_paths(name: str) -> tuple[str, ...]:
    return (*both(name), *(both("responseTokensDetails") if name.startswith("candidates") else ()))


_GROUNDED, _GROUNDED_SNAKE = "$.candidates[0].groundingMetadata", "$.candidates[0].grounding_metadata"
LISTS = (
    f"{_GROUNDED}.webSearchQueries[0]",
    f"{_GROUNDED}.groundingChunks[0].maps.uri",
    f"{_GROUNDED_SNAKE}.web_search_queries[0]",
    f"{_GROUNDED_SNAKE}.grounding_chunks[0].maps.uri",
    *dict.fromkeys(path for name, _ in _LISTS.values() for path in _list_paths(name)),
)
"""Paths that COUNTS_SQL and METERS_SQL read."""


def _all(metadata: str, listed: str) -> str:
    return f'flatten(list_transform(m."candidates", lambda c: coalesce(c."{metadata}"."{listed}", [])))'


_QUERIES = " + ".join(
    f"coalesce(list_unique(list_filter({_all(metadata, listed)}, lambda q: q <> '')), 0)"
    for metadata, listed in (
        ("groundingMetadata", "webSearchQueries"),
        ("grounding_metadata", "web_search_queries"),
    )
)
_MAPS = " + ".join(
    f'coalesce(len(list_filter({_all(metadata, listed)}, lambda c: c."maps"."uri" IS NOT NULL)), 0)'
    for metadata, listed in (
        ("groundingMetadata", "groundingChunks"),
        ("grounding_metadata", "grounding_chunks"),
    )
)
METERS_SQL = {
    "web_search": f"nullif({_QUERIES}, 0)::VARCHAR",
    "maps_grounding": f"CASE WHEN {_MAPS} > 0 THEN '1' END",
}
"""What a prompt was grounded with: distinct queries of Google Search, and whether Google Maps."""
COUNTS_SQL = {name: _modality(*where) for name, where in _LISTS.items()}
"""Counts by modality, over the fields `m` of a body."""


def complete(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Fill absent counts with 0 where the total is there, and count tool results as input."""
    has_total = pl.col("total").is_not_null()
    filled = {
        name: pl.when(has_total).then(pl.col(name).fill_null(0)).otherwise(pl.col(name))
        for name in ("prompt", "completion")
    }
    is_by_prompt = pl.col("model").str.contains(BY_PROMPT) & (pl.col("meter_web_search") > 1)
    return frame.with_columns(
        meter_web_search=pl.when(is_by_prompt).then(1.0).otherwise("meter_web_search"),
        prompt=filled["prompt"] + pl.col("tool_prompt").fill_null(0),
        completion=filled["completion"],
        # Vertex AI names the version of a model that has none `@default`.
        model=pl.col("model").str.strip_suffix("@default"),
        # No class is cached video: it is a cache read, and leaves the video count.
        video_input=pl.col("video_input") - pl.col("cached_video").fill_null(0),
    )
