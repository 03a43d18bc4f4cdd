"""Which line of a bill a part of the ledger belongs to: the most telling cell that does not contradict it."""

from itertools import combinations

import polars as pl

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
    asked = _with_coarser(parts.select("part", "period", *DIMENSIONS))
    nowhere = asked.filter(pl.col("region").is_null())
    found: list[pl.DataFrame] = []
    for rank, told in enumerate(_masks()):
        keys = ["period", "provider", *told]
        untold = [name for name in _ORDER if name not in told]
        open_to = cells.filter(
            *(pl.col(name).is_not_null() for name in ("provider", *told)),
            *(pl.col(name).is_null() for name in untold),
        )
        ways = [(asked, keys)]
        if "region" in told:
            ways.append((nowhere, [name for name in keys if name != "region"]))
        for wanted, on in ways:
            hits = wanted.join(open_to.select("cell", "q_inv", *on), on=on)
            found.append(
                hits.select(
                    "part",
                    "cell",
                    pl.lit("model" not in told).alias("is_model_untold"),
                    pl.lit("meter" not in told).alias("is_meter_untold"),
                    "coarseness",
                    pl.lit(rank).alias("rank"),
                    (0 - pl.col("q_inv").fill_null(0).cast(pl.Float64)).alias("size"),
                )
            )
    best = pl.concat(found).sort("is_model_untold", "is_meter_untold", "coarseness", "rank", "size", "cell")
    return best.unique("part", keep="first", maintain_order=True).select("part", "cell").sort("part")


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
