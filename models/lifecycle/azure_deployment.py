"""Azure OpenAI's deployments as `az cognitiveservices account deployment list` and the ARM API return them.

A deployment whose SKU is provisioned is a replica of so many PTUs (chip `capacity_unit`) from `systemData.createdAt`;
its name is the deployment, which logs name as `modelDeploymentName`. Others are paid by token and ignored. Its region
is `global`, `datazone`, or the account's `location`, which stands beside or in the source (`columns = {region = {value
= "eastus"}}`). A later size, and the end of one that no list shows any more, have no time of their own: say them by
events of kind `replica_events`. Source: Azure REST API, Microsoft.CognitiveServices accounts/deployments 2024-10-01.
"""

from models.lifecycle.objects import lifecycle_importer

IMPORTER = lifecycle_importer(
    "azure_deployment",
    columns={"id": "VARCHAR", "name": "VARCHAR", "location": "VARCHAR"}
    | dict.fromkeys(("sku", "properties", "systemData"), "JSON"),
    facts={
        "replica_id": "coalesce(lower(id), name)",
        "deployment": "name",
        "model": "(properties->>'$.model.name')",
        "chip": "'capacity_unit'",
        "chip_count": "(sku->>'$.capacity')",
        "provider": "'azure.ai.openai'",
        "region": "CASE WHEN (sku->>'$.name') LIKE 'Global%' THEN 'global' WHEN (sku->>'$.name') LIKE 'DataZone%' "
        "THEN 'datazone' ELSE location END",
    },
    events=(("ready", "(systemData->>'$.createdAt')", "NULL"),),
    ignored="(sku->>'$.name') IS NOT NULL AND (sku->>'$.name') NOT LIKE '%Provisioned%'",
    signature=(frozenset({"sku.name", "properties.model", "systemData"}),),
)
