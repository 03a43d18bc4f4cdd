"""Ray Serve's access log: a line a request of each replica that served it, and what no replica answered at the proxy.

Files `replica_<app>_<deployment>_<id>.log` and `proxy_<ip>.log`, as text or as JSON. A line is written at the end of a
request, with how long it took; it counts no tokens. Its replica is that of the controller's log. The proxy's line of a
request that a replica answered is ignored, as are lines that tell no request. A call between deployments (`CALL`) is an
attempt of the request that made it. Text has the node's local time and names no zone: state it as `time_zone` of the
source. Source: a run of ray 2.60 (tests/models/lifecycle/test_ray_serve.py holds its lines).
"""

import polars as pl

from models.logs.requests import FIELDS, generic_select
from models.logs.text_logs import calls_of_text
from models.records import LOCAL_INSTANT, Importer, instant

_HEAD = r"^[A-Z]+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d+) (\S+) (\S+) (?:(\S+) )?-- (.*)$"
_ASKED = r"^(?:\S+ )?(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CALL|WEBSOCKET) (\S+) (\S+) ([0-9.]+)ms$"
_OWN = (
    "line", "message", "asctime", "timestamp_ns", "component_name", "component_id", "request_id", "replica",
    "deployment", "application", "route",
)  # fmt: skip
_READ = {
    "request_id": "CASE WHEN method = 'CALL' THEN concat_ws(':', asked_id, coalesce(teller, '')) ELSE asked_id END",
    "logical_request_id": "asked_id",
    "started_at": "strftime(timezone('UTC', finished - to_microseconds(CAST(round(took * 1000) AS BIGINT))), '%c')",
    "finished_at": "strftime(timezone('UTC', finished), '%c')",
    "route": "deployed",
    "replica_id": "CASE WHEN NOT is_proxy THEN teller END",
    "status": "CASE WHEN code IN ('OK', 'ok') OR TRY_CAST(code AS INTEGER) < 400 THEN 'ok' ELSE 'error' END",
    "error_class": "CASE WHEN TRY_CAST(code AS INTEGER) >= 400 THEN code END",
}
_ISO = "%Y-%m-%dT%H:%M:%S.%fZ"
_FIELDS = ", ".join(f"({_READ.get(name, 'NULL')})::VARCHAR AS {name}".replace("%c", _ISO) for name in FIELDS)
_SELECT = f"""
WITH lines AS NOT MATERIALIZED (
  SELECT line_number, timestamp_ns, message IS NOT NULL OR regexp_matches(line, '{_HEAD}') AS is_line,
         coalesce(message, regexp_extract(line, '{_HEAD}', 5)) AS said,
         coalesce(asctime, regexp_extract(line, '{_HEAD}', 1)) AS written,
         coalesce(component_name, regexp_extract(line, '{_HEAD}', 2)) AS component,
         coalesce(nullif(replica, ''), component_id, regexp_extract(line, '{_HEAD}', 3)) AS teller,
         coalesce(nullif(request_id, ''), nullif(regexp_extract(line, '{_HEAD}', 4), '')) AS asked_id,
         CASE WHEN coalesce(application, 'default') IN ('default', '') THEN deployment
              ELSE concat_ws('/', application, deployment) END AS named
  FROM records
),
parsed AS NOT MATERIALIZED (
  SELECT *, regexp_extract(said, '{_ASKED}', 1) AS method, regexp_extract(said, '{_ASKED}', 3) AS code,
         TRY_CAST(regexp_extract(said, '{_ASKED}', 4) AS DOUBLE) AS took, lower(component) = 'proxy' AS is_proxy,
         CASE WHEN timestamp_ns IS NULL THEN {LOCAL_INSTANT} ELSE {instant("timestamp_ns")} END AS finished,
         coalesce(nullif(named, ''), component) AS deployed
  FROM lines
),
canonical_records AS NOT MATERIALIZED (
  SELECT line_number, {_FIELDS}, is_line,
         coalesce(method = '' OR (is_proxy AND NOT coalesce(TRY_CAST(code AS INTEGER) >= 500, false)), true)
           AS tells_none
  FROM parsed
)
{generic_select("canonical_records", "is_line", "tells_none")}
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    return calls_of_text(
        frame, is_line=pl.col("is_line"), is_call=~pl.col("tells_none"), log="Ray Serve's log"
    )


IMPORTER = Importer(
    kind="ray_serve_access_log",
    table="raw.requests",
    columns=dict.fromkeys(_OWN, "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "text"),
    signature=(frozenset({"asctime", "message", "component_name", "component_id", "request_id"}),),
    rank=31,
    is_local_time=True,
)
