"""Baseten's deployments as its management API returns them, poll by poll, with `polled_at` beside.

`active_replica_count` replicas are ready; while a deployment builds, wakes up or loads, one more is starting. The API
tells no replica by itself, and no time but that of the poll. Baseten bills by the minute from when a model loads.
Source: Baseten's management API reference, truss 0.18 (states).
"""

from models.lifecycle.objects import count_importer

_STARTING = "('BUILDING', 'DEPLOYING', 'LOADING_MODEL', 'WAKING_UP', 'UPDATING')"
_GONE = "('SCALED_TO_ZERO', 'INACTIVE', 'DEACTIVATING', 'FAILED', 'BUILD_FAILED', 'BUILD_STOPPED', 'DEPLOY_FAILED')"
_TEXT = "VARCHAR"

IMPORTER = count_importer(
    "baseten_deployment",
    columns=dict.fromkeys(
        (
            "id",
            "name",
            "model_id",
            "model_name",
            "status",
            "active_replica_count",
            "instance_type_name",
            "polled_at",
        ),
        _TEXT,
    )
    | {"instance_type": "JSON"},
    facts={
        "deployment": "id",
        "model": "coalesce(nullif(model_name, ''), name)",
        # H100:2x16x... has two; a plain name has one.
        "chip": "regexp_extract(coalesce(instance_type->>'$.gpu_type', instance_type->>'$.name', instance_type_name), "
        "'^([A-Za-z0-9-]+)', 1)",
        "chip_count": "coalesce(instance_type->>'$.gpu_count', "
        "nullif(regexp_extract(instance_type_name, '^[A-Za-z0-9-]+:(\\d+)(?:x|$)', 1), ''), '1')",
        "provider": "'baseten'",
        "region": "NULL",
    },
    observed_at="polled_at",
    ready=f"CASE WHEN status IN {_GONE} THEN '0' ELSE coalesce(active_replica_count, '0') END",
    starting=f"CASE WHEN status IN {_STARTING} THEN '1' ELSE '0' END",
    reason="CASE status WHEN 'WAKING_UP' THEN 'scale_from_zero' WHEN 'BUILDING' THEN 'deploy' "
    "WHEN 'DEPLOYING' THEN 'deploy' WHEN 'UPDATING' THEN 'deploy' END",
    signature=(frozenset({"active_replica_count", "model_id", "status"}),),
)
