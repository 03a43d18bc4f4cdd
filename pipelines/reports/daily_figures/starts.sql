-- One row per business day x deployment that started replicas, those after the busiest as one, and one total a day
WITH starts AS (
  SELECT started_on AS day_on, * FROM mart.cold_starts WHERE started_on >= $from_on AND started_on < $to_on
),
ranked AS (
  SELECT day_on, deployment, count(*) OVER (PARTITION BY day_on) AS deployment_count,
    row_number() OVER (PARTITION BY day_on ORDER BY count(*) DESC, deployment) AS rank
  FROM starts GROUP BY day_on, deployment
),
named AS (
  SELECT *, CASE WHEN rank <= $groups_at_most OR deployment_count <= $groups_at_most + 1 THEN deployment END AS shown
  FROM starts JOIN ranked USING (day_on, deployment)
)
SELECT * RENAME (shown AS deployment)
FROM (
  SELECT day_on, grouping(shown) = 1 AS is_total, shown, count(DISTINCT deployment) AS members,
    count(*) AS start_count, count(*) FILTER (outcome = 'failed') AS failed_count,
    count(*) FILTER (is_inferred) AS inferred_count,
    count(*) FILTER (start_usd IS NULL AND NOT is_inferred) AS unpriced_count,
    sum(total_seconds) FILTER (outcome = 'ready') AS ready_seconds,
    count(total_seconds) FILTER (outcome = 'ready') AS ready_count, sum(start_usd) AS start_usd,
    sum(estimated_usd) AS estimated_usd, CAST(sum(delayed_request_count) AS BIGINT) AS delayed_request_count,
    sum(added_seconds) AS added_seconds
  FROM named GROUP BY GROUPING SETS ((day_on, shown), (day_on))
)
ORDER BY day_on, is_total, shown IS NULL, start_count DESC, shown
