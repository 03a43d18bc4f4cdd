-- One row per accrued_on x pool x cause x tenant x team: what idle GPUs cost, and whose traffic kept them there
--
-- Idle of a pool-hour in which requests ran is headroom as far as serving at the target utilisation needs it, and waste
-- beyond (as in mart.gpu_bill_daily); both rest on who was served in that hour, by allocation weight. Idle of an hour
-- without requests was caused by nobody's traffic: replicas were kept up. Dollars are cut by cumulated shares, so that
-- they sum to core.pool_hours.idle_usd to the picodollar; so are the GPU-microseconds.
WITH hours AS (
  SELECT provider, region, chip, deployment, commitment, pool_hour, accrued_on,
    CAST(idle_usd * 1000000000000 AS HUGEINT) AS idle,
    CAST(idle_gpu_seconds * 1000000 AS HUGEINT) AS idle_time,
    least(
      CAST(idle_gpu_seconds * 1000000 AS HUGEINT),
      CAST(serving_gpu_seconds * 1000000 AS HUGEINT) * (100 - $target_percent) // $target_percent
    ) AS headroom_time
  FROM core.pool_hours
  WHERE accrued_on >= $from_on AND accrued_on < $to_on AND idle_gpu_seconds > 0
),
served AS (
  SELECT provider, region, chip, deployment, commitment, accrued_hour AS pool_hour, accrued_on, tenant, team,
    sum(CAST(allocation_weight * 1000000 AS HUGEINT)) AS weight
  FROM core.request_costs
  WHERE accrued_on >= $from_on AND accrued_on < $to_on AND cost_basis = 'gpu' AND allocation_weight > 0
  GROUP BY ALL
),
running AS (
  SELECT h.*, s.tenant, s.team, s.weight, sum(s.weight) OVER (pot ORDER BY s.tenant, s.team ROWS UNBOUNDED PRECEDING) AS so_far,
    sum(s.weight) OVER (pot) AS whole,
    CASE WHEN idle_time > 0 THEN idle * headroom_time // idle_time END AS headroom
  FROM hours h LEFT JOIN served s USING (provider, region, chip, deployment, commitment, pool_hour, accrued_on)
  WINDOW pot AS (PARTITION BY h.provider, h.region, h.chip, h.deployment, h.commitment, h.pool_hour, h.accrued_on)
),
parts AS (
  SELECT accrued_on, provider, region, chip, deployment, commitment, tenant, team,
    unnest(CASE WHEN whole IS NULL THEN [{'cause': 'no_traffic', 'part': idle, 'part_time': idle_time}]
      ELSE [
        {'cause': 'headroom', 'part': share_so_far(headroom, so_far, whole) - share_so_far(headroom, so_far - weight, whole),
         'part_time': share_so_far(headroom_time, so_far, whole) - share_so_far(headroom_time, so_far - weight, whole)},
        {'cause': 'waste',
         'part': share_so_far(idle - headroom, so_far, whole) - share_so_far(idle - headroom, so_far - weight, whole),
         'part_time': share_so_far(idle_time - headroom_time, so_far, whole)
           - share_so_far(idle_time - headroom_time, so_far - weight, whole)}
      ] END, recursive := true)
  FROM running
)
SELECT accrued_on, provider, region, chip, deployment, commitment, cause, tenant, team,
  CAST(sum(part) * 0.000000000001::DECIMAL(13,12) AS DECIMAL(38,12)) AS idle_usd,
  CAST(sum(part_time) * 0.000001::DECIMAL(7,6) AS DECIMAL(38,6)) AS idle_gpu_seconds
FROM parts WHERE part_time <> 0 OR part <> 0 GROUP BY ALL
