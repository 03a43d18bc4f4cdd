"""Cloud Monitoring's metrics of Vertex AI: answers of `projects.timeSeries.list`, as pages or series by series.

`token_count` is split by its label `type` into input (what was read from a cache included) and output,
`model_invocation_count` counts calls, of which those that failed are left out. `request_type` tells provisioned
throughput. Ask for deltas (ALIGN_DELTA) of an hour or less.
Source: cloud.google.com/monitoring/api/metrics_gcp_a_b#gcp-aiplatform,
cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries.
"""

import polars as pl

from models.counters.points import points_importer
from models.records import hashed, instant

_PREFIX = "aiplatform.googleapis.com/publisher/online_serving/"
METRICS = {
    f"{_PREFIX}token_count input": ("input_tokens",),
    f"{_PREFIX}token_count output": ("output_tokens",),
    f"{_PREFIX}model_invocation_count": ("request_count",),
}
_SERIES = (
    '{"metric": {"type": "VARCHAR", "labels": "VARCHAR"}, "resource": {"labels": "VARCHAR"}, "points": '
    '[{"interval": {"startTime": "VARCHAR", "endTime": "VARCHAR"}, '
    '"value": {"int64Value": "VARCHAR", "doubleValue": "VARCHAR"}}]}'
)
_ONE = "json_object('metric', metric::JSON, 'resource', resource::JSON, 'points', points::JSON)"


def _label(side: str, name: str) -> str:
    return f"TRY(json_extract_string(s.{side}.labels, '$.{name}'))"


_SELECT = f"""
WITH listed AS NOT MATERIALIZED (
  SELECT line_number, CASE WHEN "timeSeries" IS NOT NULL THEN TRY(from_json("timeSeries", '[{_SERIES}]'))
    WHEN metric IS NOT NULL THEN [TRY(from_json({_ONE}, '{_SERIES}'))] END AS series
  FROM records
),
opened AS NOT MATERIALIZED (
  SELECT line_number, series IS NULL AS is_broken, coalesce(len(series), 1) = 0 AS is_empty,
         unnest(CASE WHEN len(series) > 0 THEN series ELSE [NULL] END) AS s
  FROM listed
),
pointed AS NOT MATERIALIZED (
  SELECT line_number, is_broken, is_empty, s, unnest(CASE WHEN len(s.points) > 0 THEN s.points ELSE [NULL] END) AS p
  FROM opened
)
SELECT line_number, is_broken, is_empty,
       concat_ws(' ', s.metric.type, CASE WHEN s.metric.type LIKE '%token_count' THEN {_label("metric", "type")} END)
         AS counter,
       coalesce(p."value".int64Value, p."value".doubleValue) AS "value",
       {instant("p.interval.startTime")} AS started_at, {instant("p.interval.endTime")} AS finished_at,
       {_label("resource", "model_user_id")} AS model, {_label("metric", "request_type")} AS service_tier,
       coalesce({_label("resource", "resource_container")}, {_label("resource", "project_id")}) AS project,
       NULL::VARCHAR AS user_id, {hashed("NULL::VARCHAR")} AS api_key_id,
       {_label("metric", "response_code")} AS response_code,
       concat_ws(' ', s.metric.labels, s.resource.labels) AS further
FROM pointed
"""


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_good = pl.col("response_code").is_null() | pl.col("response_code").str.contains("^(2|OK|ok)")
    return frame.with_columns(
        provider=pl.when(is_good).then(pl.lit("gcp.vertex_ai")),
        service_tier=pl.col("service_tier").replace(
            {"dedicated": "provisioned", "shared": "default", "standard": "default"}
        ),
        # Labels may be anybody's texts.
        further=pl.col("further").hash(seed=0).cast(pl.String),
    )


IMPORTER = points_importer(
    kind="gcp_monitoring",
    columns=dict.fromkeys(("timeSeries", "metric", "resource", "points"), "VARCHAR"),
    select=_SELECT,
    metrics=METRICS,
    signature=(
        frozenset({"timeSeries[0].metric.type", "timeSeries[0].points"}),
        frozenset({"metric.type", "resource.type", "points"}),
    ),
    amend=_amend,
)
