-- One row per business day with GPU pools: the bill in its parts, and what has no price
SELECT accrued_on AS day_on, count(*) AS pool_hour_count, count(*) FILTER (billed_usd IS NULL) AS unpriced_hour_count,
  sum(billed_gpu_seconds) FILTER (billed_usd IS NULL) AS unpriced_gpu_seconds,
  sum(COLUMNS('_usd$')), sum(COLUMNS('_gpu_seconds$'))
FROM core.pool_hours WHERE accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY accrued_on
