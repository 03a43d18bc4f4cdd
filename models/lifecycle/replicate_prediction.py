"""Replicate's predictions (`GET /v1/predictions`, webhooks): each holds hardware from `started_at` to `completed_at`.

Of a public model Replicate bills that time alone, and neither the queue nor the start of its container; of a private
model or a deployment also set-up and idle time, which no prediction tells: land the counts of its instances
(`replica_counts`). A prediction does not name its hardware: state it beside as `hardware` (`gpu-h100`, `gpu-2x-l40s`).
Source: replicate.com/docs/reference/http (prediction), replicate.com/docs/topics/billing.
"""

from models.lifecycle.objects import lifecycle_importer

IMPORTER = lifecycle_importer(
    "replicate_prediction",
    columns=dict.fromkeys(
        (
            "id",
            "model",
            "version",
            "deployment",
            "hardware",
            "status",
            "created_at",
            "started_at",
            "completed_at",
        ),
        "VARCHAR",
    ),
    facts={
        "replica_id": "id",
        "deployment": "coalesce(nullif(deployment, ''), nullif(model, ''), version)",
        "model": "model",
        # gpu-2x-l40s and gpu-a100-large-2x have two.
        "chip": "regexp_replace(hardware, '-?\\d+x', '')",
        "chip_count": "coalesce(nullif(regexp_extract(hardware, '(?:^|-)(\\d+)x', 1), ''), '1')",
        "provider": "'replicate'",
        "region": "'global'",
    },
    events=(
        ("requested", "created_at", "NULL"),
        ("ready", "started_at", "NULL"),
        ("stopped", "completed_at", "NULL"),
    ),
    signature=(
        frozenset({"urls.get=https://api.replicate.com", "status"}),
        frozenset({"metrics.predict_time", "version", "created_at"}),
    ),
)
