-- One row per business day with GPU pools: the bill in its parts, and what has no price with its estimate
SELECT accrued_on AS day_on, count(*) AS pool_hour_count,
  count(*) FILTER (billed_usd IS NULL OR unpriced_gpu_seconds > 0) AS unpriced_hour_count,
  sum(coalesce(unpriced_gpu_seconds, CASE WHEN billed_usd IS NULL THEN billed_gpu_seconds END)) AS unpriced_gpu_seconds,
  (SELECT sum(estimated_usd) FROM ops.unpriced_gpu_hours u WHERE u.accrued_on = p.accrued_on) AS estimated_usd,
  coalesce((SELECT bool_or(estimated_usd IS NULL) FROM ops.unpriced_gpu_hours u WHERE u.accrued_on = p.accrued_on),
    false) AS has_no_estimate,
  sum(COLUMNS('_usd$')), sum(COLUMNS(c -> c LIKE '%_gpu_seconds' AND c NOT LIKE 'unpriced%'))
FROM core.pool_hours p WHERE accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY accrued_on
