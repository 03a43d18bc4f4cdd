"""Azure's resource logs of model calls, as storage accounts and Event Hubs hold them: accounts and API Management.

Categories `RequestResponse` and `AzureOpenAIRequestUsage` of an account, `GatewayLlmLogs` and `GatewayLogs` of API
Management; others are passed over. `properties` is an object or its text. What they mean: azure_shape.py.
"""

from models.json_fields import json_field, json_struct
from models.logs.azure_shape import FIELDS, azure_canonical, azure_select
from models.records import Importer

_TOP = (
    "time", "category", "operationName", "correlationId", "durationMs", "resultSignature", "location", "Tenant",
    "resourceId", "properties",
)  # fmt: skip
_PROPERTIES = {
    "call_id": ("correlationId",),
    "code": ("responseCode", "backendResponseCode"),
    "milliseconds": ("totalTime",),
    "place": ("region",),
    "method": ("operationName",),
    "asked_ticks": ("requestTime",),
    "answered_ticks": ("responseTime",),
    "deployment": ("modelDeploymentName", "deploymentName"),
    "model_name": ("modelName",),
    "model_version": ("modelVersion",),
    "stream": ("streamType", "isStreamCompletion"),
    "who": ("objectId", "userId"),
    "key": ("apimSubscriptionId", "subscriptionId"),
    "product": ("productId",),
    "url": ("backendUrl",),
    "cache": ("cache",),
    "prompt_tokens": ("promptTokens",),
    "completion_tokens": ("completionTokens",),
    "total_tokens": ("totalTokens",),
    "answer": ("responseBody", "backendResponseBody", "response"),
}
_BESIDE = {
    "logged_at": ("time",),
    "category": ("category",),
    "call_id": ("correlationId",),
    "code": ("resultSignature",),
    "milliseconds": ("durationMs",),
    "place": ("location", '"Tenant"'),
    "resource": ("resourceId",),
    "method": ("operationName",),
}


def _field(name: str) -> str:
    inside = [json_field("p", path) for path in _PROPERTIES.get(name, ())]
    return f"coalesce({', '.join([*_BESIDE.get(name, ()), *inside])}, NULL) AS {name}"


_PATHS = [path for paths in _PROPERTIES.values() for path in paths]
IMPORTER = Importer(
    kind="azure_openai_diag",
    table="raw.requests",
    columns=dict.fromkeys(_TOP, "VARCHAR"),
    select=azure_select(
        f"SELECT line_number, {', '.join(map(_field, FIELDS))} "
        f"FROM (SELECT *, {json_struct('properties', _PATHS)} AS p FROM records)"
    ),
    canonical=azure_canonical,
    formats=("jsonl",),
    signature=(
        frozenset({"category=RequestResponse", "resourceId", "properties"}),
        frozenset({"category=AzureOpenAIRequestUsage", "resourceId"}),
        frozenset({"category=GatewayLlmLogs", "properties"}),
        frozenset({"category=GatewayLogs", "properties"}),
    ),
    rank=13,
)
