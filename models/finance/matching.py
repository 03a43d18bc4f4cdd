"""Which line of a bill a part of the ledger belongs to: the most telling cell that does not contradict it."""

from itertools import combinations

import polars as pl

from models.finance.model_names import model_key

DIMENSIONS = ("provider", "model", "region", "service_tier", "meter")
"""What a bill may tell of a charge. A NULL of a bill is "not told", and takes what no other cell of it takes."""
COARSER = {
    "reasoning": ("output_text",),
    "audio_output": ("output_text",),
    "image_output": ("output_text",),
    "other_output": ("output_text",),
    "cache_write_1h": ("cache_write_5m", "input_uncached"),
    "cache_write_5m": ("input_uncached",),
    "cache_read_audio": ("cache_read", "audio_input", "input_uncached"),
    "cache_read_image": ("cache_read", "image_input", "input_uncached"),
    "audio_input": ("input_uncached",),
    "image_input": ("input_uncached",),
    "video_input": ("input_uncached",),
    "other_input": ("input_uncached",),
}
"""Classes that bills leave to a plainer line where they have none of their own, nearest first."""
_ORDER = ("model", "meter", "service_tier", "region")


def matched(billed: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Give every part of the ledger the cell of the bill that it belongs to.

    A part belongs to a cell of its own period and provider whose other dimensions are its own or not told; a part
    whose log names no region fits any. Of several cells the one that tells the model wins, then the one that tells the
    meter, then that of the part's own class of token before coarser ones (`COARSER`), then the one that tells most.

    Args:
        billed: cells of bills with `cell`, `period` (one issuer's), the dimensions and `q_inv`.
        parts: parts of the ledger with `part`, `period` and the dimensions.

    Returns:
        `part, cell`, a row per part that belongs to a cell.
    """
    cells = billed.select("cell", "period", "q_inv", *DIMENSIONS)
    asked = _with_coarser(_spelled_as_billed(parts.select("part", "period", *DIMENSIONS), cells))
    nowhere = asked.filter(pl.col("region").is_null())
    found: list[pl.DataFrame] = []
    for rank, stated in enumerate(_masks()):
        keys = ["period", "provider", *stated]
        unstated = [name for name in _ORDER if name not in stated]
        open_to = cells.filter(
            *(pl.col(name).is_not_null() for name in ("provider", *stated)),
            *(pl.col(name).is_null() for name in unstated),
        )
        ways = [(asked, keys)]
        if "region" in stated:
            ways.append((nowhere, [name for name in keys if name != "region"]))
        for wanted, on in ways:
            hits = wanted.join(open_to.select("cell", "q_inv", *on), on=on)
            found.append(
                hits.select(
                    "part",
                    "cell",
                    pl.lit("model" not in stated).alias("is_model_unstated"),
                    pl.lit("meter" not in stated).alias("is_meter_unstated"),
                    "coarseness",
                    pl.lit(rank).alias("rank"),
                    (0 - pl.col("q_inv").fill_null(0).cast(pl.Float64)).alias("size"),
                )
            )
    best = pl.concat(found).sort(
        "is_model_unstated", "is_meter_unstated", "coarseness", "rank", "size", "cell"
    )
    return best.unique("part", keep="first", maintain_order=True).select("part", "cell").sort("part")


def _spelled_as_billed(parts: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """Give parts whose model no cell names the name of the only cell that has its words.

    A bill has one spelling (`Claude4.5Sonnet`) for what the price book holds by place (`us.anthropic.claude-sonnet...`,
    `global.anthropic.claude-sonnet...`). A spelling without a date takes every dated version that none other names.
    """
    who = ["period", "provider"]
    named = cells.select(*who, "model").drop_nulls().unique()
    ours = parts.select(*who, "model").drop_nulls().unique().join(named, on=[*who, "model"], how="anti")
    if named.is_empty() or ours.is_empty():
        return parts
    dated, plain = model_key(pl.col("model")), model_key(pl.col("model"), has_date=False)
    found = []
    for key, theirs in ((dated, named), (plain, named.filter(dated == plain))):
        stated = theirs.with_columns(key=key).rename({"model": "billed"})
        only = stated.filter(pl.len().over(*who, "key") == 1)
        found.append(ours.with_columns(key=key).join(only, on=[*who, "key"]).select(*who, "model", "billed"))
    names = pl.concat(found).unique([*who, "model"], keep="first", maintain_order=True)
    return (
        parts.join(names, on=[*who, "model"], how="left", maintain_order="left")
        .with_columns(model=pl.coalesce("billed", "model"))
        .drop("billed")
    )


def _with_coarser(parts: pl.DataFrame) -> pl.DataFrame:
    """Return the parts once for every class under which a bill may hold them, with how coarse it is."""
    tries = [parts.with_columns(coarseness=pl.lit(0))]
    for steps in range(1, max(len(names) for names in COARSER.values()) + 1):
        names = {fine: coarse[steps - 1] for fine, coarse in COARSER.items() if len(coarse) >= steps}
        tries.append(
            parts.filter(pl.col("meter").is_in(list(names))).with_columns(
                meter=pl.col("meter").replace_strict(names, return_dtype=pl.String), coarseness=pl.lit(steps)
            )
        )
    return pl.concat(tries)


def _masks() -> list[tuple[str, ...]]:
    """Return which dimensions beside the provider a cell may tell, the most telling first."""
    masks = [mask for size in range(len(_ORDER) + 1) for mask in combinations(_ORDER, size)]
    return sorted(masks, key=lambda mask: (-len(mask), [name not in mask for name in _ORDER]))
