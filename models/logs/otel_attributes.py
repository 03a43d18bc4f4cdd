"""Attributes of OTLP spans: which names hold what, new names before old and vendors' ones, and how they are picked.

Source: open-telemetry/semantic-conventions (gen_ai), traceloop/openllmetry, OpenInference, vLLM, Langfuse.
"""

import numpy as np
import polars as pl

from models.logs import langfuse_shape

DETAILS = "langfuse.observation.usage_details"
"""Langfuse's SDK writes its counts here, in place of `gen_ai.usage`."""
TEXTS: dict[str, tuple[str, ...]] = {
    "operation_name": ("gen_ai.operation.name", "llm.request.type"),
    "observation_type": ("langfuse.observation.type",),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "requested_model": (
        "gen_ai.request.model",
        "llm.request.model",
        "llm.model_name",
        "langfuse.observation.model.name",
    ),
    "response_model": ("gen_ai.response.model", "llm.response.model"),
    "response_id": ("gen_ai.response.id", "gen_ai.request.id"),
    "session_id": ("gen_ai.conversation.id", "session.id"),
    "user_id": ("user.id", "enduser.id"),
    "agent": ("gen_ai.agent.name",),
    "workflow": ("gen_ai.workflow.name",),
    "tier": (
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "openai.request.service_tier",
        "gen_ai.openai.request.service_tier",
    ),
    "error_class": ("error.type",),
    "route": ("nanodollar.route",),
    "task_class": ("nanodollar.task_class",),
    "tenant": ("nanodollar.tenant", "tenant.id"),
    "usage_details": (DETAILS,),
    "level": ("langfuse.observation.level",),
}
COUNTS: dict[str, tuple[str, ...]] = {
    "prompt": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "llm.token_count.prompt",
    ),
    "completion": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "llm.token_count.completion",
    ),
    "total": ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"),
    "cache_read": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cache_write_5m": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "cache_write_1h": (),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "audio_input": ("gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio"),
    "audio_output": ("gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio"),
    "image_input": ("gen_ai.usage.image.input_tokens",),
    "video_input": ("gen_ai.usage.video.input_tokens",),
    "image_output": (),
}
SECONDS: dict[str, tuple[str, ...]] = {
    "first_chunk": ("gen_ai.response.time_to_first_chunk", "gen_ai.latency.time_to_first_token"),
    "queue_seconds": ("gen_ai.latency.time_in_queue",),
}
_FIELDS = TEXTS | COUNTS | SECONDS
_CODES = {name: code for code, name in enumerate(name for names in _FIELDS.values() for name in names)}
FIELDS = list(_FIELDS)


def pick_attributes(spans: pl.DataFrame) -> pl.DataFrame:
    """Return spans with a text column for each field in place of `attributes`.

    Args:
        spans: column `attributes`, lists of `k` (name) and `v` (value as text).

    Of several names of a field the first in its order counts; of a name written twice the first value.
    """
    entries = spans.select(span=pl.int_range(pl.len()), entry="attributes").explode("entry").unnest("entry")
    code = pl.col("k").replace_strict(
        list(_CODES), list(_CODES.values()), default=None, return_dtype=pl.Int16
    )
    entries = entries.with_columns(code=code).filter(pl.col("code").is_not_null() & pl.col("v").is_not_null())
    entries = entries.sort("code", maintain_order=True)
    span, values = entries["span"].to_numpy(), entries["v"]
    bounds = np.searchsorted(entries["code"].to_numpy(), np.arange(len(_CODES) + 1))
    picked = []
    for field, names in _FIELDS.items():
        place = np.full(spans.height, -1, np.int64)
        for name in reversed(names):
            start, end = bounds[_CODES[name]], bounds[_CODES[name] + 1]
            # Written backwards, so that the first one stays.
            place[span[start:end][::-1]] = np.arange(start, end)[::-1]
        index = pl.Series(place)
        picked.append(values.gather(index.set(index < 0, None)).alias(field))
    picked_spans = spans.drop("attributes").with_columns(picked)
    return (
        picked_spans
        if picked_spans["usage_details"].null_count() == spans.height
        else _detailed(picked_spans)
    )


def _detailed(spans: pl.DataFrame) -> pl.DataFrame:
    """Take the counts of `usage_details` where a span has no other; what cannot be read stays as the prompt."""
    details = pl.col("usage_details").str
    held = {
        name: pl.coalesce(details.json_path_match(f"$.{key}") for key in keys).cast(pl.Int64, strict=False)
        for name, keys in langfuse_shape.NAMES.items()
    }
    prompt, completion = langfuse_shape.inclusive(held)
    counts = held | {"prompt": prompt, "completion": completion}
    unreadable = pl.when(prompt.is_null() & completion.is_null()).then("usage_details")
    return spans.with_columns(
        pl.coalesce(name, counts[name].cast(pl.String), *([unreadable] if name == "prompt" else []))
        for name in COUNTS
        if name in counts
    )
