"""What each attempt worked on: the replica that it names, or a pool of the deployment that its route names.

Shared vocabulary with models.costs.occupancy: a *unit* is an attempt within one slot.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

_DRAWS = 2**32
_SEVERAL = -2
"""Stands where several replicas or pools are in question."""
Ints = npt.NDArray[np.int64]


def tied_to_owners(
    units: pl.DataFrame, work: pl.DataFrame, held: pl.DataFrame, pools: pl.DataFrame, slot_count: int
) -> pl.DataFrame:
    """Add `unit`, `replica` (-1), `pool` (-1 when nothing is known) and `is_pool_grain` to every unit."""
    deployments = pools.get_column("deployment").unique().sort()
    places = pl.int_range(len(deployments), eager=True)
    home = pools.join(
        pl.DataFrame({"deployment": deployments, "place": places}),
        on="deployment",
        how="left",
        maintain_order="left",
    ).select("pool", "place")
    row, slot = units.get_column("row"), units.get_column("slot").to_numpy()
    named = work.get_column("replica_id").gather(row)
    names = held.select("replica_id", "name").unique()
    replica = _living(
        units, work, _codes(named, names.get_column("replica_id"), names.get_column("name")), held, slot_count
    )
    pool_of = held.group_by("replica").agg(pl.col("pool").first()).sort("replica").get_column("pool")
    is_tied = replica >= 0
    # A code of -1 reads the last element.
    pool = np.append(pool_of.to_numpy(), -1)[replica]
    place = np.append(home.get_column("place").to_numpy(), -1)[pool]
    # What names a replica that is gone by a later hour works nowhere then, whatever hours are looked at.
    is_gone = named.is_not_null().to_numpy() & ~units.get_column("is_first").to_numpy()
    routed = np.flatnonzero(~is_tied & ~is_gone)
    place[routed] = _codes(work.get_column("route").gather(row.gather(routed)), deployments, places)
    routed = routed[place[routed] >= 0]
    line = np.where(place >= 0, place * slot_count + slot, -1)
    is_coarse = np.zeros(len(deployments) * slot_count + 1, dtype=np.bool_)
    is_coarse[line[routed]] = True
    candidates = _candidates(held, home)
    only = candidates.group_by("place", "slot").agg(
        pl.when(pl.len() == 1).then(pl.col("pool").first()).otherwise(_SEVERAL)
    )
    pool_of_route = np.full(len(is_coarse), -1, dtype=np.int64)
    pool_of_route[only.select(pl.col("place") * slot_count + pl.col("slot")).to_series().to_numpy()] = (
        only.get_column("pool").to_numpy()
    )
    pool[routed] = pool_of_route[line[routed]]
    units = units.with_columns(
        pl.Series("place", place), pl.Series("pool", pool), pl.Series("is_pool_grain", is_coarse[line])
    ).with_row_index("unit")
    several = units.filter(pl.col("pool") == _SEVERAL)
    if several.height:
        dealt = _deal(several, candidates, work, pools)
        pool = pool.copy()
        pool[dealt.get_column("unit").to_numpy()] = dealt.get_column("dealt").to_numpy()
    return units.drop("place").with_columns(
        pl.Series("pool", pool), pl.Series("replica", np.where(is_tied & ~is_coarse[line], replica, -1))
    )


def _candidates(held: pl.DataFrame, home: pl.DataFrame) -> pl.DataFrame:
    """Return the pools that may serve a deployment in a slot: those ready then, or all where none is."""
    return (
        held.join(home, on="pool")
        .group_by("place", "slot", "pool")
        .agg(
            pl.when(pl.col("state") == "ready")
            .then((pl.col("ends") - pl.col("starts")) * pl.col("chip_count"))
            .otherwise(0)
            .sum()
            .alias("ready")
        )
        .sort("place", "slot", "pool")
        .filter((pl.col("ready") > 0) | (pl.col("ready").max().over("place", "slot") == 0))
    )


def _codes(values: pl.Series, known: pl.Series, codes: pl.Series) -> Ints:
    """Return the code of each value; -1 where it is not among those known. Each distinct value is looked up once."""
    numbers = values.cast(pl.Categorical)
    distinct = numbers.unique().drop_nulls()
    found = pl.DataFrame({"value": distinct.cast(pl.String)}).join(
        pl.DataFrame({"value": known, "code": codes}), on="value", how="left", maintain_order="left"
    )  # fmt: skip
    at = distinct.to_physical().to_numpy()
    low, high = int(at.min(initial=0)), int(at.max(initial=0))
    table = np.full(high + 2 - low, -1, dtype=np.int64)
    table[at - low] = found.get_column("code").fill_null(-1).to_numpy()
    # NULL reads the last element.
    coded: Ints = table[numbers.to_physical().cast(pl.Int64).fill_null(high + 1).to_numpy() - low]
    return coded


def _living(
    units: pl.DataFrame, work: pl.DataFrame, names: Ints, held: pl.DataFrame, slot_count: int
) -> Ints:
    """Return the replica of each unit's name that is alive in its slot; -1 where none is.

    Of several replicas or lives of one name in a slot, those of the provider and region that the attempt states are
    preferred, and of these the one under way when the unit starts.
    """
    lives = held.group_by("name", "slot").agg(
        pl.col("replica").first(), pl.col("replica").n_unique().alias("lives")
    )
    name, slot, replica = (lives.get_column(column).to_numpy() for column in ("name", "slot", "replica"))
    # A unit without a name reads the last row.
    living = np.full((name.max(initial=-1) + 2, slot_count), -1, dtype=np.int64)
    living[name, slot] = np.where(lives.get_column("lives").to_numpy() > 1, _SEVERAL, replica)
    found: Ints = living[names, units.get_column("slot").to_numpy()]
    several = np.flatnonzero(found == _SEVERAL)
    if len(several):
        stated = work.select("provider", "region")[units.get_column("row").to_numpy()[several]]
        asked = units[several].select("slot", "starts").with_columns(
            pl.Series("name", names[several]), pl.Series("place", several), *stated.get_columns()
        )  # fmt: skip
        known = held.select(
            "name",
            "slot",
            "replica",
            *(pl.col(n).alias(f"own_{n}") for n in ("starts", "provider", "region")),
        )
        fit = pl.sum_horizontal(
            (pl.col(n) == pl.col(f"own_{n}")).fill_null(value=False).cast(pl.Int8)
            for n in ("provider", "region")
        )
        chosen = (
            asked.join(known, on=["name", "slot"])
            .sort(
                "place",
                fit,
                pl.col("own_starts") <= pl.col("starts"),
                (pl.col("own_starts") - pl.col("starts")).abs(),
                "replica",
                descending=[False, True, True, False, False],
            )
            .unique("place", keep="first", maintain_order=True)
        )
        found[chosen.get_column("place").to_numpy()] = chosen.get_column("replica").to_numpy()
    return found


def _deal(
    units: pl.DataFrame, candidates: pl.DataFrame, work: pl.DataFrame, pools: pl.DataFrame
) -> pl.DataFrame:
    """Choose among several pools of one deployment: `unit, dealt`."""
    golden = 2_654_435_769
    where = work.select("request", "source", "request_id", "provider", "region", "work_from")
    sides = pools.select(
        "pool", pl.col("provider").alias("pool_provider"), pl.col("region").alias("pool_region")
    )
    options = (
        units.select("unit", "request", "place", "slot")
        .join(where, on="request")
        .join(candidates, on=["place", "slot"])
        .join(sides, on="pool")
        .with_columns(
            (
                (pl.col("provider") == pl.col("pool_provider")).fill_null(value=False).cast(pl.Int8)
                + (pl.col("region") == pl.col("pool_region")).fill_null(value=False).cast(pl.Int8)
            ).alias("fit")
        )
        .filter(pl.col("fit") == pl.col("fit").max().over("unit"))
    )
    draw = (
        options.select("unit", "place", "slot", "work_from", "source", "request_id")
        .unique()
        .sort("place", "slot", "work_from", "source", "request_id", "unit")
        .select(
            "unit",
            (((pl.int_range(pl.len()).over("place", "slot") + 1) * golden) % _DRAWS).alias("draw"),
        )
    )
    share = pl.col("ready").clip(1)
    return (
        options.join(draw, on="unit")
        .sort("unit", "pool")
        .with_columns(share.cum_sum().over("unit").alias("upto"), share.sum().over("unit").alias("whole"))
        .filter(pl.col("draw").cast(pl.Float64) / _DRAWS * pl.col("whole") < pl.col("upto"))
        .group_by("unit")
        .agg(pl.col("pool").first().alias("dealt"))
    )
