"""Places that answered nothing but errors: no alternative in that minute, nor for the call that they failed."""

import polars as pl

FAILED_AT_LEAST = 2
"""Failed attempts of a minute, without one that succeeded, that mean a place was down in it."""
_PLACE = ("provider", "name")


def down_keys(attempts: pl.DataFrame) -> pl.Series:
    """Return for every attempt the places that were down for it, as a key that `rules.down_places` reads; NULL = none.

    A place is a provider and model. It was down in a minute in which at least FAILED_AT_LEAST attempts failed there
    and none succeeded, and for a logical request of which an attempt failed there.

    Args:
        attempts: all attempts, failed ones included: `provider, model, status, started_at, logical_request_id,
            request_id`.
    """
    nobody = pl.Series("down", [None], dtype=pl.String).extend_constant(None, max(attempts.height - 1, 0))
    nobody = nobody.head(attempts.height)
    status = attempts.get_column("status")
    if not (status == "error").any():
        return nobody
    has_chains = "logical_request_id" in attempts.columns
    rows = attempts.select(
        pl.int_range(pl.len()).alias("row"),
        pl.col("provider").cast(pl.String),
        pl.col("model").cast(pl.String).alias("name"),
        (pl.col("status") != "ok").alias("is_failed"),
        (pl.col("status") == "error").alias("is_error"),
        (pl.col("started_at").dt.timestamp("us") // 60_000_000).alias("minute"),
        pl.col("logical_request_id")
        if has_chains
        else pl.lit(None, dtype=pl.String).alias("logical_request_id"),
    )
    failed = rows.filter(pl.col("is_error"), pl.col("provider").is_not_null(), pl.col("name").is_not_null())
    minutes = failed.group_by(*_PLACE, "minute").len().filter(pl.col("len") >= FAILED_AT_LEAST)
    answered = rows.filter(
        ~pl.col("is_failed"), pl.col("minute").is_in(minutes.get_column("minute").implode())
    )
    out = minutes.join(answered, on=[*_PLACE, "minute"], how="anti").select(*_PLACE, "minute")
    by_minute = rows.filter(pl.col("minute").is_in(out.get_column("minute").unique().implode())).select(
        "row", "minute"
    ).join(out, on="minute")  # fmt: skip
    chains = (
        failed.filter(pl.col("logical_request_id").is_not_null())
        .select(*_PLACE, "logical_request_id")
        .unique()
    )
    by_chain = rows.filter(
        pl.col("logical_request_id").is_in(chains.get_column("logical_request_id").unique().implode())
    ).select("row", "logical_request_id").join(chains, on="logical_request_id")  # fmt: skip
    found = (
        pl.concat([frame.select("row", *_PLACE) for frame in (by_minute, by_chain)])
        .unique()
        .sort("row", *_PLACE)
        .group_by("row", maintain_order=True)
        .agg(pl.concat_str(_PLACE, separator="\t").str.join("\n").alias("down"))
    )
    if found.is_empty():
        return nobody
    return nobody.scatter(found.get_column("row"), found.get_column("down"))
