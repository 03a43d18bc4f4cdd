"""Lambda's instances as its API returns them (`GET /api/v1/instances`), poll by poll, with `polled_at` beside.

The API tells a status and no time, so that a start and an end are as near as polls are apart; of polls that find the
same the first counts. Lambda bills by the minute from launch. Source: docs.lambda.ai, Cloud API (instance).
"""

from models.lifecycle.objects import lifecycle_importer

_TYPE = "instance_type->>'$.name'"

IMPORTER = lifecycle_importer(
    "lambda_instance",
    columns=dict.fromkeys(("id", "name", "status", "polled_at"), "VARCHAR")
    | {"region": "JSON", "instance_type": "JSON"},
    facts={
        "replica_id": "id",
        "deployment": "coalesce(nullif(name, ''), id)",
        # gpu_8x_h100_sxm5
        "chip": f"replace(regexp_extract({_TYPE}, '^gpu_\\d+x_(.+)$', 1), '_', '-')",
        "chip_count": f"regexp_extract({_TYPE}, '^gpu_(\\d+)x_', 1)",
        "provider": "'lambda'",
        "region": "region->>'$.name'",
    },
    events=(
        ("requested", "CASE WHEN status = 'booting' THEN polled_at END", "NULL"),
        ("ready", "CASE WHEN status IN ('active', 'unhealthy') THEN polled_at END", "NULL"),
        (
            "stopped",
            "CASE WHEN status IN ('terminating', 'terminated', 'preempted') THEN polled_at END",
            "NULL",
        ),
    ),
    signature=(frozenset({"instance_type.name=gpu_", "region.name", "status"}),),
)
