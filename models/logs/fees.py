"""Fees that a model's name tells: some models search the web in each call, of some a call pays for one search.

Source: platform.openai.com/docs/guides/tools-web-search (Chat Completions: such a model always searches),
ai.google.dev/gemini-api/docs/pricing.
"""

import polars as pl

_ALWAYS = r"(?:^|[/.:])gpt-[a-z0-9.-]*-search-(?:preview|api)\b"

BY_PROMPT = r"gemini-(?:1|2)"
"""Models of which a grounded prompt is billed once, however many queries it took."""


def searches(counted: pl.Expr, *, model: pl.Expr, has_usage: pl.Expr) -> pl.Expr:
    """Return the searches that a call pays for, or the one of a model that always searches; NULL for none."""
    always = (model.str.contains(_ALWAYS) & has_usage).fill_null(value=False)
    by_prompt = (model.str.contains(BY_PROMPT) & (counted > 1)).fill_null(value=False)
    return pl.when(by_prompt).then(1).when(counted > 0).then(counted).when(always).then(1)
