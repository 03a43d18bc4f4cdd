"""Together's feed of an endpoint's events (`GET /endpoints/{id}/events`): how many replicas a deployment was scaled to.

`deployment.scaled` asks for replicas or stops them; the condition `AllReplicasReady` says that all that were asked for
are ready. A deployment that is deleted has none. What stands between two events of one file is taken together. No event
names the hardware: state it in the source (`columns = {chip = {value = "H100"}}`), or land polls
(`together_deployment`) in its place. Source: together SDK 3.1.1 (EndpointListEventsResponse).
"""

from models.lifecycle.objects import count_importer

_IS_READY = "(\"type\" = 'condition.set' AND reason = 'AllReplicasReady' AND lower(status) = 'true')"
_IS_LESS = (
    "(\"type\" = 'deployment.deleted' "
    "OR TRY_CAST(newReplicas AS BIGINT) < coalesce(TRY_CAST(oldReplicas AS BIGINT), 0))"
)
_IN_ORDER = "PARTITION BY deploymentId ORDER BY createdAt, line_number"
_SOURCE = f"""(
  SELECT *, least(wanted, coalesce(last_value(CASE WHEN {_IS_READY} OR {_IS_LESS} THEN wanted END IGNORE NULLS)
    OVER ({_IN_ORDER}), 0)) AS ready
  FROM (
    SELECT *, last_value(CASE WHEN "type" = 'deployment.deleted' THEN 0 ELSE TRY_CAST(newReplicas AS BIGINT) END
      IGNORE NULLS) OVER ({_IN_ORDER}) AS wanted
    FROM records
  )
)"""

IMPORTER = count_importer(
    "together_endpoint_event",
    columns=dict.fromkeys(
        (
            "id", "createdAt", "endpointId", "deploymentId", "sourceKind", "type", "reason", "status", "oldReplicas",
            "newReplicas", "clusterId",
        ),
        "VARCHAR",
    ),
    facts={"deployment": "deploymentId", "provider": "'together'"},
    source=_SOURCE,
    observed_at="createdAt",
    ready="ready",
    starting="wanted - ready",
    reason="CASE WHEN \"type\" = 'deployment.scaled' AND oldReplicas = '0' THEN 'scale_from_zero' "
    "WHEN \"type\" = 'deployment.scaled' THEN 'scale_up' END",
    ignored="deploymentId IS NULL OR wanted IS NULL",
    signature=(frozenset({"sourceKind=SOURCE_KIND", "endpointId", "type"}),),
)  # fmt: skip
