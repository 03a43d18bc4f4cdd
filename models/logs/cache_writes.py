"""Cache writes by lifetime: what a total holds beyond the stated parts has no stated lifetime, and counts as 5 m."""

import polars as pl


def split_writes(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Settle `cache_write_5m` from the total `written` and the parts.

    Args:
        frame: columns `written, cache_write_5m, cache_write_1h`; NULL where absent.

    Returns:
        The frame with `cache_write_5m` (below zero where the parts exceed the total, so that the row is refused) and
        `is_split_assumed`.
    """
    short, long = pl.col("cache_write_5m").fill_null(0), pl.col("cache_write_1h").fill_null(0)
    # LangChain sets the total to 0 where it tells the parts.
    written = pl.when((pl.col("written") != 0) | (short + long == 0)).then("written")
    return frame.with_columns(
        cache_write_5m=pl.coalesce(written - long, "cache_write_5m"),
        is_split_assumed=(written > short + long).fill_null(value=False),
    )
