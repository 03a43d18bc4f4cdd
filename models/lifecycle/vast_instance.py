"""Vast's instances (`vastai show instances --raw`, `GET /api/v0/instances`), poll by poll, with `polled_at` beside.

An instance runs from `start_date`; a poll that finds it stopped is its end, as near as polls are apart. Its disk is
billed in every state: state it in overhead.yml. Source: docs.vast.ai, API reference, show instances.
"""

from models.lifecycle.objects import lifecycle_importer

_GONE = "(intended_status = 'stopped' OR actual_status IN ('exited', 'stopped', 'offline'))"

IMPORTER = lifecycle_importer(
    "vast_instance",
    columns=dict.fromkeys(
        (
            "id", "label", "machine_id", "gpu_name", "num_gpus", "start_date", "actual_status", "intended_status",
            "geolocation", "is_bid", "polled_at",
        ),
        "VARCHAR",
    ),
    facts={
        "replica_id": "id",
        "deployment": "coalesce(nullif(label, ''), id)",
        "chip": "gpu_name",
        "chip_count": "num_gpus",
        "provider": "'vast'",
        "region": "geolocation",
        "commitment": "CASE WHEN is_bid = 'true' THEN 'spot' ELSE 'on_demand' END",
        "node": "NULL",
    },
    events=(
        ("requested", "start_date", "NULL"),
        ("ready", "start_date", "NULL"),
        ("stopped", f"CASE WHEN {_GONE} THEN polled_at END", "NULL"),
    ),
    signature=(frozenset({"gpu_name", "num_gpus", "actual_status", "machine_id"}),),
)  # fmt: skip
