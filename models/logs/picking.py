"""Pick the fields of records out of names and values as they stand, a block at once."""

import re
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import polars as pl

UNREAD = "unread_usage"
"""The field of names that no rule reads."""
Place = tuple[str, int]
"""The field that a name fills, and its rank among the names of that field."""
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_WHAT = r':\s*"([A-Za-z][A-Za-z_]*|[0-9]+[a-z]+)"'
_HOW_MANY = r":\s*(-?[0-9][0-9.eE+]*)\s*[,}]"
_INNER = r'"([A-Za-z0-9_.]+)"\s*:\s*"?(-?[0-9][0-9.eE+]*)"?\s*[,}]'


def opened(entries: pl.DataFrame) -> pl.DataFrame:
    """Return entries of `row`, `k`, `v`, with the numbers inside an object (as text) as entries `name.inner name`."""
    is_object = pl.col("v").str.starts_with("{")
    held = entries.filter(is_object)
    if held.is_empty():
        return entries
    inner = held.with_columns(pair=pl.col("v").str.extract_all(_INNER)).explode("pair", empty_as_null=False)
    inner = inner.select(
        "row",
        k=pl.concat_str("k", pl.lit("."), pl.col("pair").str.extract(_INNER, 1)),
        v=pl.col("pair").str.extract(_INNER, 2),
    )
    return entries.filter(~is_object).vstack(inner)


def listed(entries: pl.DataFrame) -> pl.DataFrame:
    """Return entries of `row`, `k`, `v`, with counts in lists by what they count as entries `name.what`.

    Gemini lists counts by modality (`[{"modality": "AUDIO", "tokenCount": 25}]`), Bedrock writes by lifetime
    (`[{"inputTokens": 100, "ttl": "1h"}]`).
    """
    is_list = pl.col("v").str.contains(r"^\[\s*\{")
    held = entries.filter(is_list)
    if held.is_empty():
        return entries
    inner = held.with_columns(item=pl.col("v").str.extract_all(r"\{[^{}]*\}")).explode(
        "item", empty_as_null=False
    )
    inner = inner.select(
        "row",
        k=pl.concat_str("k", pl.lit("."), pl.col("item").str.extract(_WHAT, 1)),
        v=pl.col("item").str.extract(_HOW_MANY, 1),
    )
    return entries.filter(~is_list).vstack(inner.drop_nulls())


def picked(
    entries: pl.DataFrame,
    places: Mapping[str, Place],
    fields: Iterable[str],
    counts: Collection[str],
    height: int,
) -> list[pl.Series]:
    """Return a text column for each field, and UNREAD.

    Args:
        entries: `row` (place of the record), `k` (name), `v` (value as text, not NULL).
        places: what each name fills; names that are not in it are left out.
        fields: the columns to return; of several names of a field that of the lowest rank counts, of a name written
            twice the first value.
        counts: those of which a 0 gives way to any other value.
        height: how many records there are.
    """
    order = sorted(places, key=lambda name: (places[name], name))
    codes = {name: code for code, name in enumerate(order)}
    entries = entries.filter(pl.col("k").is_in(order))
    code = pl.col("k").replace_strict(order, list(codes.values()), default=None, return_dtype=pl.Int32)
    entries = entries.with_columns(code=code).sort("code", maintain_order=True)
    rows, values = entries["row"].to_numpy(), entries["v"]
    is_zero = values.is_in(["0", "0.0"]).to_numpy()
    bounds = np.searchsorted(entries["code"].to_numpy(), np.arange(len(codes) + 1))
    by_field: dict[str, list[str]] = {}
    for name in order:
        by_field.setdefault(places[name][0], []).append(name)
    columns = []
    for field in fields:
        place = np.full(height, -1, np.int64)
        for only_counted in (False, True) if field in counts else (False,):
            for name in reversed(by_field.get(field, [])):
                start, end = bounds[codes[name]], bounds[codes[name] + 1]
                # Written backwards, so that the first one stays.
                at = np.arange(start, end)[::-1]
                if only_counted:
                    at = at[~is_zero[start:end][::-1]]
                place[rows[at]] = at
        index = pl.Series(place)
        columns.append(values.gather(index.set(index < 0, None)).alias(field))
    return [*columns, _unread(entries, by_field.get(UNREAD, []), height)]


def _unread(entries: pl.DataFrame, names: list[str], height: int) -> pl.Series:
    """Return the names that hold a number and that no rule reads, comma-separated."""
    unread = pl.Series(UNREAD, [None], dtype=pl.String).new_from_index(0, height)
    # A name that is none may be what somebody said.
    names = [name for name in names if _NAME.fullmatch(name)]
    if not names:
        return unread
    is_number = pl.col("v").cast(pl.Float64, strict=False).fill_null(0) != 0
    by_row = (
        entries.filter(pl.col("k").is_in(names) & is_number)
        .group_by("row")
        .agg(pl.col("k").unique().sort().str.join(","))
    )
    return unread.scatter(by_row["row"], by_row["k"])
