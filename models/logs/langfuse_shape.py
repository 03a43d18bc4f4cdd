"""Langfuse's `usage_details`: keys that are disjoint, unless a caller wrote totals beside their parts.

A detail that a client's OpenAI-shaped usage had was taken out of `input` or `output` and stands as its own key. Where
`total` is `input` plus `output` although there are details, they are subsets. Source: langfuse/langfuse, ingestion.
"""

from collections.abc import Mapping

import polars as pl

NAMES: dict[str, tuple[str, ...]] = {
    "input": ("input", "input_tokens", "prompt_tokens"),
    "output": ("output", "output_tokens", "completion_tokens"),
    "total": ("total", "total_tokens"),
    "cache_read": ("input_cached_tokens", "input_cache_read", "cache_read_input_tokens"),
    "cache_write_5m": ("cache_creation_input_tokens", "input_cache_creation", "input_cache_creation_5m"),
    "cache_write_1h": ("input_cache_creation_1h",),
    "text_input": ("input_text_tokens",),
    "audio_input": ("input_audio_tokens", "input_audio"),
    "image_input": ("input_image_tokens", "input_image"),
    "reasoning": ("output_reasoning_tokens", "output_reasoning"),
    "text_output": ("output_text_tokens",),
    "accepted": ("output_accepted_prediction_tokens",),
    "rejected": ("output_rejected_prediction_tokens",),
    "audio_output": ("output_audio_tokens", "output_audio"),
    "image_output": ("output_image_tokens", "output_image"),
}
"""Counts and the keys that hold them; the first that is present counts."""
_INPUT_PARTS = ("cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "image_input", "other_input")
_OUTPUT_PARTS = ("reasoning", "audio_output", "image_output", "other_output")


def inclusive(counts: Mapping[str, pl.Expr]) -> tuple[pl.Expr, pl.Expr]:
    """Return the totals of input and of output, all parts included; NULL where a side has no count.

    Args:
        counts: the counts of `NAMES`, and `other_input` and `other_output` where keys are there that it lacks.
    """
    part = {name: count.fill_null(0) for name, count in counts.items()}
    ins = [name for name in _INPUT_PARTS if name in part]
    outs = [name for name in _OUTPUT_PARTS if name in part]
    details_in, details_out = (pl.sum_horizontal(part[name] for name in names) for names in (ins, outs))
    has_subsets = (
        (counts["total"] == part["input"] + part["output"]) & (details_in + details_out > 0)
    ).fill_null(value=False)
    text_in = part["input"] + part["text_input"]
    text_out = part["output"] + part["text_output"] + part["accepted"] + part["rejected"]
    has_input = pl.any_horizontal(counts[name].is_not_null() for name in ("input", "text_input", *ins))
    has_output = pl.any_horizontal(counts[name].is_not_null() for name in ("output", "text_output", *outs))
    prompt = pl.when(has_subsets).then(part["input"]).otherwise(text_in + details_in)
    completion = pl.when(has_subsets).then(part["output"]).otherwise(text_out + details_out)
    return pl.when(has_input).then(prompt), pl.when(has_output).then(completion)
