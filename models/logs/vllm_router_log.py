"""The log of the vLLM production stack's router as calls: which engine it chose for which request, as text or JSON.

A line tells the request's id, which the engine's answer has too, the session, the engine's address and the instant; it
counts no tokens and tells no end. The engine is the route: a service's or a pod's address, so that a pool of that name
takes the call. Counts come from the engines (`prometheus`, `vllm_response`). Other lines are passed over. The Rust
router of the same name logs no call; it counts them (`router_metrics`).
Source: vllm-project/production-stack, `src/vllm_router/log.py` and `services/request_service`, read 2026-11-29.
"""

import polars as pl

from models.logs.requests import FIELDS, generic_select
from models.logs.text_logs import calls_of_text
from models.records import Importer

_ROUTED = r"Routing request (\S+)(?: with session id (.*?))? to (?:https?://)?([^/ ]+)\S* at ([0-9.]+), process time = "
_HEAD = r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^\]]*\] (?:DEBUG|INFO|WARNING|ERROR|CRITICAL): "
_READ = {
    "request_id": "nullif(routed.request_id, '')",
    "session_id": "nullif(nullif(routed.session, ''), 'None')",
    "provider": "'self_hosted'",
    "route": "nullif(regexp_replace(routed.engine, ':[0-9]+$', ''), '')",
    "started_at": "nullif(routed.at, '')",
}
_FIELDS = ", ".join(f"({_READ.get(name, 'NULL')})::VARCHAR AS {name}" for name in FIELDS)
_SELECT = f"""
WITH bare AS NOT MATERIALIZED (
  SELECT line_number, regexp_replace(line, '\\x1b\\[[0-9;]*m', '', 'g') AS line, message, logger FROM records
),
lines AS NOT MATERIALIZED (
  SELECT line_number, regexp_matches(line, '{_HEAD}') OR logger IS NOT NULL AS is_line,
         regexp_extract(coalesce(message, line), '{_ROUTED}', ['request_id', 'session', 'engine', 'at']) AS routed
  FROM bare
),
canonical_records AS NOT MATERIALIZED (
  SELECT line_number, {_FIELDS}, is_line, routed.at <> '' AS is_call FROM lines
)
{generic_select("canonical_records", "is_line", "is_call")}
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_call = pl.col("is_call").fill_null(value=False)
    # The web server inside it writes lines of its own.
    return calls_of_text(frame, is_line=pl.col("is_line") | is_call, is_call=is_call, log="the router's log")


IMPORTER = Importer(
    kind="vllm_router_log",
    table="raw.requests",
    columns=dict.fromkeys(("line", "message", "logger"), "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "text"),
    signature=(frozenset({"logger=vllm_router", "message", "lineno"}),),
    rank=31,
)
