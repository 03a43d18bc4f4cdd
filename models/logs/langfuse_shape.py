"""Langfuse's `usage_details`: keys that are disjoint, unless a caller wrote totals beside their parts.

A detail that a client's OpenAI-shaped usage had was taken out of `input` or `output` and stands as its own key. A
caller may also write a provider's own object: there the total tells which counts include which, and where it is absent
the spelling does. Source: langfuse/langfuse, ingestion.
"""

from collections.abc import Mapping

import polars as pl

from models.logs.cache_writes import split_writes
from models.logs.picking import UNREAD, opened, picked
from models.logs.usage_names import COUNTS, KNOWN, counted_by

_INPUT_PARTS = (
    "cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "image_input", "video_input", "tool_input",
    "other_input",
)  # fmt: skip
_OUTPUT_PARTS = ("reasoning", "audio_output", "image_output", "other_output")
_GEMINI = ("promptTokenCount", "prompt_token_count")
_OPENAI = ("prompt_tokens", "promptTokens")


def inclusive(counts: Mapping[str, pl.Expr], prompt_key: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return the totals of input and of output, all parts included; NULL where a side has no count.

    Args:
        counts: the counts of usage_names.COUNTS that are there, and `other_input` and `other_output` where keys are
            there that no rule knows; cache writes as `cache_write_5m` and `cache_write_1h`.
        prompt_key: the key that holds the input.
    """
    part = {name: count.fill_null(0) for name, count in counts.items()}
    ins = [name for name in _INPUT_PARTS if name in part]
    outs = [name for name in _OUTPUT_PARTS if name in part]
    details_in, details_out = (pl.sum_horizontal(part[name] for name in names) for names in (ins, outs))
    base, total = part["prompt"] + part["completion"], counts["total"]
    more_in, more_out = part["text_input"], part["text_output"] + part["accepted"] + part["rejected"]
    cached = part["cache_read"] + part["cache_write_5m"] + part["cache_write_1h"]
    is_gemini = prompt_key.is_in(_GEMINI).fill_null(value=False)
    is_openai = prompt_key.is_in(_OPENAI).fill_null(value=False)
    is_fresh = (counts["fresh"] + cached == counts["prompt"]).fill_null(value=False)

    def proves(amount: pl.Expr) -> pl.Expr:
        return (total == amount).fill_null(value=False) & (details_in + details_out > 0)

    apart_in = (
        pl.when(is_gemini)
        .then(part["tool_input"])
        .when(is_openai | is_fresh)
        .then(0)
        .otherwise(details_in + more_in)
    )
    apart_out = (
        pl.when(is_gemini).then(part["reasoning"]).when(is_openai).then(0).otherwise(details_out + more_out)
    )
    for amount, added_in, added_out in (
        (base + details_in, details_in, pl.lit(0, dtype=pl.Int64)),
        (base + part["reasoning"], pl.lit(0, dtype=pl.Int64), part["reasoning"]),
        (base + details_in + more_in + details_out + more_out, details_in + more_in, details_out + more_out),
        (base, pl.lit(0, dtype=pl.Int64), pl.lit(0, dtype=pl.Int64)),
    ):
        apart_in = pl.when(proves(amount)).then(added_in).otherwise(apart_in)
        apart_out = pl.when(proves(amount)).then(added_out).otherwise(apart_out)
    has_input = pl.any_horizontal(counts[name].is_not_null() for name in ("prompt", "text_input", *ins))
    has_output = pl.any_horizontal(
        counts[name].is_not_null() for name in ("completion", "text_output", *outs)
    )
    return (
        pl.when(has_input).then(part["prompt"] + apart_in),
        pl.when(has_output).then(part["completion"] + apart_out),
    )


def pick_details(entries: pl.DataFrame, height: int) -> pl.DataFrame:
    """Return a text column for each of usage_names.COUNTS, `prompt_key`, `other_input`, `other_output` and `more`.

    Args:
        entries: `row`, `k` and `v` (as text, not NULL) of usage objects, those of an object's objects as `k.inner`.
        height: how many records there are.

    `other_*` are the sums of keys of a side that no rule knows, `more` lists of the other unknown keys and their
    numbers.
    """
    names = entries["k"].unique().drop_nulls().to_list()
    known = {name: counted_by(name) for name in names}
    places = {name: (count, _rank(name)) for name, count in known.items() if count not in (None, KNOWN)}
    columns = picked(entries, places, COUNTS, COUNTS, height)
    unknown = entries.filter(pl.col("k").is_in([name for name, count in known.items() if count is None]))
    unknown = unknown.filter(~pl.col("v").str.contains(r"^[\[{]"))
    number = pl.col("v").cast(pl.Float64, strict=False)
    rows = unknown.group_by("row").agg(
        *(
            pl.when(number.filter(pl.col("k").str.starts_with(f"{side}_")).is_null().any())
            .then(pl.lit("no number"))
            .when(pl.col("k").str.starts_with(f"{side}_").any())
            .then(
                number.filter(pl.col("k").str.starts_with(f"{side}_"))
                .sum()
                .cast(pl.Int64, strict=False)
                .cast(pl.String)
            )
            .alias(f"other_{side}")
            for side in ("input", "output")
        ),
        more=pl.struct(key="k", value=number).filter(~pl.col("k").str.contains("^(in|out)put_")),
    )
    prompts = [name for name, (count, _) in places.items() if count == "prompt"]
    keys = entries.filter(pl.col("k").is_in(prompts)).sort(
        pl.col("k").replace_strict(
            {name: places[name][1] for name in prompts}, default=0, return_dtype=pl.Int32
        )
    )
    first = keys.group_by("row", maintain_order=True).agg(prompt_key=pl.col("k").first())
    frame = pl.DataFrame(columns).drop(UNREAD).with_columns(row=pl.int_range(pl.len()))
    frame = frame.join(rows, on="row", how="left", maintain_order="left")
    frame = frame.join(first, on="row", how="left", maintain_order="left")
    return frame.select(*COUNTS, "other_input", "other_output", "prompt_key", "more")


def _rank(key: str) -> int:
    """Return the rank of a key among those that hold the same count: Langfuse's own come first."""
    return 0 if key in ("input", "output", "total") else 1 if key.startswith(("input_", "output_")) else 2


def with_details(spans: pl.DataFrame, objects: pl.DataFrame) -> pl.DataFrame:
    """Take counts from objects where a span has none of its own.

    Args:
        spans: the columns of usage_names.COUNTS, as texts.
        objects: `row` of a span and `v`, its object as text.

    What cannot be read stays as the prompt's text, which no number is.
    """
    entries = opened(objects.select("row", k=pl.lit(""), v="v"))
    entries = entries.with_columns(pl.col("k").str.strip_prefix("."))
    found = pick_details(entries.filter(pl.col("k") != ""), spans.height)
    counts = {name: pl.col(name).cast(pl.Int64, strict=False) for name in COUNTS}
    counts |= {name: pl.col(name).cast(pl.Int64, strict=False) for name in ("other_input", "other_output")}
    settled = split_writes(found.lazy().with_columns(**counts)).collect()
    prompt, completion = inclusive({name: pl.col(name) for name in counts}, pl.col("prompt_key"))
    settled = settled.with_columns(prompt=prompt, completion=completion)
    odd = pl.Series([None], dtype=pl.String).new_from_index(0, spans.height)
    odd = odd.scatter(objects["row"], "usage_details")
    has_some = settled["prompt"].is_not_null() | settled["completion"].is_not_null()
    # The parts are in the totals by now.
    taken = [name for name in COUNTS if name not in ("tool_input", "fresh", "text_input", "written")]
    return spans.with_columns(
        *(pl.coalesce(name, settled[name].cast(pl.String)) for name in taken),
    ).with_columns(prompt=pl.coalesce("prompt", pl.when(~has_some).then(odd)))
