"""Make the token classes of a count disjoint. A negative remainder is never clamped."""

from dataclasses import dataclass

import polars as pl

from models.schemas.vocabulary import TOKEN_COLUMNS

PARTS = (
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_read_audio",
    "cache_read_image",
    "audio_input",
    "image_input",
    "video_input",
    "other_input",
    "reasoning",
    "audio_output",
    "image_output",
    "other_output",
)


@dataclass(frozen=True, kw_only=True)
class TokenRule:
    """What the totals of a format include.

    Attributes:
        cache_in_prompt: whether the prompt count includes cache reads and writes.
        reasoning_in_completion: whether the completion count includes reasoning.
        media_in_totals: whether the counts include audio, images and video; of these the prompt's parts include
            what was cached.
        has_exclusive_variant: whether a documented variant of the log counts the prompt without the cache.
        total_decides: whether documented variants count the cache beside the prompt, or reasoning beside the
            completion, and a `total` that includes them tells which.
    """

    cache_in_prompt: bool = True
    reasoning_in_completion: bool = True
    media_in_totals: bool = True
    has_exclusive_variant: bool = False
    total_decides: bool = False


def disjoint(frame: pl.LazyFrame, rule: TokenRule) -> pl.LazyFrame:
    """Split totals into disjoint classes.

    Args:
        frame: columns `prompt` and `completion` (totals; NULL when the source reported none) and, for each name
            of `PARTS` that the format has, a column of it (NULL when absent). `cache_read` is the whole cached
            count, audio and images included. `total` where the rule lets it decide; `is_reasoning_beside` (a
            truth value) where the record itself tells that reasoning is no part of the completion.
        rule: what the totals include.

    Returns:
        The frame with every token column, `is_exclusive` (the prompt seems to exclude the cache, read that way),
        `has_usage`, and `negative` (a count or remainder below zero that no documented variant explains).
    """
    present = set(frame.collect_schema().names())
    zero = pl.lit(0, dtype=pl.Int64)
    part = {name: pl.col(name).fill_null(0) if name in present else zero for name in PARTS}
    has_usage = pl.col("prompt").is_not_null() | pl.col("completion").is_not_null()
    prompt, completion = pl.col("prompt").fill_null(0), pl.col("completion").fill_null(0)
    cached_media = part["cache_read_audio"] + part["cache_read_image"]
    cached = part["cache_read"] + part["cache_write_5m"] + part["cache_write_1h"]
    media_in = part["audio_input"] + part["image_input"] + part["video_input"] + part["other_input"]
    media_out = part["audio_output"] + part["image_output"] + part["other_output"]
    text_in, text_out = prompt, completion
    no = pl.lit(value=False)
    cache_beside, reasoning_beside = no, no
    if "is_reasoning_beside" in present:
        reasoning_beside = pl.col("is_reasoning_beside").fill_null(value=False)
    if rule.total_decides:
        rest = pl.col("total") - prompt - completion
        reasons, caches = part["reasoning"] > 0, cached > 0
        reasoning_only = reasons & (rest == part["reasoning"])
        both = reasons & caches & (rest == part["reasoning"] + cached)
        cache_beside = ((caches & (rest == cached) & ~reasoning_only) | both).fill_null(value=False)
        reasoning_beside = reasoning_beside | (reasoning_only | both).fill_null(value=False)
    if rule.media_in_totals:
        # The cached media lie both in the modality's count and in the cached one: out once.
        text_in, text_out = text_in - media_in + cached_media, text_out - media_out
    if rule.reasoning_in_completion:
        text_out = text_out - pl.when(reasoning_beside).then(0).otherwise(part["reasoning"])
    is_exclusive = no
    uncached = text_in
    if rule.cache_in_prompt:
        uncached = text_in - pl.when(cache_beside).then(0).otherwise(cached)
    if rule.cache_in_prompt and rule.has_exclusive_variant:
        # A log of the exclusive variant counts fewer prompt tokens than it read from and wrote to the cache.
        is_exclusive = has_usage & (uncached < 0) & (cached > 0) & (text_in >= 0) & ~cache_beside
        uncached = pl.when(is_exclusive).then(text_in).otherwise(uncached)
    known = part | {
        "input_uncached": uncached,
        "output_text": text_out,
        "cache_read": part["cache_read"] - cached_media,
        "audio_input": part["audio_input"] - (part["cache_read_audio"] if rule.media_in_totals else zero),
        "image_input": part["image_input"] - (part["cache_read_image"] if rule.media_in_totals else zero),
    }
    classes = {column: known[column.removesuffix("_tokens")] for column in TOKEN_COLUMNS}
    frame = frame.with_columns(
        has_usage=has_usage,
        is_exclusive=is_exclusive,
        negative=has_usage & (pl.min_horizontal(classes.values()) < 0),
    )
    return frame.with_columns(
        pl.when("has_usage").then(tokens).otherwise(None).cast(pl.Int64).alias(column)
        for column, tokens in classes.items()
    )


def total_tokens() -> pl.Expr:
    """Return the sum of all classes, which a reported total must equal; NULL where no usage is known."""
    return pl.when("has_usage").then(pl.sum_horizontal(TOKEN_COLUMNS))
