-- One row per business day x deployment x step of $bin_seconds since the day began: starts of replicas
WITH days AS (
  SELECT unnest(CAST($days AS DATE[])) AS day_on, unnest(CAST($starts_at AS TIMESTAMPTZ[])) AS starts_at
)
SELECT day_on, deployment, CAST((epoch(requested_at) - epoch(starts_at)) // $bin_seconds AS BIGINT) AS bin,
  count(*) AS start_count
FROM mart.cold_starts JOIN days ON day_on = started_on
WHERE started_on >= $from_on AND started_on < $to_on
GROUP BY ALL ORDER BY ALL
