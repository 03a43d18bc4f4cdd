"""Fees that a model's name tells: some models search the web in each call, whatever their usage counts.

Source: platform.openai.com/docs/guides/tools-web-search (Chat Completions: such a model always searches).
"""

import polars as pl

_ALWAYS = r"(?:^|[/.:])gpt-[a-z0-9.-]*-search-(?:preview|api)\b"


def searches(counted: pl.Expr, *, model: pl.Expr, has_usage: pl.Expr) -> pl.Expr:
    """Return the searches that a call counts, or the one of a model that always searches; NULL for none."""
    always = (model.str.contains(_ALWAYS) & has_usage).fill_null(value=False)
    return pl.when(counted > 0).then(counted).when(always).then(1)
