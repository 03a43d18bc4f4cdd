"""Where the prefix of a call was used last: the memory that a prompt cache keeps, replayed from the log."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import polars as pl
import yaml

from models.routing.attempts import tokens_of
from models.routing.cheapest import Ints
from models.routing.work import NEVER, READS, UNKNOWN_GAP
from models.schemas.vocabulary import INPUT_CLASSES

LEAST_CACHED_TOKENS = 1024
"""Prefixes shorter than this are not cached (OpenAI, and Anthropic's larger models)."""
_CACHED = (*READS, "cache_write_5m", "cache_write_1h")


@dataclass(frozen=True)
class Sessions:
    """What came before each attempt in its session or with its prefix.

    Attributes:
        gaps: seconds since the previous call, wherever it went; UNKNOWN_GAP where no session and no prefix is
            known, NEVER for the first call.
        previous: row of the previous successful call; -1 where there is none.
    """

    gaps: Ints
    previous: Ints


@cache
def cache_lifetimes() -> tuple[dict[str, int], int]:
    """Return how many seconds each provider keeps an unused prefix, and what is taken for all others."""
    text = (files("data") / "policies" / "cache_lifetimes.yml").read_text(encoding="utf-8")
    stated: dict[str, Any] = yaml.safe_load(text)
    return {name: entry["seconds"] for name, entry in stated["providers"].items()}, stated["other"]


def sessions_of(attempts: pl.DataFrame) -> Sessions | None:
    """Find the previous call of every attempt; None where the log names neither session nor prefix.

    Args:
        attempts: successful attempts with `started_at` and, where the log has them, `prefix_hash, session_id`.
    """
    # A prefix says more than a session; the two never mean the same.
    keys = [
        pl.format(f"{sign}{{}}", name)
        for sign, name in (("p", "prefix_hash"), ("s", "session_id"))
        if name in attempts.columns
    ]
    if not keys:
        return None
    named = attempts.select(
        pl.int_range(pl.len()).alias("row"),
        pl.coalesce(keys).alias("key"),
        pl.col("started_at").dt.timestamp("us").alias("at"),
    ).drop_nulls("key")
    if named.is_empty():
        return None
    named = named.with_columns(pl.col("key").hash().alias("hashed")).sort("hashed", "at", "row")
    is_same = pl.col("key") == pl.col("key").shift(1)
    found = named.select(
        "row",
        pl.when(is_same).then(pl.col("row").shift(1)).otherwise(-1).fill_null(-1).alias("previous"),
        pl.when(is_same)
        .then((pl.col("at") - pl.col("at").shift(1)) // 1_000_000)
        .otherwise(NEVER)
        .fill_null(NEVER)
        .alias("gap"),
    )
    gaps = np.full(attempts.height, UNKNOWN_GAP, dtype=np.int64)
    previous = np.full(attempts.height, -1, dtype=np.int64)
    rows = found.get_column("row").to_numpy()
    gaps[rows] = found.get_column("gap").to_numpy()
    previous[rows] = found.get_column("previous").to_numpy()
    return Sessions(gaps, previous)


def moved(attempts: pl.DataFrame, sessions: Sessions) -> pl.DataFrame:
    """Return the attempts that found no cache because the previous call of their session went elsewhere.

    The warm tokens are what that call read from or wrote to its cache; where its log reports no cache, its input
    as far as this call has as much.

    Returns:
        `row`, `warm_provider, warm_region, warm_model`, `warm_tokens`, `is_reported` (its log reports the cache).
    """
    lifetimes, other = cache_lifetimes()
    place = ("provider", "region", "model")
    input_tokens, cached, reads = (
        tokens_of(attempts.columns, names) for names in (INPUT_CLASSES, _CACHED, READS)
    )
    rows = np.flatnonzero(sessions.previous >= 0)
    facts = attempts.select(
        *(pl.col(name).cast(pl.String) for name in place), input=input_tokens, cached=cached, reads=reads
    )
    here = facts[rows]
    before = facts[sessions.previous[rows]].rename({name: f"warm_{name}" for name in place})
    before = before.drop("reads").rename({"input": "warm_input", "cached": "warm_cached"})
    pairs = here.hstack(before).with_columns(
        pl.Series("row", rows), pl.Series("gap", sessions.gaps[rows]),
        pl.col("warm_provider").replace_strict(lifetimes, default=other, return_dtype=pl.Int64).alias("lifetime"),
    )  # fmt: skip
    is_elsewhere = ~pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(f"warm_{name}")) for name in ("provider", "model")
    )
    is_reported = pl.col("warm_cached") > 0
    warm = pl.when(is_reported).then("warm_cached").otherwise("warm_input")
    return (
        pairs.filter(is_elsewhere, pl.col("reads") == 0, pl.col("gap") <= pl.col("lifetime"))
        .select(
            "row",
            *(f"warm_{name}" for name in place),
            pl.min_horizontal(warm, "input").alias("warm_tokens"),
            is_reported.alias("is_reported"),
        )
        .filter(pl.col("warm_tokens") >= LEAST_CACHED_TOKENS)
    )
