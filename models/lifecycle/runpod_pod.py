"""RunPod's pods as its REST API returns them (`GET /v1/pods`), poll by poll, with `polled_at` beside.

A pod runs from `lastStartedAt`; a poll that finds it exited or terminated is its end, as near as polls are apart. The
disks of a pod that is stopped are billed on: state them in overhead.yml. Serverless workers are told by no export;
their numbers are (`replica_counts`, of the endpoint's `/health`). Source: docs.runpod.io, REST API reference, pods.
"""

from models.lifecycle.objects import lifecycle_importer

IMPORTER = lifecycle_importer(
    "runpod_pod",
    columns=dict.fromkeys(
        ("id", "name", "desiredStatus", "lastStartedAt", "interruptible", "polled_at"), "VARCHAR"
    )
    | {"gpu": "JSON", "machine": "JSON"},
    facts={
        "replica_id": "id",
        "deployment": "coalesce(nullif(name, ''), id)",
        "chip": "coalesce(machine->>'$.gpuTypeId', gpu->>'$.displayName', gpu->>'$.id')",
        "chip_count": "coalesce(gpu->>'$.count', '1')",
        "provider": "'runpod'",
        "region": "machine->>'$.dataCenterId'",
        "commitment": "CASE WHEN interruptible = 'true' THEN 'spot' ELSE 'on_demand' END",
    },
    events=(
        ("requested", "lastStartedAt", "NULL"),
        ("ready", "lastStartedAt", "NULL"),
        ("stopped", "CASE WHEN desiredStatus IN ('EXITED', 'TERMINATED') THEN polled_at END", "NULL"),
    ),
    signature=(frozenset({"desiredStatus", "lastStartedAt", "costPerHr"}),),
)
