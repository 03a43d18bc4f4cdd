"""Make the token classes of an inclusive count disjoint. A negative remainder is never clamped."""

import polars as pl

from models.schemas.vocabulary import TOKEN_COLUMNS

PARTS = (
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "video_input",
    "reasoning",
    "audio_output",
    "image_output",
)


def disjoint(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Split inclusive totals into disjoint classes.

    Args:
        frame: columns `prompt` and `completion` (totals: cached input and reasoning included; NULL when the
            source reported no usage) and one column per name of `PARTS` (NULL when absent).

    Returns:
        The frame with every token column, `is_exclusive` (the totals excluded the cache, read that way),
        `has_usage`, and `negative` (a remainder below zero that no documented variant explains).
    """
    part = {name: pl.col(name).fill_null(0) for name in PARTS}
    cached = part["cache_read"] + part["cache_write_5m"] + part["cache_write_1h"]
    media_in = part["audio_input"] + part["image_input"] + part["video_input"]
    media_out = part["audio_output"] + part["image_output"]
    has_usage = pl.col("prompt").is_not_null() | pl.col("completion").is_not_null()
    prompt, completion = pl.col("prompt").fill_null(0), pl.col("completion").fill_null(0)
    inclusive = prompt - cached - media_in
    # A log of the exclusive variant counts fewer prompt tokens than it read from and wrote to the cache.
    is_exclusive = has_usage & (inclusive < 0) & (cached > 0) & (prompt - media_in >= 0)
    uncached = pl.when(is_exclusive).then(prompt - media_in).otherwise(inclusive)
    output_text = completion - part["reasoning"] - media_out
    smallest = pl.min_horizontal(uncached, output_text, *part.values())
    known = {name: part[name] for name in PARTS} | {"input_uncached": uncached, "output_text": output_text}
    frame = frame.with_columns(
        has_usage=has_usage, is_exclusive=is_exclusive, negative=has_usage & (smallest < 0)
    )
    return frame.with_columns(
        pl.when("has_usage")
        .then(known.get(column.removesuffix("_tokens"), pl.lit(0, dtype=pl.Int64)))
        .otherwise(None)
        .cast(pl.Int64)
        .alias(column)
        for column in TOKEN_COLUMNS
    )
