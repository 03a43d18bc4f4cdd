"""CloudWatch's metrics of Bedrock and SageMaker, as a metric stream delivers them in JSON: a metric's minute a line.

Bedrock's `InputTokenCount` is input that was neither read from nor written to a cache; those parts are metrics of
their own. `Invocations` are successful calls. Bedrock gives every metric by model, over all models, and by further
dimensions: only what is split by `ModelId` alone is counted, so that nothing is counted twice. SageMaker counts calls,
no tokens.
Source: docs.aws.amazon.com/bedrock/latest/userguide/monitoring-runtime-metrics.html;
docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-metric-streams-formats-json.html.
"""

import polars as pl

from models.counters.points import CACHED, WRITTEN, points_importer
from models.records import hashed, instant

METRICS = {
    "AWS/Bedrock Invocations": ("request_count",),
    "AWS/Bedrock InputTokenCount": ("input_tokens",),
    "AWS/Bedrock CacheReadInputTokens": CACHED,
    "AWS/Bedrock CacheWriteInputTokens": WRITTEN,
    "AWS/Bedrock OutputTokenCount": ("output_tokens",),
    "AWS/SageMaker Invocations": ("request_count",),
}
_OTHER_NAMES = {
    f"AWS/Bedrock {name}Count": f"AWS/Bedrock {name}s"
    for name in ("CacheReadInputToken", "CacheWriteInputToken")
}
_DIMENSIONS = {"AWS/Bedrock": "ModelId", "AWS/SageMaker": "EndpointName,VariantName"}
_ARN = r"^arn:[^:]*:bedrock:.*:(?:foundation-model|inference-profile)/(.+)$"
_SELECT = f"""
SELECT line_number, TRY(json_type("value")) IS DISTINCT FROM 'OBJECT' AS is_broken, false AS is_empty, namespace,
       namespace || ' ' || metric_name AS counter, TRY(json_extract_string("value", '$.sum')) AS "value",
       {instant('"timestamp"')} AS started_at, {instant('"timestamp"')} + INTERVAL 1 MINUTE AS finished_at,
       array_to_string(list_sort(TRY(json_keys(dimensions))), ',') AS dimension_names,
       TRY(json_extract_string(dimensions, '$.ModelId')) AS model, NULL::VARCHAR AS service_tier,
       coalesce(TRY(json_extract_string(dimensions, '$.EndpointName')), account_id) AS project,
       NULL::VARCHAR AS user_id, {hashed("NULL::VARCHAR")} AS api_key_id,
       concat_ws(' ', region, TRY(json_extract_string(dimensions, '$.VariantName'))) AS further
FROM records
"""


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    wanted = pl.col("namespace").replace_strict(_DIMENSIONS, default=None, return_dtype=pl.String)
    provider = pl.col("namespace").replace_strict(
        {"AWS/Bedrock": "aws.bedrock", "AWS/SageMaker": "aws.sagemaker"}, default=None, return_dtype=pl.String
    )
    return frame.with_columns(
        counter=pl.col("counter").replace(_OTHER_NAMES),
        provider=pl.when(pl.col("dimension_names") == wanted).then(provider),
        model=pl.coalesce(pl.col("model").str.extract(_ARN, 1), "model"),
    )


IMPORTER = points_importer(
    kind="cloudwatch_metrics",
    columns=dict.fromkeys(
        ("account_id", "region", "namespace", "metric_name", "dimensions", "timestamp", "value"), "VARCHAR"
    ),
    select=_SELECT,
    metrics=METRICS,
    signature=(frozenset({"namespace=AWS/", "metric_name", "value.sum"}),),
    amend=_amend,
)
