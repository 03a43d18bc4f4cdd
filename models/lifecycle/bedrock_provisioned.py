"""Bedrock's provisioned throughput: `aws bedrock list-provisioned-model-throughputs`, or one purchase of them.

A purchase is a replica of so many model units (chip `capacity_unit`) from its creation; its ARN is the deployment, as a
call names it in `modelId`. One that no list shows any more was deleted: say when by a `stopped` event of kind
`replica_events`. A change of `modelUnits` is not told with its time either. Source: botocore 1.44, bedrock.
"""

from models.lifecycle.objects import lifecycle_importer

_TEXT = "VARCHAR"
_NAMES = (
    "provisionedModelArn", "foundationModelArn", "modelArn", "modelUnits", "status", "commitmentDuration",
    "creationTime",
)  # fmt: skip
_SHAPE = "[{" + ", ".join(f'"{name}": "VARCHAR"' for name in _NAMES) + "}]"

IMPORTER = lifecycle_importer(
    "bedrock_provisioned",
    columns=dict.fromkeys(_NAMES, _TEXT) | {"provisionedModelSummaries": "JSON"},
    source=f"""(
  SELECT line_number, unnest(CASE WHEN len(listed) > 0 THEN listed
    ELSE [{{{", ".join(f"'{name}': {name}" for name in _NAMES)}}}] END, recursive := true)
  FROM (SELECT *, TRY(from_json(provisionedModelSummaries, '{_SHAPE}')) AS listed FROM records)
)""",
    facts={
        "replica_id": "provisionedModelArn",
        "deployment": "provisionedModelArn",
        "model": "regexp_extract(coalesce(foundationModelArn, modelArn), '([^/]+)$', 1)",
        "chip": "'capacity_unit'",
        "chip_count": "modelUnits",
        "provider": "'aws.bedrock'",
        "region": "regexp_extract(provisionedModelArn, '^arn:[^:]*:bedrock:([^:]+)', 1)",
        "commitment": "CASE WHEN commitmentDuration IS NULL THEN 'on_demand' ELSE 'committed' END",
    },
    events=(
        ("requested", "creationTime", "'deploy'"),
        ("ready", "CASE WHEN status IN ('InService', 'Updating') THEN creationTime END", "NULL"),
    ),
    ignored="status = 'Failed'",
    signature=(frozenset({"provisionedModelSummaries"}), frozenset({"provisionedModelArn", "modelUnits"})),
)
