"""Together's deployments of dedicated endpoints as its API returns them, poll by poll, with `polled_at` beside.

A deployment tells how many replicas are ready and wanted; an endpoint lists its deployments. An endpoint of the first
API tells a state alone: started, it runs at least `autoscaling.min_replicas`, and more are not told. The API tells no
region. Together bills by the minute from when a replica runs.
Source: together SDK 3.1.1 (Endpoint, EndpointDeployment); docs.together.ai/reference/createendpoint.
"""

from models.lifecycle.objects import count_importer

_SHAPE = (
    '[{"name": "VARCHAR", "state": "VARCHAR", "hardware": "VARCHAR", "model": "VARCHAR", "readyReplicas": "VARCHAR", '
    '"desiredReplicas": "VARCHAR"}]'
)
_SOURCE = f"""(
  SELECT line_number, polled_at, coalesce(d.name, name) AS name, coalesce(d.hardware, hardware) AS hardware,
         coalesce(d.model, model) AS model, coalesce(d.state, status->>'$.state', state) AS phase,
         coalesce(d.readyReplicas, status->>'$.readyReplicas') AS ready,
         coalesce(d.desiredReplicas, desiredReplicas, status->>'$.scheduledReplicas') AS wanted,
         coalesce(autoscaling->>'$.min_replicas', autoscaling->>'$.minReplicas', '1') AS least,
         coalesce(endpointType, "type") ILIKE '%serverless%' AS is_shared, listed
  FROM (
    SELECT *, unnest(CASE WHEN len(listed) > 0 THEN listed ELSE [NULL] END) AS d
    FROM (SELECT *, TRY(from_json(deployments, '{_SHAPE}')) AS listed FROM records)
  )
)"""
_IS_GONE = "regexp_matches(phase, '(?:^|_)(?:STOPPED|STOPPING|FAILED|ERROR)$')"

IMPORTER = count_importer(
    "together_deployment",
    columns=dict.fromkeys(
        (
            "name", "model", "hardware", "state", "type", "endpointType", "desiredReplicas", "polled_at",
        ),
        "VARCHAR",
    )
    | dict.fromkeys(("deployments", "status", "autoscaling"), "JSON"),
    facts={
        "deployment": "name",
        "model": "coalesce(nullif(regexp_extract(model, '/models/([^/]+)', 1), ''), model)",
        # 2x_nvidia_h100_80gb_sxm
        "chip": "replace(regexp_replace(lower(hardware), '^\\d+x_(?:nvidia_|amd_)?', ''), '_', '-')",
        "chip_count": "nullif(regexp_extract(hardware, '^(\\d+)x_', 1), '')",
        "provider": "'together'",
    },
    source=_SOURCE,
    observed_at="polled_at",
    ready=f"CASE WHEN {_IS_GONE} THEN '0' WHEN phase = 'STARTED' THEN least ELSE coalesce(ready, '0') END",
    starting=f"CASE WHEN {_IS_GONE} OR phase = 'STARTED' THEN 0 WHEN phase IN ('PENDING', 'STARTING') "
    "THEN TRY_CAST(least AS BIGINT) "
    "ELSE greatest(TRY_CAST(wanted AS BIGINT) - coalesce(TRY_CAST(ready AS BIGINT), 0), 0) END",
    ignored="is_shared OR (len(listed) = 0)",
    signature=(
        frozenset({"endpointId", "hardware", "status.state=DEPLOYMENT_STATE"}),
        frozenset({"endpointType", "deployments", "trafficSplit"}),
        frozenset({"object=endpoint", "hardware", "state"}),
    ),
)  # fmt: skip
