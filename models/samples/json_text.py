"""JSON text from a template and columns: far faster than building objects row by row."""

import polars as pl


def json_text(template: str, *values: pl.Expr | str) -> pl.Expr:
    """Fill the `{}` places of a template, in which `<` and `>` stand for the braces of JSON itself.

    Args:
        template: JSON text without other `<` or `>`.
        values: columns or expressions, one per place; their text is put in as it is.
    """
    return pl.format(template.replace("<", "{{").replace(">", "}}"), *values)
