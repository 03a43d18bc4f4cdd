"""TGI's log as calls: its line of a call that succeeded, as text or as JSON (`--json-output`).

The line stands at the end and tells how long the call took and waited. It counts no tokens of the prompt; those that
were generated are told by two of its times and kept as the tag `generated_tokens`, and counts are held by the metrics
(`prometheus`) or the answers (`tgi_response`). The log names no model and no server: state `served_model` and `route`
in the source. Lines of anything else are passed over.
Source: text-generation-inference, `router/src/server.rs` and `router/src/logging.rs`, read 2026-11-29.
"""

import polars as pl

from models.logs.requests import FIELDS, generic_select
from models.logs.text_logs import calls_of_text
from models.records import Importer, instant

_LINE = r"^\s*(\d{4}-\d\d-\d\dT\S+Z)\s+(?:ERROR|WARN|INFO|DEBUG|TRACE)\s"
_OF_CALL = (
    r"\b(?:generate|generate_stream|chat_completions|completions|compat_generate|vertex_compatibility)\b"
)
_QUOTED = '"([^"]*)"'
_UNITS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_TIMES = ("total_time", "queue_time", "inference_time", "time_per_token")


def _seconds(text: str) -> str:
    """SQL of seconds of a duration as Rust writes it: `1.5s`, `20.5ms`, `7.25µs`."""
    scales = " ".join(f"WHEN '{unit}' THEN {scale}" for unit, scale in _UNITS.items())
    number = f"TRY_CAST(regexp_extract({text}, '^([0-9.]+)', 1) AS DOUBLE)"
    return f"{number} * CASE regexp_extract({text}, '([a-zµ]+)$', 1) {scales} END"


_TEXTS = ", ".join(
    f"coalesce(TRY(json_extract_string(span, '$.{name}')), "
    f"regexp_extract(line, '{name}={_QUOTED}', 1)) AS {name}_text"
    for name in _TIMES
)
_ISO = "%Y-%m-%dT%H:%M:%S.%fZ"
_READ = {
    "request_id": "'tgi-' || md5(concat_ws('|', written, said))",
    "provider": "'self_hosted'",
    "started_at": "strftime(timezone('UTC', ended - to_microseconds((total_time * 1e6)::BIGINT)), '%c')",
    "finished_at": "strftime(timezone('UTC', ended), '%c')",
    "queue_seconds": "queue_time",
    "tags": "CASE WHEN time_per_token > 0 "
    "THEN json_object('generated_tokens', round(inference_time / time_per_token)::BIGINT::VARCHAR) END",
}
_FIELDS = ", ".join(f"({_READ.get(name, 'NULL')})::VARCHAR AS {name}".replace("%c", _ISO) for name in FIELDS)
_SELECT = f"""
WITH bare AS NOT MATERIALIZED (
  SELECT line_number, "timestamp", message, span, target, regexp_replace(line, '\\x1b\\[[0-9;]*m', '', 'g') AS line
  FROM records
),
lines AS NOT MATERIALIZED (
  SELECT line_number, regexp_matches(line, '{_LINE}') OR target IS NOT NULL AS is_line,
         coalesce("timestamp", regexp_extract(line, '{_LINE}', 1)) AS written, coalesce(span, line) AS said,
         coalesce(message, regexp_extract(line, ': (\\w+)\\s*$', 1)) = 'Success'
           AND regexp_matches(coalesce(TRY(json_extract_string(span, '$.name')), line), '{
    _OF_CALL
}') AS is_call,
         {_TEXTS}
  FROM bare
),
parsed AS NOT MATERIALIZED (
  SELECT *, {instant("written")} AS ended, {
    ", ".join(f"{_seconds(f'{name}_text')} AS {name}" for name in _TIMES)
}
  FROM lines
),
canonical_records AS NOT MATERIALIZED (
  SELECT line_number, {_FIELDS}, is_line, coalesce(is_call, false) AS is_call FROM parsed
)
{generic_select("canonical_records", "is_line", "is_call")}
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    return calls_of_text(frame, is_line=pl.col("is_line"), is_call=pl.col("is_call"), log="TGI's log")


IMPORTER = Importer(
    kind="tgi_log",
    table="raw.requests",
    columns=dict.fromkeys(("line", "timestamp", "message", "target", "span"), "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "text"),
    signature=(frozenset({"target=text_generation_router", "timestamp", "message"}),),
    rank=31,
)
