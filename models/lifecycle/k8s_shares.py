"""How many accelerators, and what share of each, a pod or node has; what a pod takes from its node."""

import polars as pl

from models.lifecycle.kubernetes import CORES

_OF_NODE = ("chip", "region", "commitment", "provider", "family", "share_count", "chip_memory")


def with_nodes(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Give pods the facts of their node where the list holds it, in place of those that they select."""
    nodes = (
        frame.filter(pl.col("object_kind") == "Node")
        .unique(["line_number", "object_name"], keep="first", maintain_order=True)
        .select(
            "line_number",
            pl.col("object_name").alias("node"),
            *(pl.col(n).alias(f"node_{n}") for n in _OF_NODE if n != "chip"),
            pl.coalesce("resource_chip", "chip", neuron_chip()).alias("node_chip"),
        )
    )
    return frame.join(nodes, on=["line_number", "node"], how="left", maintain_order="left").with_columns(
        pl.coalesce(f"node_{name}", name).alias(name) for name in _OF_NODE
    )


def neuron_chip() -> pl.Expr:
    """Return the accelerator of AWS' Inferentia and Trainium machines, whose family is named after it."""
    return pl.col("family").str.extract(r"^(inf\d|trn\d)")


def accelerators_held() -> tuple[pl.Expr, pl.Expr]:
    """Return how many accelerators, or parts of one, a pod or node has, and what share of one each is.

    What limits do not state, claims do (models/lifecycle/k8s_claims.py). A share that is not known is NULL: a core
    where nothing tells the machine, memory where nothing tells the accelerator's, time slices where nothing tells how
    many there are.
    """
    is_node = (pl.col("object_kind") == "Node").fill_null(value=False)
    own, shared = (pl.col(name).list.sum().fill_null(0) for name in ("numbers", "shared_numbers"))
    is_noted = pl.col("is_noted").fill_null(value=False) & (own + shared == 0)
    is_claimed = (pl.col("claimed_count") > 0).fill_null(value=False) & (own + shared == 0)
    count = (
        pl.when(is_noted)
        .then("noted_count")
        .when(is_claimed)
        .then("claimed_count")
        .otherwise(pl.max_horizontal(pl.when(own > 0).then(own).otherwise(shared), "first_count"))
    )
    noted = pl.coalesce("noted_share", pl.col("noted_memory") / pl.col("chip_memory"))
    share = pl.coalesce(pl.col("shares").list.first(), pl.lit("1/1")).str.split("/")
    cores = pl.col("family").replace_strict(CORES, default=None, return_dtype=pl.Int64)
    parts = pl.when(share.list.get(1) == "core").then(cores).otherwise(
        share.list.get(1).cast(pl.Int64, strict=False)
    )  # fmt: skip
    of_shares = share.list.get(0).cast(pl.Int64, strict=False).cast(pl.Float64) / parts
    is_whole = pl.col("shares").list.get(0, null_on_oob=True).fill_null("1/1") == "1/1"
    is_cut = (pl.col("share_count") > 1).fill_null(value=False)
    of_time = pl.when(is_cut).then(1 / pl.col("share_count"))
    limited = pl.max_horizontal(
        pl.col("cores") / 100, pl.col("memory_percent") / 100, pl.col("memory") / pl.col("chip_memory")
    )
    is_limited = pl.any_horizontal(pl.col(n).is_not_null() for n in ("cores", "memory_percent", "memory"))
    fraction = (
        pl.when(is_node).then(1.0)
        .when(is_noted).then(pl.when(noted > 0).then(pl.min_horizontal(noted, 1.0)))
        .when(is_claimed).then("claimed_share")
        .when(is_limited).then(pl.when(limited > 0).then(pl.min_horizontal(limited, 1.0)))
        .when((own > 0) & is_whole & is_cut).then(of_time)
        .when((own == 0) & (shared > 0)).then(of_time)
        .otherwise(of_shares)
    )  # fmt: skip
    number = pl.when(is_node).then("node_count").otherwise(count).cast(pl.Int64)
    return number, fraction.round(6).cast(pl.Decimal(9, 6))
