"""Which lifecycle events a window needs."""

LIVE_EVENTS = """
WITH named AS (
  -- A replica is its source, place and id, a pod of Kubernetes its uid; what names no place may be of any.
  SELECT *, CASE WHEN source_kind NOT LIKE 'k8s_%' THEN source END AS teller,
    CASE WHEN source_kind NOT LIKE 'k8s_%' OR deployment = '(none)'
      THEN coalesce(cluster, region, max(region) OVER ids) END AS place
  FROM core.replica_events WINDOW ids AS (PARTITION BY source, replica_id)
),
live AS (
  SELECT replica_id FROM named WHERE deployment IS NOT NULL GROUP BY replica_id, teller, place
  HAVING min(event_at) < $end
    AND (max(event_at) >= $start OR arg_max(event, event_at) NOT IN ('stopped', 'failed'))
)
SELECT * FROM core.replica_events WHERE replica_id IN (FROM live) OR replica_group IN (
  SELECT replica_group FROM core.replica_events WHERE replica_id IN (FROM live)
)
"""
"""All events of every replica that lives in [$start, $end), however early or late, and of others of its id or group."""
