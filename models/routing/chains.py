"""Attempts of one logical request: which asked the same again, and which raced each other."""

import polars as pl

from models.routing.attempts import identities, tokens_of
from models.schemas.vocabulary import INPUT_CLASSES

_SAME_WORK = ("logical_request_id", "route", "task_class")
_PLACE = ("provider", "region", "model", "deployment")


def chained(costs: pl.LazyFrame, attempts: pl.DataFrame, links: pl.DataFrame | None) -> pl.DataFrame | None:
    """Return the attempts that share their logical request with others, in order of time; None where none do.

    Args:
        costs: core.request_costs, as for `attempts_of`.
        attempts: what `attempts_of` made of them, failed ones included.
        links: `source, request_id, finished_at, retry_of` of core.requests; None = not known.

    Returns:
        `row` (of the attempts), `logical_request_id, route, task_class, provider, region, model, deployment, status,
        started_at, finished_at, attempt_no, request_id, retry_of, input` (tokens) and `cost`.
    """
    if "logical_request_id" not in attempts.columns:
        return None
    asked = attempts.get_column("logical_request_id").unique().drop_nulls()
    # The attempt whose id is that of the logical request names none.
    heads = (
        costs.select(
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("position"), "request_id", "logical_request_id"
        )
        .filter(pl.col("logical_request_id").is_null(), pl.col("request_id").is_in(asked.implode()))
        .select("position", pl.col("request_id").alias("own"))
        .collect()
    )
    shared = attempts.with_row_index("row").join(heads, on="position", how="left", maintain_order="left").select(
        pl.col("row").cast(pl.Int64),
        "position",
        pl.coalesce("logical_request_id", "own").alias("logical_request_id"),
        "started_at",
        "attempt_no",
        "cost",
        *(pl.col(name).cast(pl.String) for name in ("route", "task_class", "status", *_PLACE)),
        tokens_of(attempts.columns, INPUT_CLASSES).alias("input"),
    ).filter(
        pl.col("logical_request_id").is_not_null(), pl.col("logical_request_id").is_duplicated()
    )  # fmt: skip
    if shared.is_empty():
        return None
    named = shared.join(identities(costs, shared.get_column("position")), on="position")
    if links is None:
        unknown = (("finished_at", shared.schema["started_at"]), ("retry_of", pl.String()))
        linked = named.with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in unknown)
    else:
        linked = named.join(links, on=["source", "request_id"], how="left")
    return linked.sort("logical_request_id", "started_at", "row")


def asked_again(chain: pl.DataFrame) -> pl.DataFrame:
    """Return attempts with the group of those that asked the same: `row, group`; one may be in several groups.

    The same is asked again by a later try (`attempt_no` grows from one attempt of the route and class of work to the
    next), by an attempt that names the one that it repeats, and by one with as many tokens of input. A hop of an
    agent shares the logical request and none of these.
    """
    is_first = ~(pl.col("attempt_no") > pl.col("attempt_no").shift(1).over(_SAME_WORK)).fill_null(value=False)
    tries = chain.with_columns(is_first.cum_sum().over(_SAME_WORK).alias("try")).with_columns(
        pl.struct(*_SAME_WORK, "try").hash().alias("group")
    )
    prompts = chain.filter(pl.col("input") > 0).with_columns(
        pl.struct(*_SAME_WORK, "input").hash().alias("group")
    )
    repeats = chain.filter(pl.col("retry_of").is_not_null())
    originals = chain.join(
        repeats.select("logical_request_id", pl.col("retry_of").alias("request_id")).unique(),
        on=["logical_request_id", "request_id"],
    )
    named = pl.concat(
        [
            repeats.with_columns(pl.struct("logical_request_id", "retry_of").hash().alias("group")),
            originals.with_columns(
                pl.struct("logical_request_id", pl.col("request_id").alias("retry_of")).hash().alias("group")
            ),
        ]
    )
    return pl.concat([part.select("row", "group") for part in (tries, prompts, named)])


def lost_races(chain: pl.DataFrame) -> pl.DataFrame:
    """Return the attempts that ran beside the one that answered first, and were thrown away.

    Of attempts of one logical request, route and class of work whose times overlap, the first to finish well won. One
    that was cancelled lost; one that succeeded lost where it was asked the same (as many tokens of input) at another
    place. Several answers of one place are samples, which somebody may have wanted.

    Returns:
        `row, cost, winner_model, winner_provider, confidence`.
    """
    upto = pl.max_horizontal("started_at", "finished_at").cum_max().shift(1).over(_SAME_WORK)
    raced = (
        chain.filter(pl.col("status") != "error")
        .with_columns(~(pl.col("started_at") < upto).fill_null(value=False).alias("is_new"))
        .with_columns(pl.col("is_new").cum_sum().over(_SAME_WORK).alias("race"))
        .filter(pl.len().over(*_SAME_WORK, "race") > 1)
    )
    race = [*_SAME_WORK, "race"]
    winners = (
        raced.filter(pl.col("status") == "ok", pl.col("finished_at").is_not_null())
        .sort("finished_at", "started_at", "row")
        .group_by(race, maintain_order=True)
        .agg(
            pl.col(name).first().alias(f"winner_{name}") for name in ("row", "finished_at", "input", *_PLACE)
        )
    )
    is_elsewhere = ~pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"winner_{name}")) for name in _PLACE)
    is_cancelled = pl.col("status") == "cancelled"
    is_same_prompt = (pl.col("input") > 0) & (pl.col("input") == pl.col("winner_input"))
    return (
        raced.join(winners, on=race, nulls_equal=True)
        .filter(
            pl.col("row") != pl.col("winner_row"),
            pl.col("started_at") < pl.col("winner_finished_at"),
            is_cancelled | (is_elsewhere & is_same_prompt),
        )
        .select(
            "row",
            "cost",
            "winner_model",
            "winner_provider",
            pl.when(is_cancelled).then(0.9).otherwise(0.7).alias("confidence"),
        )
        .sort("row")
    )
