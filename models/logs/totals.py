"""Settle what the totals of a count include, by what the record itself proves.

An SDK's `input` includes what was read from and written to a cache, or does not; its `output` includes reasoning, or
does not. Which, often differs by the version of the instrumentation. Where the record states a total over all, the
sum that equals it tells; where it states the input that was not cached, that tells.
"""

import polars as pl

_CACHED = ("cache_read", "cache_write_5m", "cache_write_1h")


def settle_totals(
    frame: pl.LazyFrame, *, cache_apart: pl.Expr, reasoning_apart: pl.Expr, model: pl.Expr
) -> pl.LazyFrame:
    """Make `prompt` include the cache and `completion` include reasoning.

    Args:
        frame: columns `prompt, completion, total, reasoning, tool_input, fresh, cache_read, cache_write_5m,
            cache_write_1h`; NULL where absent.
        cache_apart: whether the dialect is known to count the cache beside the input, where the record proves nothing.
        reasoning_apart: whether it may count reasoning beside the output: so it is read where the output is smaller.
        model: the model's name: some instrumentations hand on Gemini's total and not the thoughts in it.

    Returns:
        The frame with `prompt`, `completion` and `reasoning` settled, and `is_proven`: the stated total equals the sum
        of a documented dialect, NULL where no total is stated.
    """
    prompt, completion, total, fresh = (pl.col(name) for name in ("prompt", "completion", "total", "fresh"))
    zero = pl.lit(0, dtype=pl.Int64)
    cached = pl.sum_horizontal(_CACHED)
    reasoning, tool = pl.col("reasoning").fill_null(0), pl.col("tool_input").fill_null(0)
    base = prompt.fill_null(0) + completion.fill_null(0)
    # In the order of preference where two sums are equal.
    sums = [
        (base, zero, zero),
        (base + reasoning, zero, reasoning),
        (base + cached, cached, zero),
        (base + cached + reasoning, cached, reasoning),
        (base + tool, tool, zero),
        (base + tool + reasoning, tool, reasoning),
        (base + tool + cached, tool + cached, zero),
        (base + tool + cached + reasoning, tool + cached, reasoning),
    ]
    unstated_in = (
        pl.when((fresh + cached == prompt) | (cached == 0))
        .then(zero)
        .when((fresh == prompt) | cache_apart)
        .then(cached)
        .otherwise(zero)
    )
    unstated_out = (
        pl.when(reasoning_apart & (reasoning > completion.fill_null(0))).then(reasoning).otherwise(zero)
    )
    more_in, more_out = unstated_in + tool, unstated_out
    for amount, added_in, added_out in reversed(sums[1:]):
        is_proof = (total == amount).fill_null(value=False)
        more_in = pl.when(is_proof).then(added_in).otherwise(more_in)
        more_out = pl.when(is_proof).then(added_out).otherwise(more_out)
    # Some sum input and output only, whatever these include: then such a sum proves nothing.
    is_plain = (total == base).fill_null(value=False)
    more_in = pl.when(is_plain).then(unstated_in).otherwise(more_in)
    more_out = pl.when(is_plain).then(unstated_out).otherwise(more_out)
    is_proven = pl.any_horizontal(total == amount for amount, _, _ in sums)
    thoughts = hidden_thoughts(total - base, model=model, reasoning=pl.col("reasoning"))
    thoughts = pl.when(~is_proven.fill_null(value=True)).then(thoughts)
    return frame.with_columns(
        prompt=prompt + more_in,
        completion=completion + more_out + thoughts.fill_null(0),
        reasoning=pl.coalesce(thoughts, "reasoning"),
        is_proven=is_proven | thoughts.is_not_null(),
    )


def hidden_thoughts(rest: pl.Expr, *, model: pl.Expr, reasoning: pl.Expr) -> pl.Expr:
    """Return the thoughts that stand in the total alone, as some tell of Gemini; NULL where there are none.

    Args:
        rest: what the total has beyond input and output.
        model: the model's name.
        reasoning: the reasoning that is told.
    """
    is_gemini = model.str.to_lowercase().str.contains("gemini", literal=True)
    return pl.when(is_gemini & (rest > 0) & (reasoning.fill_null(0) == 0)).then(rest)
