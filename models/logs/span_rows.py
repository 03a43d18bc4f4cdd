"""Spans as rows, as observers export them: one span a record, attributes in an object or in columns of their own.

They are read as OTLP's spans are (otel_genai.py): which are calls, which sum them, and what their counts include.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.json_fields import json_field, json_struct
from models.logs.dimensions import WANTED
from models.logs.otel_genai import FIELDS_BESIDE, canonical
from models.records import Importer, instant, number, text, tried


@dataclass(frozen=True, kw_only=True)
class SpanRows:
    """One export of spans.

    Attributes:
        kind: name in nanodollar.toml.
        columns: top-level fields that are read.
        fields: SQL of `trace_id, span_id, parent_id, started, ended, status_code` as texts, and of what is told of the
            resource (`service`, ...).
        duration_ms: SQL of the duration in milliseconds, where the end is not told.
        objects: top-level fields that hold attributes as an object of full names.
        nested: names of attributes that may stand nested in the first of `objects`, or in columns `PREFIX.NAME`.
        prefix: what stands before the names of such columns.
        more: attribute -> SQL of its value, where the row tells it elsewhere.
        signature: what tells the format.
        rank: place in the order of detection.
    """

    kind: str
    columns: tuple[str, ...]
    fields: Mapping[str, str]
    objects: tuple[str, ...]
    signature: tuple[frozenset[str], ...]
    rank: int
    duration_ms: str | None = None
    nested: tuple[str, ...] = ()
    prefix: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


def span_rows_importer(rows: SpanRows) -> Importer:
    """Return the importer of an export of spans."""
    columns = [*rows.columns, *rows.objects, *(f"{rows.prefix}{name}" for name in rows.nested)]
    return Importer(
        kind=rows.kind,
        table="raw.requests",
        columns=dict.fromkeys(dict.fromkeys(columns), "VARCHAR"),
        select=_select(rows),
        canonical=canonical,
        formats=("jsonl", "csv", "parquet"),
        signature=rows.signature,
        rank=rows.rank,
    )


def _nanoseconds(value: str) -> str:
    """SQL of an instant as nanoseconds since 1970, as text; what is none stays as it is."""
    return f"coalesce((epoch_us({instant(value)}) * 1000)::VARCHAR, {value})"


def _select(rows: SpanRows) -> str:
    get = rows.fields.get
    started, ended = get("started", "NULL"), get("ended")
    if ended is None:
        lasting = f"(({number(rows.duration_ms or 'NULL')}) * 1e6)::BIGINT"
        ended = f"(epoch_us({instant(started)}) * 1000 + {lasting})::VARCHAR"
    else:
        ended = _nanoseconds(ended)
    beside = ", ".join(f"{get(name, 'NULL::VARCHAR')} AS {name}" for name in FIELDS_BESIDE)
    paths = [f"$.{name}" for name in rows.nested]
    first = f'"{rows.objects[0]}"'
    parsed = f", {json_struct(first, paths)} AS inner_attributes" if paths else ""
    single = {f"{name}": f'"{rows.prefix}{name}"' for name in rows.nested}
    inner = {name: json_field("inner_attributes", f"$.{name}") for name in rows.nested}
    entries = [
        *(f"{{'k': '{name}', 'v': {text(value)}}}" for name, value in rows.more.items()),
        *(
            f"{{'k': '{name}', 'v': coalesce({text(single[name])}, {text(inner[name])})}}"
            for name in rows.nested
        ),
    ]
    maps = ", ".join(_map(name) for name in rows.objects)
    held = f"[{', '.join(entries)}]" if entries else "[]::STRUCT(k VARCHAR, v VARCHAR)[]"
    status = get("status_code", "NULL::VARCHAR")
    return f"""
WITH parsed AS NOT MATERIALIZED (SELECT *{parsed} FROM records)
SELECT line_number, {beside}, false AS is_empty, {WANTED} AS wanted_tags, false AS is_event,
       NULL::VARCHAR AS event_body, NULL::VARCHAR AS content_hash,
       {text(get("trace_id", "NULL"))} AS trace_id, {text(get("span_id", "NULL"))} AS span_id,
       {text(get("parent_id", "NULL"))} AS parent_id, {get("span_kind", "NULL::VARCHAR")} AS span_kind,
       {_nanoseconds(started)} AS started, {ended} AS ended,
       CASE WHEN upper({status}) LIKE '%ERROR' THEN 'STATUS_CODE_ERROR' END AS status_code,
       list_filter(list_concat({maps}, {held}), lambda e: e.v IS NOT NULL) AS attributes
FROM parsed
"""


def _map(name: str) -> str:
    held = tried(f'"{name}"', """map_entries(from_json({}, '"MAP(VARCHAR, VARCHAR)"'))""")
    return f"""list_transform({held}, lambda e: {{'k': e."key", 'v': e."value"}})"""
