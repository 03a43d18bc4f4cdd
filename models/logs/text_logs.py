"""What text logs of servers have in common: lines that are calls, other lines, and messages that go on below a line."""

import polars as pl

from models.logs.requests import canonical


def calls_of_text(frame: pl.LazyFrame, *, is_line: pl.Expr, is_call: pl.Expr, log: str) -> pl.LazyFrame:
    """Return the canonical rows of a text log: what is no call is ignored, what is no line of the log is refused.

    Args:
        frame: the records of a file.
        is_line: whether a record is a line of the log; NULL reads as no.
        is_call: whether a line tells a call.
        log: whose log it is, in words.
    """
    is_line = is_line.fill_null(value=False)
    # A message of several lines, such as a traceback, goes on below its head.
    goes_on = ~is_line & is_line.any()
    rows = canonical(frame).with_columns(is_ignored=(is_line & ~is_call) | goes_on)
    return rows.with_columns(
        quarantine_reason=pl.when(is_line).then("quarantine_reason").otherwise(pl.lit("unknown_shape")),
        quarantine_detail=pl.when(is_line).then("quarantine_detail").otherwise(pl.lit(f"no line of {log}")),
    )
