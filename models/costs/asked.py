"""What a cost row takes from its attempt beside its columns: who asked, by tags, and how long it took."""

import polars as pl

from models.schemas.vocabulary import SAME_TAGS, TAGGED

ASKED = TAGGED
TIMES = ("first_token_seconds", "duration_seconds")
_NAMES = SAME_TAGS | {"agent": ("agent", "agent_name")}
"""Dimension -> the tags that hold it, the first before the others."""


def with_asked(attempts: pl.DataFrame) -> pl.DataFrame:
    """Add `feature, environment, agent` (text) and `first_token_seconds, duration_seconds` (NULL where not known).

    Args:
        attempts: in the shape of core.requests. An end before the start is not known.
    """
    if attempts["tags"].null_count() == attempts.height:
        asked = [pl.lit(None, dtype=pl.String).alias(name) for name in ASKED]
    else:
        tags = pl.col("tags").map
        asked = [
            pl.coalesce(tags.get(tag) for tag in names).replace("", None).alias(name)
            for name, names in _NAMES.items()
        ]
    spans = [
        (pl.col(end) - pl.col("started_at")).dt.total_microseconds()
        for end in ("first_token_at", "finished_at")
    ]
    times = [pl.when(span >= 0).then(span / 1e6).alias(name) for name, span in zip(TIMES, spans, strict=True)]
    return attempts.with_columns(*asked, *times)
