"""Azure's tables of Log Analytics that tell of model calls: API Management's logs, and AzureDiagnostics.

A row is one of `ApiManagementGatewayLlmLog`, `ApiManagementGatewayLogs` (of which those count whose answer is logged)
or `AzureDiagnostics`, exported as JSON lines, CSV or Parquet. What they mean: azure_shape.py.
"""

from models.json_fields import json_field, json_struct
from models.logs.azure_shape import FIELDS, azure_canonical, azure_select
from models.records import Importer

_COLUMNS = {
    "logged_at": ("TimeGenerated",),
    "call_id": ("CorrelationId",),
    "code": ("ResponseCode", "BackendResponseCode", "ResultSignature"),
    "milliseconds": ("TotalTime", "DurationMs"),
    "place": ("Region", "Location"),
    "resource": ("ResourceId", "_ResourceId"),
    "method": ("OperationName", "OperationId"),
    "deployment": ("DeploymentName",),
    "model_name": ("ModelName",),
    "stream": ("IsStreamCompletion",),
    "who": ("UserId",),
    "key": ("ApimSubscriptionId",),
    "product": ("ProductId",),
    "url": ("BackendUrl",),
    "cache": ("Cache",),
    "prompt_tokens": ("PromptTokens",),
    "completion_tokens": ("CompletionTokens",),
    "total_tokens": ("TotalTokens",),
    "answer": ("BackendResponseBody", "ResponseBody"),
}
_PROPERTIES = {
    "asked_ticks": "requestTime",
    "answered_ticks": "responseTime",
    "deployment": "modelDeploymentName",
    "model_name": "modelName",
    "model_version": "modelVersion",
    "stream": "streamType",
    "who": "objectId",
    "answer": "responseBody",
}
_CATEGORY = """coalesce("Category", CASE WHEN "PromptTokens" IS NOT NULL OR "ModelName" IS NOT NULL
  OR "DeploymentName" IS NOT NULL THEN 'GatewayLlmLogs' ELSE 'GatewayLogs' END) AS category"""


def _field(name: str) -> str:
    if name == "category":
        return _CATEGORY
    found = [f'"{column}"' for column in _COLUMNS.get(name, ())]
    inside = [json_field("p", _PROPERTIES[name])] if name in _PROPERTIES else []
    return f"coalesce({', '.join([*found, *inside])}, NULL) AS {name}"


IMPORTER = Importer(
    kind="apim_llm_log",
    table="raw.requests",
    columns=dict.fromkeys(
        ("Category", "properties_s", *(column for columns in _COLUMNS.values() for column in columns)),
        "VARCHAR",
    ),
    select=azure_select(
        f"SELECT line_number, {', '.join(map(_field, FIELDS))} "
        f"FROM (SELECT *, {json_struct('properties_s', _PROPERTIES.values())} AS p FROM records)"
    ),
    canonical=azure_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(
        frozenset({"TimeGenerated", "CorrelationId", "PromptTokens"}),
        frozenset({"TimeGenerated", "CorrelationId", "BackendUrl"}),
        frozenset({"Category=RequestResponse", "properties_s"}),
    ),
    rank=13,
)
