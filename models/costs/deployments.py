"""What a project says of its own names: attempts take provider, model, region and tier from `ref.deployments`."""

from datetime import datetime

import polars as pl

from models.costs.rates import is_known

NAMED_IN = ("routed_model", "requested_model", "route", "served_model")
"""Columns that may hold an alias, in the order in which they count: what was called, before what answered."""
_SAID = ("provider", "model", "region", "service_tier", "pool")


def deployed(attempts: pl.DataFrame, deployments: pl.DataFrame, *, as_known_at: datetime) -> pl.DataFrame:
    """Return attempts with what `deployments.yml` says of the names in them, and `provisioned_pool`.

    Args:
        attempts: canonical attempts.
        deployments: ref.deployments.
        as_known_at: entries learned later do not count.

    Returns:
        The attempts in their order: `provider`, `served_model`, `region` and `service_tier` as the file says where
        it does; `provisioned_pool` where it names one.
    """
    known = deployments.filter(is_known(as_known_at)).select(
        "alias", "valid_from", "valid_to", *(pl.col(name).alias(f"said_{name}") for name in _SAID)
    )
    if known.is_empty():
        return attempts.with_columns(provisioned_pool=pl.lit(None, dtype=pl.String))
    numbered = attempts.with_row_index("number")
    ends = pl.col("valid_to")
    found = pl.concat(
        numbered.select("number", "started_at", pl.col(column).alias("alias"), place=pl.lit(place))
        .join(known, on="alias", how="inner")
        .filter(pl.col("started_at") >= pl.col("valid_from"), ends.is_null() | (pl.col("started_at") < ends))
        for place, column in enumerate(NAMED_IN)
    )
    first = found.sort("number", "place").unique("number", keep="first", maintain_order=True)
    return (
        numbered.join(first.select("number", "^said_.*$"), on="number", how="left", maintain_order="left")
        .with_columns(
            provider=pl.coalesce("said_provider", "provider"),
            served_model=pl.coalesce("said_model", "served_model"),
            region=pl.coalesce("said_region", "region"),
            service_tier=pl.coalesce("said_service_tier", "service_tier"),
            provisioned_pool=pl.col("said_pool"),
        )
        .drop("number", "^said_.*$")
    )
