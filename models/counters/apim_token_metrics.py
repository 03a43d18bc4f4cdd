"""What API Management's policies `llm-emit-token-metric` and `azure-openai-emit-token-metric` count.

They write custom metrics to Application Insights: a row of `customMetrics` is what a gateway counted in a minute,
split by the dimensions that the policy names. A model is told where a dimension `Model` or `Deployment` is. Of streams
without usage the policy estimates. The table `AppMetrics` has the same under other names: `columns = {name = "Name",
...}`.
Source: learn.microsoft.com/azure/api-management/llm-emit-token-metric-policy;
learn.microsoft.com/azure/azure-monitor/reference/tables/appmetrics.
"""

import polars as pl

from models.counters.points import points_importer
from models.records import hashed, instant, tried

METRICS = {"Prompt Tokens": ("input_tokens",), "Completion Tokens": ("output_tokens",)}
_COLUMNS = ("timestamp", "name", "value", "valueSum", "customDimensions", "cloud_RoleInstance", "provider")


def _dimension(*names: str) -> str:
    found = [tried("customDimensions", f"""json_extract_string({{}}, '$."{name}"')""") for name in names]
    return f"nullif(coalesce({', '.join(found)}, NULL), '')"


_AT = '"timestamp"'
_MINUTE = f"date_trunc('minute', {instant(_AT)})"
_MODEL = _dimension("Model", "model", "Deployment", "deployment")
_SELECT = f"""
SELECT line_number, false AS is_broken, false AS is_empty, "name" AS counter, coalesce(valueSum, "value") AS "value",
       {_MINUTE} AS started_at, {_MINUTE} + INTERVAL 1 MINUTE AS finished_at,
       coalesce(provider, 'azure.ai.openai') AS provider, {_MODEL} AS model,
       NULL::VARCHAR AS service_tier, {_dimension("Product ID", "API ID")} AS project,
       {_dimension("User ID")} AS user_id, {hashed(_dimension("Subscription ID"))} AS api_key_id,
       concat_ws(' ', "timestamp", customDimensions, "cloud_RoleInstance") AS further
FROM records
"""

IMPORTER = points_importer(
    kind="apim_token_metrics",
    columns=dict.fromkeys(_COLUMNS, "VARCHAR"),
    select=_SELECT,
    metrics=METRICS,
    signature=(
        frozenset({"name=Prompt Tokens", "customDimensions", "timestamp"}),
        frozenset({"name=Completion Tokens", "customDimensions", "timestamp"}),
        frozenset({"name=Total Tokens", "customDimensions", "timestamp"}),
    ),
    formats=("jsonl", "csv", "parquet"),
    amend=lambda frame: frame.with_columns(further=pl.col("further").hash(seed=0).cast(pl.String)),
)
