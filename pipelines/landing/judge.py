"""From canonical rows to rows of the lake: stamped, checked against the table, and what is wrong put aside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from models.logs.dimensions import with_dimensions
from models.periods import hour_of
from models.records import MOST_QUANTITY, Importer
from models.schemas import table
from models.schemas.base import INSTANT
from pipelines.landing.read import Layout, ReadBlock

_FUTURE = timedelta(days=1)
"""A clock may be ahead by this much; a later instant is no fact yet."""
_VERDICT = {
    "record_number": pl.Int32,
    "quarantine_reason": pl.String,
    "quarantine_detail": pl.String,
    "is_ignored": pl.Boolean,
}
_BAD = (
    "ordinal",
    "file_hash",
    "path",
    "line_number",
    "record_number",
    "byte_offset",
    "byte_length",
    "reason",
    "detail",
)
CONTENT_KEY = "content:"
"""Start of the dedupe_key of a record without an id; dedupe adds its ordinal among equals."""


@dataclass(frozen=True)
class Stamp:
    """What is known of every row of a landing.

    Attributes:
        source: configured source.
        importer: its format.
        ingested_at: when it is read, UTC.
        not_before: the first instant that the warehouse has hours for.
        constants: column -> what it holds in every row, whatever the log says.
        dimensions: column -> names of tags, of which the first that a row has fills it.
        time_zone: IANA zone of times that name none.
    """

    source: str
    importer: Importer
    ingested_at: datetime
    not_before: datetime
    constants: Mapping[str, str] = field(default_factory=dict)
    dimensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    time_zone: str = "UTC"

    @property
    def tag_names(self) -> str:
        """Return the names of the tags that fill columns, comma-separated."""
        return ",".join(sorted({name for names in self.dimensions.values() for name in names}))


@dataclass(frozen=True)
class FileMark:
    """A file as its rows name it, and when it is read: of the files of one landing, one after the other."""

    file_hash: str
    path: str
    ingested_at: datetime


@dataclass
class JudgedRows:
    """Rows of the lake, and what they sum to.

    Attributes:
        usable: rows of the format's table.
        quarantine: rows of ops.quarantine.
        hours: rows of ops.file_hours.
        tallies: per `file_hash` landed_count, quarantined_count, ignored_count, first_at, last_at.
    """

    usable: pl.DataFrame
    quarantine: pl.DataFrame
    hours: pl.DataFrame
    tallies: pl.DataFrame


def judge(
    read: ReadBlock,
    layout: Layout,
    files: list[FileMark],
    stamp: Stamp,
    *,
    first_row: int = 1,
    only: pl.DataFrame | None = None,
) -> JudgedRows:
    """Split what was read into rows that can be used and rows that cannot.

    Args:
        read: canonical rows and refused records.
        layout: how they lay in the file.
        files: the files of the block.
        stamp: what every row is marked with.
        first_row: number of the first row of a table, which has no lines.
        only: `line_number` and `record_number` (0: all of the line) of the records to look at; by default all.
    """
    places = read.places(first_row)
    marks = pl.DataFrame(
        {
            "file_hash": [file.file_hash for file in files],
            "path": [file.path for file in files],
            "ingested_at": pl.Series([file.ingested_at for file in files], dtype=INSTANT),
        }
    )
    rows = pl.DataFrame(schema={"ordinal": pl.Int64, **_VERDICT})
    if read.rows is not None:
        rows = _checked(read.rows, stamp)
    rows, refusals = _located(rows, places, marks), _located(read.refusals(), places, marks)
    if only is not None:
        rows, refusals = _only(rows, only), _only_whole(refusals, only)
    is_bad = pl.col("quarantine_reason").is_not_null()
    usable = _usable(rows.filter(~is_bad & ~pl.col("is_ignored")), stamp)
    # A replica event has a `reason` of its own: the quarantine's takes its place here.
    named = rows.filter(is_bad & ~pl.col("is_ignored")).with_columns(
        reason="quarantine_reason", detail="quarantine_detail"
    )
    bad = pl.concat([part.select(_BAD).cast({"record_number": pl.Int32}) for part in (refusals, named)])
    quarantine = _quarantine(bad, read.skeletons(layout, bad["ordinal"]), stamp)
    tallies = _tallies(usable, quarantine, rows.filter("is_ignored"), stamp)
    return JudgedRows(usable, quarantine, _compact(_hours(usable, stamp)), _compact(tallies))


def _located(rows: pl.DataFrame, places: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    """Say of each row where it lies."""
    here = places[rows["ordinal"]]
    columns = [rows.drop("ordinal", "line_number", strict=False), here, marks[here["file_index"]]]
    return pl.concat(columns, how="horizontal")


def _only(rows: pl.DataFrame, only: pl.DataFrame) -> pl.DataFrame:
    whole = only.filter(pl.col("record_number") == 0)
    is_wanted = pl.col("line_number").is_in(whole["line_number"].implode())
    parts = only.filter(pl.col("record_number") > 0)
    single = rows.filter(~is_wanted).join(parts, on=["line_number", "record_number"], how="semi")
    return pl.concat([rows.filter(is_wanted), single])


def _only_whole(refusals: pl.DataFrame, only: pl.DataFrame) -> pl.DataFrame:
    """Of a line whose single records are looked at, each of them is refused."""
    return refusals.drop("record_number").join(only, on="line_number", maintain_order="left")


def _checked(rows: pl.DataFrame, stamp: Stamp) -> pl.DataFrame:
    """Complete keys, and give a reason to what the table could not hold."""
    names = set(rows.columns)
    frame = rows.lazy()
    if "content_hash" in names:
        key = pl.concat_str(pl.lit(CONTENT_KEY), "content_hash")
        frame = frame.with_columns(
            pl.coalesce(name, key).alias(name) for name in ("request_id", "dedupe_key")
        )
    if "tag_entries" in names:
        frame = frame.with_columns(tags=_mapped("tag_entries", pl.String))
    too_much = pl.element().struct.field("value").abs() > MOST_QUANTITY
    if "meter_entries" in names:
        frame = frame.with_columns(
            is_beyond=pl.col("meter_entries").list.eval(too_much).list.any(),
            meter_entries=pl.col("meter_entries").list.filter(~too_much.fill_null(value=False)),
        ).with_columns(other_meters=_mapped("meter_entries", pl.Decimal(18, 6)))
    if stamp.importer.table == "raw.requests":
        frame = with_dimensions(frame, stamp.dimensions)
    dtypes = {column.name: column.dtype for column in table(stamp.importer.table).columns}
    frame = frame.with_columns(
        pl.lit(value).cast(dtypes[name]).alias(name) for name, value in stamp.constants.items()
    )
    cases = _cases(frame.collect_schema(), stamp)
    if "meter_entries" in names:
        cases.append((pl.col("is_beyond"), "bad_value", "a meter is out of range"))
    is_odd = pl.any_horizontal(holds.fill_null(value=False) for holds, _, _ in cases)
    checked = frame.with_columns(is_odd=is_odd).collect(engine="in-memory")
    if not checked["is_odd"].any():
        return checked
    reason = pl.coalesce(
        "quarantine_reason", *(pl.when(holds).then(pl.lit(word)) for holds, word, _ in cases)
    )
    detail = pl.coalesce(pl.when(holds).then(pl.lit(words)) for holds, _, words in cases)
    is_new = pl.col("quarantine_reason").is_null()
    return checked.with_columns(
        quarantine_reason=reason,
        quarantine_detail=pl.when(is_new).then(detail).otherwise("quarantine_detail"),
    )


def _cases(schema: pl.Schema, stamp: Stamp) -> list[tuple[pl.Expr, str, str]]:
    target = table(stamp.importer.table)
    first, latest = pl.lit(stamp.not_before), pl.lit(stamp.ingested_at + _FUTURE)
    began = time_column(stamp.importer)
    start_on = f"{began} is before [warehouse] start_on = {stamp.not_before:%Y-%m-%d}"
    cases = [(pl.col(began) < first, "before_start_on", start_on)]
    cases += [
        (pl.col(name) > latest, "in_the_future", f"{name} has not come yet")
        for name in (began, "finished_at")
        if name in schema
    ]
    for column in target.columns:
        if column.name not in schema:
            continue
        value = pl.col(column.name)
        if schema[column.name] not in (column.dtype, pl.Null):
            is_lost = value.is_not_null() & value.cast(column.dtype, strict=False).is_null()
            cases.append((is_lost, "bad_value", f"{column.name} is out of range"))
        if column.required:
            cases.append((value.is_null(), "bad_value", f"{column.name} is missing"))
        if column.at_least is not None:
            cases.append((value < column.at_least, "bad_value", f"{column.name} is below {column.at_least}"))
        if column.one_of is not None:
            cases.append((~value.is_in(column.one_of), "bad_value", f"{column.name} is none of its words"))
    return cases


_TIMES = {"raw.replica_events": "event_at", "raw.invoice_lines": "charge_period_start"}


def time_column(importer: Importer) -> str:
    """Return the column that tells a record's hour."""
    return _TIMES.get(importer.table, "started_at")


def _usable(rows: pl.DataFrame, stamp: Stamp) -> pl.DataFrame:
    # A text with U+0000 can be kept by neither the lake nor its catalog; JSON has lost it before.
    texts = [name for name, dtype in rows.schema.items() if dtype == pl.String]
    held = [name for name in texts if rows[name].str.contains("\0", literal=True).any()]
    stamped = rows.lazy().with_columns(pl.col(held).str.replace_all("\0", "\ufffd", literal=True))
    stamped = stamped.with_columns(source=pl.lit(stamp.source), source_kind=pl.lit(stamp.importer.kind))
    return table(stamp.importer.table).conform(stamped, fill=True).collect(engine="in-memory")


def _quarantine(bad: pl.DataFrame, skeletons: list[str | None], stamp: Stamp) -> pl.DataFrame:
    rows = bad.lazy().with_columns(
        skeleton=pl.Series(skeletons, dtype=pl.String),
        source=pl.lit(stamp.source),
        quarantined_at=pl.lit(stamp.ingested_at),
    )
    return table("ops.quarantine").conform(rows).collect()


def _hours(usable: pl.DataFrame, stamp: Stamp) -> pl.DataFrame:
    began = time_column(stamp.importer)
    ended = _end_column(usable, began)
    hours = usable.group_by("file_hash", "source", touched_hour=hour_of(pl.col(began))).agg(
        last_finished_at=pl.col(ended).max(), record_count=pl.len()
    )
    return (
        table("ops.file_hours")
        .conform(hours.with_columns(landed_at=pl.lit(stamp.ingested_at)).lazy(), fill=True)
        .collect()
    )


def _tallies(
    usable: pl.DataFrame, quarantine: pl.DataFrame, ignored: pl.DataFrame, stamp: Stamp
) -> pl.DataFrame:
    began = time_column(stamp.importer)
    last = pl.max_horizontal(began, _end_column(usable, began)).max()
    landed = usable.group_by("file_hash").agg(
        landed_count=pl.len().cast(pl.Int64), first_at=pl.col(began).min(), last_at=last
    )
    return pl.concat(
        [
            landed,
            quarantine.group_by("file_hash").agg(quarantined_count=pl.len().cast(pl.Int64)),
            ignored.group_by("file_hash").agg(ignored_count=pl.len().cast(pl.Int64)),
        ],
        how="diagonal",
    )


def _compact(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a small frame that does not hold on to the texts of the block that it was made from."""
    return pl.DataFrame(frame.rows(), schema=frame.schema, orient="row")


def _end_column(usable: pl.DataFrame, began: str) -> str:
    ends = (name for name in ("finished_at", "charge_period_end") if name in usable.columns)
    return next(ends, began)


def _mapped(column: str, value: pl.DataType | type[pl.DataType]) -> pl.Expr:
    present = pl.col(column).list.filter(pl.element().struct.field("value").is_not_null())
    return pl.when(present.list.len() > 0).then(present).cast(pl.Map(pl.String, value))
