"""Which lifecycle events a window needs."""

LIVE_EVENTS = """
WITH spans AS (
  -- A replica is its source, place and id, a pod of Kubernetes its uid; a node of it, its place and name.
  SELECT replica_id, CASE WHEN source_kind LIKE 'k8s_%' THEN '' ELSE source END AS teller,
    CASE WHEN source_kind NOT LIKE 'k8s_%' OR deployment = '(none)' THEN coalesce(cluster, region) END AS place,
    min(event_at) AS first_at, max(event_at) AS last_at,
    arg_max(event, {'at': event_at, 'is_end': event IN ('stopped', 'failed')}) AS last_event
  FROM core.replica_events WHERE deployment IS NOT NULL GROUP BY ALL
),
-- What names no place may be of any.
of_any AS (FROM spans WHERE place IS NULL),
live AS (
  SELECT s.replica_id
  FROM spans s LEFT JOIN of_any a ON a.replica_id = s.replica_id AND a.teller = s.teller
  WHERE least(s.first_at, a.first_at) < $end AND (
    greatest(s.last_at, a.last_at) >= $start
    OR CASE WHEN a.last_at > s.last_at THEN a.last_event ELSE s.last_event END NOT IN ('stopped', 'failed'))
    AND (s.place IS NOT NULL OR NOT EXISTS (
      FROM spans o WHERE o.replica_id = s.replica_id AND o.teller = s.teller AND o.place IS NOT NULL))
)
SELECT * FROM core.replica_events WHERE replica_id IN (FROM live) OR replica_group IN (
  SELECT replica_group FROM core.replica_events WHERE replica_id IN (FROM live) AND replica_group IS NOT NULL
)
"""
"""All events of every replica that lives in [$start, $end), however early or late, and of others of its id or group."""
