"""Credits that Snowflake says a call took: a meter in millionths, so that what it costs is exact.

What a credit costs is `usd_per_credit` of contracts.yml. A call whose credits are told is of the tier `credits`: its
tokens cost nothing beside them (data/prices/tokens/snowflake.yml).
"""

import polars as pl

METER_NAME = "microcredits"
_A_CREDIT = 1_000_000


def with_credits(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn `meter_microcredits`, read as credits, into millionths, and set the tier of calls that have it."""
    credits_told = pl.col(f"meter_{METER_NAME}")
    return frame.with_columns(
        (credits_told * _A_CREDIT).alias(f"meter_{METER_NAME}"),
        tier=pl.when(credits_told.is_not_null()).then(pl.lit("credits")).otherwise("tier"),
    )
