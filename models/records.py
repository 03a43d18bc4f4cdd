"""What an importer is: how DuckDB reads its records, and how they become canonical columns.

DuckDB reads every field as text (so that one odd value never loses a file), extracts nested fields in SQL, and
casts; Polars makes the token classes disjoint and names what is wrong.
"""

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
class Reading:
    """One way to read records: DuckDB types of top-level fields, and the SELECT over them."""

    columns: dict[str, str]
    select: str


@dataclass(frozen=True, kw_only=True)
class Importer:
    """One record format.

    Attributes:
        kind: name in nanodollar.toml; the column `source_kind`.
        table: where its records land.
        columns: DuckDB types of the top-level fields that are read; everything else is left in the file.
        select: SQL over the relation `records` (those fields and `line_number`). Each record yields a row at least, so
            that none is lost.
        canonical: from the rows of `select` to canonical columns, `quarantine_reason` and `quarantine_detail`. A row
            whose source gives no id has a `content_hash` in place of `request_id` and `dedupe_key`.
        formats: file formats that it reads: jsonl, csv, parquet; text is one field `line`.
        signature: alternatives that tell the format, each a set of signs that a record must have: a path of keys
            (`data[0].object`), or a path and the start of its text (`id=resp_`).
        fast: a reading that is tried first on JSON: nested objects have types, so that they are parsed once. What it
            cannot read is read by `columns` and `select`, with the same rows.
        rank: place in the order of detection; of the formats that fit, the lowest rank wins.
        takes_columns: whether `columns = {canonical = "theirs"}` renames fields.
        ignores_case: whether columns and top-level fields are found whatever the case of their letters.
        own_counts: of calls, a regular expression of what fields of the record that count usage are called, beside
            names of tokens: those that are not read are told in `unread_usage`.
        served_by: of a format that many providers return, who served a parsed record; None where nothing tells.
        is_joint: whether records tell of each other: as many as memory allows are read together, and all of a file
            that has grown.
        is_local_time: whether records have times of a zone that they do not name; the source states it (`time_zone`),
            and SQL reads it as the variable `time_zone`.
    """

    kind: str
    table: str
    columns: dict[str, str]
    select: str
    canonical: Callable[[pl.LazyFrame], pl.LazyFrame]
    formats: tuple[str, ...]
    signature: tuple[frozenset[str], ...]
    fast: Reading | None = None
    rank: int = 50
    takes_columns: bool = False
    ignores_case: bool = False
    own_counts: str | None = None
    served_by: Callable[[Mapping[str, Any]], str | None] | None = None
    is_joint: bool = False
    is_local_time: bool = False


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
    # Nearly every amount fits 64 bits, which are cast in half the time.
    return f"coalesce(TRY_CAST({field} AS DECIMAL(18, 12))::DECIMAL(38, 12), TRY_CAST({field} AS DECIMAL(38, 12)))"


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
        f"CASE WHEN TRY_CAST({field} AS DOUBLE) < 0 THEN NULL "
        f"WHEN TRY_CAST({field} AS DOUBLE) < 1e11 THEN TRY_CAST({field} AS DOUBLE) * 1e6 "
        f"WHEN TRY_CAST({field} AS DOUBLE) < 1e14 THEN TRY_CAST({field} AS DOUBLE) * 1e3 "
        f"WHEN TRY_CAST({field} AS DOUBLE) < 1e17 THEN TRY_CAST({field} AS HUGEINT) "
        f"WHEN TRY_CAST({field} AS DOUBLE) < 1e20 THEN TRY_CAST({field} AS HUGEINT) // 1000 END"
    )
    read = (
        f"coalesce(TRY_CAST({field} AS TIMESTAMPTZ), make_timestamptz(({seconds})::BIGINT), "
        f"TRY_STRPTIME({field}, '%a, %d %b %Y %H:%M:%S GMT')::TIMESTAMPTZ)"
    )
    return f"list_filter([{read}], lambda t: t >= {_EARLIEST} AND t < {_LATEST})[1]"


LOCAL_INSTANT = (
    "timezone(coalesce(getvariable('time_zone')::VARCHAR, 'UTC'), "
    "TRY_CAST(replace(written, ',', '.') AS TIMESTAMP))"
)
"""SQL of the instant of a local time `written`, in the zone that the source states."""


def text(field: str) -> str:
    """SQL of a text field whose empty value means absent."""
    return f"nullif({field}, '')"


def hashed(field: str) -> str:
    """SQL of the keyed hash of a secret text, NULL where it is; the key is the session's variable `hash_key`."""
    return f"sha256(getvariable('hash_key') || {field})"


def tried(argument: str, call: str) -> str:
    """SQL of a call that may fail on its argument; NULL where it does.

    DuckDB (to 1.5.5) writes beyond its memory where TRY holds a CASE, a coalesce or a nullif, as an argument may:
    https://github.com/duckdb/duckdb/issues/25280. So the argument is computed outside of the TRY.

    Args:
        argument: SQL of the argument.
        call: SQL of the call, with `{}` in place of the argument.
    """
    return f"list_transform([{argument}], lambda tried: TRY({call.format('tried')}))[1]"


def entry_sum(listed: str, *, counts: tuple[str, ...], where: tuple[str, str]) -> str:
    """SQL of a sum over the entries of a JSON list, as text: NULL where none is chosen.

    Args:
        listed: SQL of the list.
        counts: names of the field that is summed; the first that an entry has counts.
        where: name and text of the field that chooses entries.
    """
    key, value = where
    shape = ", ".join(f'"{name}": "VARCHAR"' for name in (key, *counts))
    entries = tried(listed, f"from_json({{}}, '[{{{{{shape}}}}}]')")
    chosen = f"list_filter({entries}, lambda e: e.\"{key}\" = '{value}')"
    fields = ", ".join(f'e."{name}"' for name in counts)
    numbers = f"list_transform({chosen}, lambda e: {integer(f'coalesce({fields})')})"
    return (
        f"CASE WHEN list_has_any(list_transform({numbers}, lambda n: n IS NULL), [true]) THEN 'no number' "
        f"ELSE list_sum({numbers})::VARCHAR END"
    )


def with_numbers(
    frame: pl.LazyFrame,
    counts: Iterable[str],
    quantities: Iterable[str] = (),
    *,
    at_most: float = LONGEST_SECONDS,
) -> pl.LazyFrame:
    """Return the frame with texts as numbers, and `bad`: the name of the first that is none, or NULL.

    Args:
        frame: the records.
        counts: columns of whole numbers, which become Int64.
        quantities: columns of numbers from 0 to `at_most`, which become Float64.
        at_most: the most that a quantity can be.
    """
    whole = list(counts)
    names = [*whole, *quantities]
    numbers = {name: pl.col(name).cast(pl.Float64, strict=False) for name in names}
    fits = {
        name: value.is_between(-MOST_TOKENS, MOST_TOKENS) & (value == value.floor())
        if name in whole
        else value.is_between(0, at_most)
        for name, value in numbers.items()
    }
    # A place is a byte where a name is a text: the one is looked up by the other at the end.
    places = (
        pl.when(pl.col(name).is_not_null() & ~fits[name].fill_null(value=False)).then(
            pl.lit(place, dtype=pl.UInt8)
        )
        for place, name in enumerate(names)
    )
    return frame.with_columns(
        *(value.cast(pl.Int64, strict=False) if name in whole else value for name, value in numbers.items()),
        bad=pl.lit(pl.Series(names)).gather(pl.min_horizontal(places)),
    )


def record_number(*same: str) -> pl.Expr:
    """Return the 1-based place of each row among its neighbours of the same line (and the same columns `same`)."""
    row = pl.int_range(pl.len(), dtype=pl.Int32)
    is_first = pl.any_horizontal(
        (pl.col(name) != pl.col(name).shift()).fill_null(value=True) for name in ("line_number", *same)
    )
    return row - pl.when(is_first).then(row).forward_fill() + 1


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
    values = [value.cast(dtype, strict=False).alias(f"{name}.{key}") for key, value in entries.items()]

    def fill(rows: pl.DataFrame) -> pl.DataFrame:
        held = [f"{name}.{key}" for key in entries]
        maps = _maps({key: rows[column] for key, column in zip(entries, held, strict=True)}, dtype)
        if more is not None:
            maps = _maps_with(maps, rows[more], dtype)
        return rows.drop(held).with_columns(maps.alias(name))

    schema = pl.Schema({**frame.collect_schema(), name: pl.Map(pl.String, dtype)})
    return frame.with_columns(values).map_batches(
        fill, predicate_pushdown=False, projection_pushdown=False, schema=schema
    )


def _maps(columns: Mapping[str, pl.Series], dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    """Return a map a row of the columns' values that are not NULL."""
    height = len(next(iter(columns.values())))
    present = {key: column for key, column in columns.items() if column.null_count() < height}
    if not present:
        return pl.Series([None], dtype=pl.Map(pl.String, dtype)).new_from_index(0, height)
    pairs = pl.concat(
        pl.DataFrame({"value": column})
        .with_row_index("row")
        .filter(pl.col("value").is_not_null())
        .select("row", pl.lit(key).alias("key"), "value")
        for key, column in present.items()
    )
    return _grouped(pairs, height, dtype)


def _maps_with(maps: pl.Series, more: pl.Series, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    pairs = [
        pl.DataFrame({"pair": listed})
        .with_row_index("row")
        .filter(pl.col("pair").list.len() > 0)
        .explode("pair")
        .unnest("pair")
        .select("row", "key", pl.col("value").cast(dtype, strict=False))
        .drop_nulls()
        for listed in (maps.cast(pl.List(pl.Struct({"key": pl.String, "value": dtype}))), more)
    ]
    held, added = pairs
    # Nearly all of what is added has other names than what is held.
    added = added.unique(["row", "key"], keep="first", maintain_order=True)
    is_double = pl.col("key").is_in(held["key"].unique().implode())
    doubles = added.filter(is_double).join(held, on=["row", "key"], how="anti", maintain_order="left")
    return _grouped(pl.concat([held, added.filter(~is_double), doubles]), len(maps), dtype)


def _grouped(pairs: pl.DataFrame, height: int, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    maps = (
        pairs.sort("row", maintain_order=True)
        .group_by("row", maintain_order=True)
        .agg(pair=pl.struct("key", "value"))
    )
    place = pl.Series([None], dtype=pl.UInt32).new_from_index(0, height)
    place = place.scatter(maps["row"], pl.int_range(len(maps), dtype=pl.UInt32, eager=True))
    return maps["pair"].cast(pl.Map(pl.String, dtype)).gather(place)


def first_reason(*cases: tuple[pl.Expr, str, pl.Expr | str | None]) -> list[pl.Expr]:
    """Return `quarantine_reason` and `quarantine_detail` of the first case that holds."""
    reason: pl.Expr = pl.lit(None, dtype=pl.String)
    detail: pl.Expr = pl.lit(None, dtype=pl.String)
    for holds, name, words in reversed(cases):
        why = pl.lit(words, dtype=pl.String) if words is None or isinstance(words, str) else words
        reason = pl.when(holds).then(pl.lit(name)).otherwise(reason)
        detail = pl.when(holds).then(why).otherwise(detail)
    return [reason.alias("quarantine_reason"), detail.alias("quarantine_detail")]
