"""What an importer is: how DuckDB reads its records, and how they become canonical columns.

DuckDB reads every field as text (so that one odd value never loses a file), extracts nested fields in SQL, and
casts; Polars makes the token classes disjoint and names what is wrong.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

MOST_TOKENS = 10**15
"""No count of one record is beyond this: sums of counts stay far inside 64 bits."""
MOST_QUANTITY = 10**11
"""No meter of one record is beyond this: it fits DECIMAL(18, 6)."""
METER = pl.Decimal(18, 6)
"""The dtype of `other_meters`."""
LONGEST_SECONDS = 10**8
"""No duration of one record is beyond this: about three years."""

_EARLIEST, _LATEST = "TIMESTAMPTZ '2000-01-01 00:00:00+00'", "TIMESTAMPTZ '2100-01-01 00:00:00+00'"


@dataclass(frozen=True, kw_only=True)
class Importer:
    """One record format.

    Attributes:
        kind: name in nanodollar.toml; the column `source_kind`.
        table: where its records land.
        columns: DuckDB types of the top-level fields that are read; everything else is left in the file.
        select: SQL over the relation `records` (those fields and `line_number`); may name `$hash_key`. Each record
            yields a row at least, so that none is lost.
        canonical: from the rows of `select` to canonical columns, `quarantine_reason` and `quarantine_detail`. A row
            whose source gives no id has a `content_hash` in place of `request_id` and `dedupe_key`.
        formats: file formats that it reads: jsonl, csv, parquet; text is one field `line`.
        signature: alternatives that tell the format, each a set of signs that a record must have: a path of keys
            (`data[0].object`), or a path and the start of its text (`id=resp_`).
        rank: place in the order of detection; of the formats that fit, the lowest rank wins.
        takes_columns: whether `columns = {canonical = "theirs"}` renames fields.
    """

    kind: str
    table: str
    columns: dict[str, str]
    select: str
    canonical: Callable[[pl.LazyFrame], pl.LazyFrame]
    formats: tuple[str, ...]
    signature: tuple[frozenset[str], ...]
    rank: int = 50
    takes_columns: bool = False


def integer(field: str) -> str:
    """SQL of a whole number in a text field; NULL when it is none, or beyond any count of one record."""
    return (
        f"CASE WHEN TRY_CAST({field} AS DOUBLE) = TRY_CAST({field} AS BIGINT)::DOUBLE "
        f"AND TRY_CAST({field} AS BIGINT) BETWEEN -{MOST_TOKENS} AND {MOST_TOKENS} "
        f"THEN TRY_CAST({field} AS BIGINT) END"
    )


def number(field: str) -> str:
    """SQL of a finite number in a text field, as DOUBLE; NULL when it is none."""
    return f"CASE WHEN isfinite(TRY_CAST({field} AS DOUBLE)) THEN TRY_CAST({field} AS DOUBLE) END"


def money(field: str) -> str:
    """SQL of US dollars in a text field; NULL when it is none."""
    return f"TRY_CAST({field} AS DECIMAL(38, 12))"


def bad_numbers(fields: dict[str, str]) -> str:
    """SQL of the names of fields that hold something else than a whole number, comma-separated."""
    return _names_where(
        {name: f"{field} IS NOT NULL AND ({integer(field)}) IS NULL" for name, field in fields.items()}
    )


def bad_quantities(fields: dict[str, str], *, at_most: float = MOST_QUANTITY) -> str:
    """SQL of the names of fields that hold something else than a number from 0 to `at_most`, comma-separated."""
    return _names_where(
        {
            name: f"{field} IS NOT NULL AND coalesce(({number(field)}) NOT BETWEEN 0 AND {at_most}, true)"
            for name, field in fields.items()
        }
    )


def _names_where(conditions: dict[str, str]) -> str:
    if not conditions:
        return "NULL::VARCHAR"
    cases = ", ".join(f"CASE WHEN {condition} THEN '{name}' END" for name, condition in conditions.items())
    return f"nullif(concat_ws(',', {cases}), '')"


def instant(field: str) -> str:
    """SQL of a UTC instant in a text field; NULL when it is none, or not of this century.

    ISO 8601 (no zone is UTC), an HTTP date, or a number since 1970: seconds, and from 1e11 on milli-, micro- and
    nanoseconds, which no record of this century leaves in doubt.
    """
    seconds = (
        f"CASE WHEN TRY_CAST({field} AS DOUBLE) < 1e11 THEN TRY_CAST({field} AS DOUBLE) * 1e6 "
        f"WHEN TRY_CAST({field} AS DOUBLE) < 1e14 THEN TRY_CAST({field} AS DOUBLE) * 1e3 "
        f"WHEN TRY_CAST({field} AS DOUBLE) < 1e17 THEN TRY_CAST({field} AS HUGEINT) "
        f"WHEN TRY_CAST({field} AS DOUBLE) < 1e20 THEN TRY_CAST({field} AS HUGEINT) // 1000 END"
    )
    read = (
        f"coalesce(TRY_CAST({field} AS TIMESTAMPTZ), TRY(make_timestamptz(({seconds})::BIGINT)), "
        f"TRY_STRPTIME({field}, '%a, %d %b %Y %H:%M:%S GMT')::TIMESTAMPTZ)"
    )
    return f"list_filter([{read}], lambda t: t >= {_EARLIEST} AND t < {_LATEST})[1]"


def text(field: str) -> str:
    """SQL of a text field whose empty value means absent."""
    return f"nullif({field}, '')"


def entry_sum(listed: str, *, counts: tuple[str, ...], where: tuple[str, str]) -> str:
    """SQL of a sum over the entries of a JSON list, as text: NULL where none is chosen.

    Args:
        listed: SQL of the list.
        counts: names of the field that is summed; the first that an entry has counts.
        where: name and text of the field that chooses entries.
    """
    key, value = where
    shape = ", ".join(f'"{name}": "VARCHAR"' for name in (key, *counts))
    chosen = f"list_filter(TRY(from_json({listed}, '[{{{shape}}}]')), lambda e: e.\"{key}\" = '{value}')"
    fields = ", ".join(f'e."{name}"' for name in counts)
    numbers = f"list_transform({chosen}, lambda e: {integer(f'coalesce({fields})')})"
    return (
        f"CASE WHEN list_has_any(list_transform({numbers}, lambda n: n IS NULL), [true]) THEN 'no number' "
        f"ELSE list_sum({numbers})::VARCHAR END"
    )


def structure(paths: Iterable[str]) -> str:
    """Return the structure that DuckDB's `from_json` reads an object by: dotted paths of texts."""
    held: dict[str, Any] = {}
    for path in paths:
        *parents, leaf = path.split(".")
        place = held
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = "VARCHAR"
    return json.dumps(held)


def with_numbers(
    frame: pl.LazyFrame,
    counts: Mapping[str, pl.Expr],
    quantities: Mapping[str, pl.Expr] | None = None,
    *,
    at_most: float = LONGEST_SECONDS,
) -> pl.LazyFrame:
    """Return the frame with texts as numbers, and `bad`: names of those that are none, comma-separated, or ''.

    Args:
        frame: the records.
        counts: name -> text of a whole number; the column becomes Int64.
        quantities: name -> text of a number from 0 to `at_most`; the column becomes Float64.
        at_most: the most that a quantity can be.
    """
    texts = {**counts, **(quantities or {})}
    numbers = {name: value.cast(pl.Float64, strict=False) for name, value in texts.items()}
    fits = {
        name: value.is_between(-MOST_TOKENS, MOST_TOKENS) & (value == value.floor())
        if name in counts
        else value.is_between(0, at_most)
        for name, value in numbers.items()
    }
    is_odd = {name: texts[name].is_not_null() & ~fits[name].fill_null(value=False) for name in texts}
    bad = pl.concat_str(
        (pl.when(odd).then(pl.lit(name)) for name, odd in is_odd.items()), separator=",", ignore_nulls=True
    )
    return frame.with_columns(
        *(
            (value.cast(pl.Int64, strict=False) if name in counts else value).alias(name)
            for name, value in numbers.items()
        ),
        bad=pl.when(pl.any_horizontal(is_odd.values())).then(bad).otherwise(pl.lit("")),
    )


def with_map(
    frame: pl.LazyFrame,
    name: str,
    entries: Mapping[str, pl.Expr],
    dtype: pl.DataType | type[pl.DataType],
    *,
    more: str | None = None,
) -> pl.LazyFrame:
    """Return the frame with a map column of the entries that are not NULL; NULL where there is none.

    Args:
        frame: the records.
        name: the map's column.
        entries: key -> value.
        dtype: the values' dtype.
        more: a column of lists of `key` and `value` whose keys the map holds too; the entries come first.
    """
    values = [value.cast(dtype, strict=False).alias(key) for key, value in entries.items()]
    indexed = frame.with_row_index("record")
    pairs = (
        indexed.select("record", *values)
        .unpivot(list(entries), index="record", variable_name="key", value_name="value")
        .filter(pl.col("value").is_not_null())
    )
    if more is not None:
        listed = indexed.select("record", pair=more).explode("pair").unnest("pair")
        listed = listed.filter(pl.col("key").is_not_null() & pl.col("value").is_not_null())
        pairs = pl.concat([pairs, listed.select("record", "key", "value")]).unique(
            ["record", "key"], keep="first", maintain_order=True
        )
    maps = (
        pairs.sort("record", maintain_order=True)
        .group_by("record", maintain_order=True)
        .agg(pl.struct("key", "value").alias(name))
        .with_columns(pl.col(name).cast(pl.Map(pl.String, dtype)))
    )
    return indexed.join(maps, on="record", how="left", maintain_order="left").drop("record")


def first_reason(*cases: tuple[pl.Expr, str, pl.Expr | str | None]) -> list[pl.Expr]:
    """Return `quarantine_reason` and `quarantine_detail` of the first case that holds."""
    reason: pl.Expr = pl.lit(None, dtype=pl.String)
    detail: pl.Expr = pl.lit(None, dtype=pl.String)
    for holds, name, words in reversed(cases):
        why = pl.lit(words, dtype=pl.String) if words is None or isinstance(words, str) else words
        reason = pl.when(holds).then(pl.lit(name)).otherwise(reason)
        detail = pl.when(holds).then(why).otherwise(detail)
    return [reason.alias("quarantine_reason"), detail.alias("quarantine_detail")]
