"""How OTLP JSON lines become one row a span and one row a log record, their attributes as names and values.

Source: opentelemetry-proto.
"""

from models.logs.dimensions import WANTED
from models.logs.otel_attributes import EVENT

_VALUE = (
    "STRUCT(stringValue VARCHAR, intValue VARCHAR, doubleValue VARCHAR, boolValue VARCHAR, "
    'arrayValue STRUCT("values" STRUCT(stringValue VARCHAR)[]))'
)
_ATTRIBUTES = f'STRUCT("key" VARCHAR, "value" {_VALUE})[]'
_RESOURCE_TYPE = f"STRUCT(attributes {_ATTRIBUTES})"
_SPAN = (
    "STRUCT(traceId VARCHAR, spanId VARCHAR, parentSpanId VARCHAR, kind VARCHAR, "
    f"startTimeUnixNano VARCHAR, endTimeUnixNano VARCHAR, status STRUCT(code VARCHAR), attributes {_ATTRIBUTES})"
)
_LOG = (
    "STRUCT(timeUnixNano VARCHAR, observedTimeUnixNano VARCHAR, eventName VARCHAR, body VARCHAR, "
    f"attributes {_ATTRIBUTES})"
)
COLUMNS = {
    "resourceSpans": (
        f"STRUCT(resource {_RESOURCE_TYPE}, scopeSpans STRUCT(scope STRUCT(name VARCHAR), spans {_SPAN}[])[])[]"
    ),
    "resourceLogs": f"STRUCT(resource {_RESOURCE_TYPE}, scopeLogs STRUCT(logRecords {_LOG}[])[])[]",
    # Of metrics it is enough to know that they are there.
    "resourceMetrics": "VARCHAR",
}
_RESOURCE_NAMES = {
    "service": "service.name",
    "region": "cloud.region",
    "environment": "deployment.environment.name",
    "old_environment": "deployment.environment",
    "resource_tenant": "tenant.id",
    "resource_team": "team.id",
    "pod": "k8s.pod.name",
    "instance": "service.instance.id",
}
_NAMES = ", ".join(_RESOURCE_NAMES)
_RESOURCE = ", ".join(
    f'list_filter(r.resource.attributes, lambda a: a."key" = \'{key}\')[1]."value".stringValue AS {name}'
    for name, key in _RESOURCE_NAMES.items()
)
_LISTED = """array_to_string(list_transform(a."value".arrayValue."values", lambda e: e.stringValue), ',')"""
_TEXT = f'coalesce(a."value".stringValue, a."value".intValue, a."value".doubleValue, a."value".boolValue, {_LISTED})'
_BODY = "CASE WHEN json_valid(l.body) THEN json_extract_string(l.body, '$.stringValue') END"
# A line without spans yields one row, so that it is not lost.
SELECT = f"""
WITH resources AS NOT MATERIALIZED (
  SELECT line_number, unnest(CASE WHEN len(resourceSpans) > 0 THEN resourceSpans ELSE [NULL] END) AS r
  FROM records WHERE resourceSpans IS NOT NULL OR resourceLogs IS NOT NULL OR resourceMetrics IS NOT NULL
),
scopes AS NOT MATERIALIZED (
  SELECT line_number, {_RESOURCE},
         unnest(CASE WHEN len(r.scopeSpans) > 0 THEN r.scopeSpans ELSE [NULL] END) AS s
  FROM resources
),
spans AS NOT MATERIALIZED (
  SELECT line_number, {_NAMES}, s.scope.name AS scope, coalesce(len(s.spans), 0) = 0 AS is_empty,
         unnest(CASE WHEN len(s.spans) > 0 THEN s.spans ELSE [NULL] END) AS span
  FROM scopes
),
log_resources AS NOT MATERIALIZED (SELECT line_number, unnest(resourceLogs) AS r FROM records),
log_scopes AS NOT MATERIALIZED (
  SELECT line_number, {_RESOURCE}, unnest(r.scopeLogs) AS s FROM log_resources
),
logs AS NOT MATERIALIZED (SELECT line_number, {_NAMES}, unnest(s.logRecords) AS l FROM log_scopes)
SELECT line_number, {_NAMES}, scope, is_empty, {WANTED} AS wanted_tags, false AS is_event,
       NULL::VARCHAR AS event_body, NULL::VARCHAR AS content_hash,
       span.traceId AS trace_id, span.spanId AS span_id, nullif(span.parentSpanId, '') AS parent_id,
       span.kind AS span_kind,
       span.startTimeUnixNano AS started, span.endTimeUnixNano AS ended, span.status.code AS status_code,
       list_transform(span.attributes, lambda a: {{'k': a."key", 'v': {_TEXT}}}) AS attributes
FROM spans
UNION ALL
SELECT line_number, {_NAMES}, NULL, false, {WANTED}, true,
       coalesce(l.eventName, {_BODY}), md5(concat_ws(chr(31), l.timeUnixNano, to_json(l.attributes))),
       NULL, NULL, NULL, NULL, coalesce(nullif(l.timeUnixNano, '0'), l.observedTimeUnixNano),
       coalesce(nullif(l.timeUnixNano, '0'), l.observedTimeUnixNano), NULL,
       list_transform(l.attributes, lambda a: {{'k': '{EVENT}' || a."key", 'v': {_TEXT}}})
FROM logs
"""
