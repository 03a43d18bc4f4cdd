"""Azure Monitor's metrics of OpenAI accounts: answers of its REST API, and metrics of a diagnostic setting.

The REST API splits by the dimensions that it was asked for (`ModelName`, `ModelVersion`, `ModelDeploymentName`); a
diagnostic setting drops them all, so that its counts are those of the account. A prompt's tokens include what was read
from a cache. Of two names of one metric (`ProcessedPromptTokens`, `InputTokens`) one counts.
Source:
learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-cognitiveservices-accounts-metrics,
learn.microsoft.com/rest/api/monitor/metrics/list.
"""

import polars as pl

from models.counters.points import points_importer
from models.records import hashed, instant

METRICS = {
    "AzureOpenAIRequests": ("request_count",),
    "ProcessedPromptTokens": ("input_tokens",),
    "GeneratedTokens": ("output_tokens",),
}
_OTHER_NAMES = {
    "ModelRequests": "AzureOpenAIRequests",
    "InputTokens": "ProcessedPromptTokens",
    "OutputTokens": "GeneratedTokens",
}
_GRAINS = {
    "PT1M": 60, "PT5M": 300, "PT15M": 900, "PT30M": 1800, "PT1H": 3600, "P1D": 86400, "PT24H": 86400,
}  # fmt: skip
_DATED = r"[0-9]{4}|[a-z]"
_SHAPE = (
    '[{"name": {"value": "VARCHAR"}, "timeseries": [{"metadatavalues": [{"name": {"value": "VARCHAR"}, '
    '"value": "VARCHAR"}], "data": [{"timeStamp": "VARCHAR", "total": "VARCHAR"}]}]}]'
)


def _dimension(name: str) -> str:
    return f'list_filter(t.metadatavalues, lambda d: lower(d.name."value") = \'{name}\')[1]."value"'


_SELECT = f"""
WITH answers AS NOT MATERIALIZED (
  SELECT line_number, "interval" AS grain, TRY(from_json("value", '{_SHAPE}')) AS metrics
  FROM records WHERE metricName IS NULL
),
named AS NOT MATERIALIZED (
  SELECT line_number, grain, metrics IS NULL AS is_broken, coalesce(len(metrics), 1) = 0 AS is_empty,
         unnest(CASE WHEN len(metrics) > 0 THEN metrics ELSE [NULL] END) AS m
  FROM answers
),
split AS NOT MATERIALIZED (
  SELECT line_number, grain, is_broken, is_empty, m.name."value" AS counter,
         unnest(CASE WHEN len(m.timeseries) > 0 THEN m.timeseries ELSE [NULL] END) AS t
  FROM named
),
counted AS NOT MATERIALIZED (
  SELECT line_number, grain, is_broken, is_empty, counter, t,
         unnest(CASE WHEN len(t.data) > 0 THEN t.data ELSE [NULL] END) AS p
  FROM split
)
SELECT line_number, is_broken, is_empty, counter, p.total AS "value", {instant("p.timeStamp")} AS started_at, grain,
       {_dimension("modelname")} AS model_name, {_dimension("modelversion")} AS model_version,
       {_dimension("statuscode")} AS status_code, {_dimension("modeldeploymentname")} AS project,
       {_dimension("servicetierresponse")} AS service_tier, NULL::VARCHAR AS user_id,
       {hashed("NULL::VARCHAR")} AS api_key_id, to_json(t.metadatavalues)::VARCHAR AS further,
       array_to_string(list_sort(list_transform(t.metadatavalues, lambda d: lower(d.name."value"))), ',') AS split_by
FROM counted
UNION ALL
SELECT line_number, false, false, metricName, total, {instant('"time"')}, timeGrain, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, lower(resourceId), NULL
FROM records WHERE metricName IS NOT NULL
"""


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    seconds = pl.col("grain").replace_strict(_GRAINS, default=None, return_dtype=pl.Int64)
    is_good = pl.col("status_code").is_null() | pl.col("status_code").str.starts_with("2")
    dated = pl.when(pl.col("model_version").str.contains(_DATED)).then("model_version")
    return frame.with_columns(
        counter=pl.col("counter").replace(_OTHER_NAMES),
        finished_at=pl.col("started_at") + pl.duration(seconds=seconds),
        provider=pl.when(is_good).then(pl.lit("azure.ai.openai")),
        model=pl.coalesce(pl.concat_str("model_name", pl.lit("-"), dated), "model_name"),
        service_tier=pl.col("service_tier").str.to_lowercase().replace("standard", "default"),
        further=pl.col("further").hash(seed=0).cast(pl.String),
    )


IMPORTER = points_importer(
    kind="azure_monitor_metrics",
    columns=dict.fromkeys(
        ("interval", "value", "metricName", "time", "total", "timeGrain", "resourceId"), "VARCHAR"
    ),
    select=_SELECT,
    metrics=METRICS,
    signature=(
        frozenset({"interval", "value[0].name.value", "value[0].timeseries"}),
        frozenset({"metricName", "timeGrain", "resourceId", "total"}),
    ),
    amend=_amend,
)
