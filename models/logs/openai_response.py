"""Response objects in OpenAI's shape, whoever served them: chat, completions, Responses, embeddings, images, speech.

Many providers return this shape. Who it was is told by `provider` beside, by marks in the answer (a value in
`prompt_filter_results` is Azure's, `cost_in_usd_ticks` xAI's), else by a model's name that is one provider's alone;
where nothing tells, the provider is not known, and nobody's price is booked. The start is `created` (`created_at` of
the Responses API), in Unix seconds; embeddings, images and speech may have none and need a `started_at` beside. A batch
output line gives `custom_id` and the tier `batch`. Hosted tools of the Responses API are counted by its output items
(a `web_search_call` that opens a page is no search; pictures and containers are calls of their own, openai_calls.py),
xAI's by `server_side_tool_usage_details`, Perplexity's as it
counts them. What an image endpoint puts out is image tokens; a transcription billed by duration has seconds and no
tokens. A `gpt-...-search-preview` searches in each call (fees.py).
Sources: openai/openai-openapi 2.3.0; docs.x.ai; docs.perplexity.ai.
"""

import polars as pl

from models.json_fields import json_field
from models.logs.fees import searches
from models.logs.openai_calls import CALLS
from models.logs.openai_shape import CHAT, COUNTS, FIELDS, openai_shaped
from models.logs.responses import response_importer

_CACHED = "$.usage.input_token_details.cached_tokens_details"
_XAI = "$.usage.server_side_tool_usage_details"
_XAI_TOOLS = "$.usage.num_server_side_tools_used"
_SEARCHED = "$.tool_usage.web_search.num_requests"
_LISTS = (
    "$.output[0].type",
    "$.output[0].action.type",
    "$.tools[0].type",
    _XAI_TOOLS,
    _SEARCHED,
    *(
        f"{_XAI}.{tool}_calls"
        for tool in ("web_search", "file_search", "code_interpreter", "image_generation")
    ),
)


def _items(kind: str, *, where: str = "true") -> str:
    return f"""len(list_filter(m."output", lambda e: e."type" = '{kind}' AND {where}))"""


def _counted(items: str, *paths: str) -> str:
    """SQL of a count of tool calls: as the provider counts it, else by output items; NULL where it is 0."""
    counts = ", ".join(f"nullif(TRY_CAST({json_field('m', path)} AS BIGINT), 0)" for path in paths)
    return f"coalesce({counts + ', ' if counts else ''}nullif({items}, 0))::VARCHAR"


# Containers with an id are calls of their own (openai_calls.py).
_CONTAINERS = f"({_items('code_interpreter_call')} > 0)::INTEGER"
# xAI's number of tools says which they were only with its details, or by the items of the answer.
_UNTOLD = (
    f"CASE WHEN {json_field('m', f'{_XAI}.web_search_calls')} IS NULL "
    f"""AND coalesce(len(list_filter(m."output", lambda e: e."type" LIKE '%_call' """
    f"""AND e."type" NOT IN ('function_call', 'custom_tool_call'))), 0) = 0 """
    f"THEN nullif({json_field('m', _XAI_TOOLS)}, '0') END"
)
# Of models that do not reason the preview of the tool has a fee of its own (platform.openai.com/docs/pricing).
_IS_PREVIEW = (
    """coalesce(len(list_filter(m."tools", lambda e: e."type" LIKE 'web_search_preview%')) > 0 """
    """AND regexp_matches(m."model", '^(gpt-4o|gpt-4\\.1|chatgpt-4o)'), false)"""
)
_SEARCHES = _items("web_search_call", where="""coalesce(e."action"."type", 'search') = 'search'""")

_SEARCH_COUNT = _counted(_SEARCHES, _SEARCHED, f"{_XAI}.web_search_calls")


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    no_object = pl.col("object").is_null() & pl.col("response_id").is_null()
    is_speech = no_object & (
        pl.col("usage_type").is_in(["tokens", "duration"]) | pl.col("task").is_not_null()
    )
    is_image = no_object & ~is_speech.fill_null(value=False) & pl.col("has_image_usage")
    is_image = is_image | (pl.col("object") == "image").fill_null(value=False)
    operation = pl.when(is_image).then(pl.lit("image")).when(is_speech).then(pl.lit("audio"))
    is_perplexity = pl.col("provider").str.to_lowercase() == "perplexity"
    is_deep = is_perplexity & pl.col("model").str.contains("deep-research", literal=True)
    size = pl.when(is_perplexity & ~is_deep).then("context_size")
    has_usage = pl.col("completion").is_not_null()
    searched = searches(pl.col("meter_web_search"), model=pl.col("model"), has_usage=has_usage)
    is_spoken = pl.col("event").str.starts_with("speech.audio").fill_null(value=False)
    return frame.with_columns(
        audio_output=pl.when(is_spoken)
        .then(pl.coalesce("audio_output", "completion"))
        .otherwise("audio_output"),
        region=pl.col("region").str.to_lowercase().str.replace_all(" ", "", literal=True),
        tier=pl.when(pl.col("spillover").is_not_null()).then(pl.lit("spillover")).otherwise("tier"),
        is_estimated=(pl.col("estimate") == "true").fill_null(value=False),
        object=pl.coalesce("object", pl.when(is_spoken).then(pl.lit("audio")), operation),
        image_output=pl.when(is_image)
        .then(pl.coalesce("image_output", "completion"))
        .otherwise("image_output"),
        meter_web_search=pl.when(is_deep).then("meter_num_search_queries").otherwise(searched),
        meter_num_search_queries=pl.when(~is_deep.fill_null(value=False)).then("meter_num_search_queries"),
        meter_search_context_medium=pl.when(size == "medium").then(1.0),
        meter_search_context_high=pl.when(size == "high").then(1.0),
    )


IMPORTER = response_importer(
    openai_shaped(
        "openai_response",
        None,
        fields={
            "created": (*FIELDS["created"], "$.created_at"),
            "ended": ("$.completed_at",),
            "state": ("$.status",),
            "error_class": ("$.error.code",),
            "usage_type": ("$.usage.type",),
            "task": ("$.task",),
            "context_size": ("$.usage.search_context_size",),
            "region": ('$.headers."x-ms-region"',),
            "spillover": ('$.headers."x-ms-spillover-from-deployment"',),
            "call_id": ("$.further_call.id",),
            "event": ("$.type",),
            "estimate": ("$.further_call.is_estimate",),
        },
        counts={
            "prompt": (*COUNTS["prompt"], "$.usage.input_tokens"),
            "completion": (*COUNTS["completion"], "$.usage.output_tokens"),
            "cache_read_audio": (f"{_CACHED}.audio_tokens",),
            "cache_read_image": (f"{_CACHED}.image_tokens",),
        },
        lists=_LISTS,
        beside=("headers",),
        calls_sql=CALLS,
        columns_sql={
            "has_image_usage": f"{json_field('m', '$.usage.input_tokens')} IS NOT NULL AND "
            f"{json_field('m', '$.usage.input_tokens_details.image_tokens')} IS NOT NULL",
        },
        meters={
            "audio_seconds": ("$.usage.seconds", "$.duration"),
            "num_search_queries": ("$.usage.num_search_queries",),
            "search_context_medium": (),
            "search_context_high": (),
            "live_search_sources": ("$.usage.num_sources_used",),
            "x_search": (f"{_XAI}.x_search_calls",),
            "document_search": (f"{_XAI}.document_search_calls",),
            "search_units": ("$.usage.search_units",),
        },
        meters_sql={
            "web_search": f"CASE WHEN NOT {_IS_PREVIEW} THEN {_SEARCH_COUNT} END",
            "web_search_preview": f"CASE WHEN {_IS_PREVIEW} THEN {_SEARCH_COUNT} END",
            "file_search": _counted(_items("file_search_call"), f"{_XAI}.file_search_calls"),
            "server_side_tools": _UNTOLD,
            "code_interpreter": _counted(_CONTAINERS, f"{_XAI}.code_interpreter_calls"),
            "image_generation": _counted(_items("image_generation_call"), f"{_XAI}.image_generation_calls"),
        },
        operations={
            "response": "chat",
            "realtime.response": "chat",
            "image": "image",
            "audio": "audio",
        },
        amend=_amend,
        signature=(
            CHAT,
            frozenset({"choices", "usage.prompt_tokens"}),
            frozenset({"object=text_completion", "choices"}),
            frozenset({"id=resp_", "object=response"}),
            frozenset({"object=response", "output", "usage"}),
            frozenset({"type=response.done", "response.usage"}),
            frozenset({"object=realtime.response"}),
            frozenset({"object=list", "data[0].object=embedding", "usage"}),
            frozenset({"data[0].b64_json", "usage.input_tokens_details"}),
            frozenset({"data[0].url", "usage.input_tokens_details"}),
            frozenset({"text", "usage.type=duration"}),
            frozenset({"type=speech.audio.done", "usage"}),
            frozenset({"text", "usage.type=tokens"}),
            frozenset({"task=transcribe", "duration"}),
            frozenset({"custom_id", "response"}),
        ),
        rank=56,
    )
)
