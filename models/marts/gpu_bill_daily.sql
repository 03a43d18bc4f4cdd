-- One row per accrued_on x pool (provider x region x chip x deployment x commitment): the bill, its parts, idle split in two
--
-- Idle of a pool-hour is needed headroom as far as serving at the target utilisation needs it, and waste beyond:
-- headroom = min(idle, serving x (1 - target) / target), in GPU-microseconds; its dollars are that share of the idle
-- dollars, cut to a picodollar, and waste is the rest, so that the two sum to idle.
WITH hours AS (
  SELECT *, CAST(idle_usd * 1000000000000 AS HUGEINT) AS idle_picodollars,
    CAST(idle_gpu_seconds * 1000000 AS HUGEINT) AS idle_time,
    least(
      CAST(idle_gpu_seconds * 1000000 AS HUGEINT),
      CAST(serving_gpu_seconds * 1000000 AS HUGEINT) * (100 - $target_percent) // $target_percent
    ) AS headroom_time
  FROM core.pool_hours WHERE accrued_on >= $from_on AND accrued_on < $to_on
),
split AS (
  SELECT *,
    CAST(CASE WHEN idle_time > 0 THEN idle_picodollars * headroom_time // idle_time ELSE idle_picodollars * 0 END
      * CAST(0.000000000001 AS DECIMAL(13, 12)) AS DECIMAL(38, 12)) AS idle_headroom_usd,
    CAST(headroom_time * CAST(0.000001 AS DECIMAL(7, 6)) AS DECIMAL(38, 6)) AS idle_headroom_gpu_seconds
  FROM hours
),
days AS (
  SELECT accrued_on, provider, region, chip, deployment, commitment,
    CASE WHEN count(DISTINCT model) = 1 THEN min(model) END AS model,
    count(*) FILTER (billed_usd IS NULL OR unpriced_gpu_seconds > 0) AS unpriced_hour_count,
    sum(COLUMNS('(_usd|_gpu_seconds)$')), bool_or(is_provisional) AS is_provisional
  FROM split GROUP BY ALL
)
SELECT *, 'inference' AS workload, idle_usd - idle_headroom_usd AS idle_waste_usd,
  idle_gpu_seconds - idle_headroom_gpu_seconds AS idle_waste_gpu_seconds,
  serving_gpu_seconds / nullif(CAST(serving_gpu_seconds + idle_gpu_seconds AS DOUBLE), 0) AS utilization_ratio,
  $target_percent / 100 AS target_utilization_ratio,
  CASE WHEN unpriced_hour_count = 0
    THEN 3600 * CAST(billed_usd AS DOUBLE) / nullif(CAST(billed_gpu_seconds AS DOUBLE), 0) END AS usd_per_gpu_hour
FROM days
