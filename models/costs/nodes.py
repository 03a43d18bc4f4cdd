"""Rented nodes: what of them no replica holds. A node is a replica of the deployment `(none)` by its own name.

A replica names the node that it runs on; one that spans several (tensor or pipeline parallel) names all, with commas
between, and holds as many of its accelerators on each.
"""

import polars as pl

from models.schemas.vocabulary import NONE_DEPLOYMENT

_IS_NODE = pl.col("deployment") == NONE_DEPLOYMENT
_NAMES = pl.col("node").str.split(",").list.eval(pl.element().str.strip_chars())


def nodes_of(intervals: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part intervals into those of nodes (`(none)`; each one's name is its `replica_id`) and those of replicas.

    What a vendor takes back is the node: `interrupted_after` of replicas on one is its own.
    """
    nodes, replicas = intervals.filter(_IS_NODE), intervals.filter(~_IS_NODE)
    if nodes.is_empty():
        return nodes, replicas
    of_node = nodes.group_by(pl.col("replica_id").alias("first_node")).agg(
        pl.col("interrupted_after").drop_nulls().first().alias("node_interrupted_after"),
        pl.lit(value=True).alias("is_on_node"),
    )
    after = pl.when("is_on_node").then("node_interrupted_after").otherwise("interrupted_after")
    return nodes, (
        replicas.with_columns(_NAMES.list.first().alias("first_node"))
        .join(of_node, on="first_node", how="left", maintain_order="left")
        .with_columns(after.alias("interrupted_after"))
        .drop("first_node", "node_interrupted_after", "is_on_node")
    )


def is_on(nodes: pl.DataFrame) -> pl.Expr:
    """Return whether a replica runs on one of the nodes."""
    names = nodes.get_column("replica_id").unique().to_list()
    return (_NAMES.list.set_intersection(names).list.len() > 0).fill_null(value=False)


def unheld(nodes: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Return the intervals in which a node had accelerators that no replica held, as many as `units` says.

    A replica holds its accelerators from when it is scheduled on its node; more than the node has leave none.

    Args:
        nodes: intervals of nodes.
        held: what replicas hold of them, by `held_of_nodes`.
    """
    nodes = nodes.filter(pl.col("phase") != "waiting")
    if nodes.is_empty():
        return nodes
    facts = nodes.group_by(_key_of(nodes, "replica_id").alias("node"), maintain_order=True).agg(
        pl.col("replica", "replica_id", "source", "cluster").first(),
        pl.col("provider", "region", "chip", "commitment", "model").first(),
        pl.col("life_started_at").min(),
        pl.col("interrupted_after").drop_nulls().first(),
    )
    found = (
        held.with_columns((pl.col("owned") - pl.col("held")).alias("units"))
        .filter(pl.col("units") > 0)
        .join(facts, on="node")
        .with_columns(
            pl.lit(NONE_DEPLOYMENT).alias("deployment"),
            pl.lit("ready").alias("state"),
            pl.lit("ready").alias("phase"),
            pl.lit(1, dtype=pl.Int32).alias("chip_count"),
            pl.lit(value=False).alias("is_last"),
            pl.lit(0, dtype=nodes.schema["life"]).alias("life"),
        )
    )
    absent = [
        pl.lit(None, dtype=dtype).alias(column)
        for column, dtype in nodes.schema.items()
        if column not in found
    ]
    return found.with_columns(absent).select(nodes.columns).sort("replica", "started_at")


def held_of_nodes(nodes: pl.DataFrame, replicas: pl.DataFrame) -> pl.DataFrame:
    """Return what each node has and what of it replicas hold, as parts: `node, owned, held, started_at, ended_at`."""
    nodes = nodes.filter(pl.col("phase") != "waiting")
    name = _key_of(nodes, "replica_id").alias("node")
    held = _held(replicas, nodes).join(nodes.select(name).unique(), on="node", how="semi")
    none = pl.lit(0, dtype=pl.Int64)
    changes = []
    for side, sign in (("started_at", 1), ("ended_at", -1)):
        at = pl.col(side).alias("at")
        changes.append(nodes.select(name, at, (pl.col("units") * sign).alias("owned"), none.alias("held")))
        changes.append(held.select("node", at, none.alias("owned"), (pl.col("units") * sign).alias("held")))
    return (
        pl.concat(changes)
        .drop_nulls("at")
        .group_by("node", "at")
        .agg(pl.col("owned").sum(), pl.col("held").sum())
        .sort("node", "at")
        .with_columns(
            pl.col("owned").cum_sum().over("node"),
            pl.col("held").cum_sum().over("node"),
            pl.col("at").shift(-1).over("node").alias("ended_at"),
        )
        .filter(pl.col("ended_at").is_null() | (pl.col("ended_at") > pl.col("at")))
        .rename({"at": "started_at"})
    )


def with_over_held(nodes: pl.DataFrame, replicas: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Name in the `repair` of replicas that their node had fewer accelerators than all on it say that they hold."""
    if nodes.is_empty():
        return replicas
    over = held.filter(pl.col("held") > pl.col("owned"), pl.col("owned") > 0).select(
        "node", pl.col("started_at").alias("from_at"), pl.col("ended_at").alias("to_at")
    )
    if over.is_empty():
        return replicas
    rows = replicas.with_row_index("row")
    stated = (
        _names(rows.filter(pl.col("phase") != "waiting"), nodes, "row", "started_at", "ended_at")
        .join(over, on="node")
        .filter(
            pl.col("to_at").is_null() | (pl.col("started_at") < pl.col("to_at")),
            pl.col("ended_at").is_null() | (pl.col("ended_at") > pl.col("from_at")),
        )
        .get_column("row")
        .unique()
    )
    named = pl.concat_str("repair", pl.lit("over_held_node"), separator=", ", ignore_nulls=True)
    is_stated = pl.col("row").is_in(stated.to_list())
    return rows.with_columns(pl.when(is_stated).then(named).otherwise("repair").alias("repair")).drop("row")


def _key_of(nodes: pl.DataFrame, name: str) -> pl.Expr:
    """Return what tells a node apart: its name, with its region where nodes of several regions bear it."""
    regions = nodes.group_by("replica_id").agg(pl.col("region").n_unique().alias("regions"))
    shared = regions.filter(pl.col("regions") > 1).get_column("replica_id").to_list()
    return (
        pl.when(pl.col(name).is_in(shared)).then(pl.concat_str(name, "region", separator="@")).otherwise(name)
    )


def _names(replicas: pl.DataFrame, nodes: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Return a row for each node that a replica names: its key as `node`, `place` among `count`, and columns."""
    return (
        replicas.filter(pl.col("node").is_not_null())
        .with_columns(_NAMES.alias("names"))
        .with_columns(pl.col("names").list.len().cast(pl.Int64).alias("count"))
        .with_columns(pl.int_ranges(0, "count").alias("place"))
        .explode("names", "place")
        .select(_key_of(nodes, "names").alias("node"), "place", "count", *columns)
    )


def _held(replicas: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Return `node, units, started_at, ended_at` of what replicas hold, a row for each node; parts sum to it."""
    upto = [(pl.col("units") * (pl.col("place") + step)) // pl.col("count") for step in (1, 0)]
    holding = replicas.filter(pl.col("phase") != "waiting")
    return _names(holding, nodes, "units", "started_at", "ended_at").select(
        "node", "started_at", "ended_at", (upto[0] - upto[1]).alias("units")
    )
