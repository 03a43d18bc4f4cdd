"""What to change, by dollars: one ranked list in which no dollar stands twice."""

import calendar
from datetime import date

import polars as pl

from models.money import half_even, picodollars_from_usd, usd_from_picodollars
from models.schemas import table
from models.schemas.mart_savings import SAVING_KINDS

_PLACE = {kind: place for place, kind in enumerate(SAVING_KINDS)}


def rank_savings(
    changes: pl.DataFrame, cells: pl.DataFrame, *, month_on: date, day_count: int
) -> pl.DataFrame:
    """Rank changes by what each saves beside the others.

    Changes of plan `mend` save from one cell. Those of a cell are counted one after the other, in the order of
    `SAVING_KINDS` and the largest first: each saves from what those before it leave, and never more than that. A
    change of plan `replace` does away with its spender as a whole, so that of each spender the plan that saves more
    stands, and the other is named beside it. A change that needs a pool which is replaced falls away; so does owning a
    family of which a pool is replaced.

    Args:
        changes: `kind, plan, spender, cell, needs, provider, region, route, model, chip, commitment, claim_usd,
            confidence, evidence, change`.
        cells: `spender, cell, chip, provider, region, model_family, usd`, usd above 0.
        month_on: first day of the month.
        day_count: business days that are counted.

    Returns:
        Rows of mart.savings.
    """
    spent = picodollars_from_usd(pl.col("usd"))
    of_spender = cells.group_by("spender").agg(spent.sum().alias("spend"))
    replacing = (
        changes.filter(pl.col("plan") == "replace")
        .join(of_spender, on="spender")
        .with_columns(saving=pl.min_horizontal(picodollars_from_usd(pl.col("claim_usd")), "spend"))
        .sort(-pl.col("saving").cast(pl.Float64), "change")
        .unique("spender", keep="first", maintain_order=True)
    )
    mending = _beside_each_other(
        changes.filter(pl.col("plan") == "mend").join(cells.select("cell", spent.alias("spend")), on="cell")
    )
    for is_pool in (True, False):
        # Pools choose first: what needs one of them falls away with it.
        is_here = pl.col("spender").str.starts_with("pool ")
        chosen = _chosen(replacing, mending)
        gone = cells.filter(is_pool, is_here).join(chosen, on="spender", how="semi")
        places = gone.select(pl.concat_str("chip", "provider", "region", separator=", ")).to_series()
        families = gone.select(pl.format("family {}", pl.col("model_family"))).to_series()
        needed = {*places.drop_nulls().to_list(), *families.drop_nulls().to_list()}
        falls = pl.col("needs").is_in(sorted(needed)).fill_null(value=False)
        replacing, mending = replacing.filter(~falls), mending.filter(~falls)
    chosen = _chosen(replacing, mending)
    better = replacing.join(chosen, on="spender", how="semi")
    return _rows(
        better.join(_sums(mending), on="spender", how="left").with_columns(
            instead=pl.when(pl.col("mended") > 0).then(
                pl.format("Keep it and mend it: saves ${}", _dollars("mended"))
            )
        ),
        mending.join(chosen, on="spender", how="anti")
        .join(replacing.select("spender", other="change", other_saving="saving"), on="spender", how="left")
        .with_columns(
            instead=pl.when(pl.col("other").is_not_null()).then(
                pl.format("{}: saves ${}", "other", _dollars("other_saving"))
            )
        ),
        month_on=month_on,
        day_count=day_count,
    )


def _beside_each_other(changes: pl.DataFrame) -> pl.DataFrame:
    """Return each change with what it saves of its cell after those before it."""
    claim = pl.min_horizontal(picodollars_from_usd(pl.col("claim_usd")), "spend")
    ordered = changes.with_columns(
        claim=claim, place=pl.col("kind").replace_strict(_PLACE, return_dtype=pl.Int8)
    ).sort("cell", "place", -pl.col("claim").cast(pl.Float64), "change")
    left = 1 - pl.col("claim").cast(pl.Float64) / pl.col("spend").cast(pl.Float64)
    before = left.shift(1, fill_value=1.0).cum_prod().over("cell").clip(0, 1)
    scaled = ordered.with_columns(before=before).with_columns(
        # The first of a cell is exact; a part of a later one is as exact as a float, cut to whole picodollars.
        wanted=pl.when(pl.col("before") >= 1)
        .then("claim")
        .otherwise((pl.col("claim").cast(pl.Float64) * pl.col("before")).floor().cast(pl.Int128))
    )
    upto = pl.min_horizontal(pl.col("wanted").cum_sum().over("cell"), "spend")
    return (
        scaled.with_columns(upto=upto)
        .with_columns(saving=pl.col("upto") - pl.col("upto").shift(1, fill_value=0).over("cell"))
        .filter(pl.col("saving") > 0)
    )


def _sums(mending: pl.DataFrame) -> pl.DataFrame:
    return mending.group_by("spender").agg(pl.col("saving").sum().alias("mended"))


def _chosen(replacing: pl.DataFrame, mending: pl.DataFrame) -> pl.DataFrame:
    """Return the spenders that are better replaced than mended."""
    return (
        replacing.join(_sums(mending), on="spender", how="left")
        .filter(pl.col("saving") > pl.col("mended").fill_null(0))
        .select("spender")
    )


def _dollars(name: str) -> pl.Expr:
    """Return dollars as text with cents, and commas between thousands."""
    return (
        (half_even(pl.col(name), 10**10).cast(pl.Decimal(38, 2)) / 100)
        .cast(pl.Decimal(38, 2))
        .cast(pl.String)
        .str.replace(r"(\d)(\d{3})\.", "${1},${2}.")
        .str.replace(r"(\d)(\d{3}),", "${1},${2},")
    )


def _rows(*plans: pl.DataFrame, month_on: date, day_count: int) -> pl.DataFrame:
    days = calendar.monthrange(month_on.year, month_on.month)[1]
    whole = half_even(pl.col("saving") * days, day_count)
    rows = (
        pl.concat(plans, how="diagonal_relaxed")
        .filter(pl.col("saving") > 0)
        .sort(-pl.col("saving").cast(pl.Float64), "spender", "kind", "change")
        .with_columns(
            month_on=pl.lit(month_on),
            rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
            saving_usd=usd_from_picodollars(pl.col("saving")),
            month_usd=usd_from_picodollars(whole),
            spend_usd=usd_from_picodollars(pl.col("spend")),
            day_count=pl.lit(day_count, dtype=pl.Int64),
        )
    )
    return table("mart.savings").conform(rows.lazy(), fill=True).collect()
