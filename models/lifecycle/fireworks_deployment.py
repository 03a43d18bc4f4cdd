"""Fireworks' deployments as its API returns them, poll by poll, with `polled_at` beside.

`replicaStats` counts replicas by phase; no replica is told by itself. Fireworks bills a replica from when it accepts
requests. Source: fireworks-ai SDK 1.2 (Deployment).
"""

from models.lifecycle.objects import count_importer

_TEXT = "VARCHAR"
_WAITING = " + ".join(
    f"coalesce(TRY_CAST(replicaStats->>'$.{name}ReplicaCount' AS BIGINT), 0)"
    for name in ("pendingScheduling", "downloadingModel", "initializing")
)

IMPORTER = count_importer(
    "fireworks_deployment",
    columns=dict.fromkeys(
        (
            "name",
            "baseModel",
            "acceleratorType",
            "acceleratorCount",
            "region",
            "state",
            "deleteTime",
            "polled_at",
        ),
        _TEXT,
    )
    | {"replicaStats": "JSON"},
    facts={
        "deployment": "regexp_extract(name, '([^/]+)$', 1)",
        "model": "baseModel",
        # NVIDIA_H100_80GB, AMD_MI300X_192GB
        "chip": "regexp_replace(regexp_replace(acceleratorType, '^(NVIDIA|AMD|GOOGLE)_', ''), "
        "'^((?:H100|H200|B200|B300|MI300X|MI325X|MI355X))_\\d+GB$', '\\1')",
        "chip_count": "coalesce(nullif(acceleratorCount, ''), '1')",
        "provider": "'fireworks'",
        "region": "region",
    },
    observed_at="polled_at",
    ready="CASE WHEN state IN ('DELETED', 'DELETING') THEN '0' "
    "ELSE coalesce(replicaStats->>'$.readyReplicaCount', '0') END",
    starting=f"CASE WHEN state IN ('DELETED', 'DELETING') THEN 0 ELSE {_WAITING} END",
    signature=(
        frozenset({"acceleratorType", "replicaStats"}),
        frozenset({"acceleratorType", "baseModel", "state"}),
    ),
)
