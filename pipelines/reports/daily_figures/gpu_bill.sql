-- One row per business day x pool, those after the dearest as one; one per commitment, and one total: the blended rates
WITH pools AS (
  SELECT accrued_on AS day_on, *, row_number() OVER day AS place, count(*) OVER (PARTITION BY accrued_on) AS pool_count
  FROM mart.gpu_bill_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
  WINDOW day AS (
    PARTITION BY accrued_on ORDER BY billed_usd DESC NULLS LAST, deployment, commitment, chip, provider, region
  )
),
shown AS (
  SELECT *, least(place, CASE WHEN pool_count > $groups_at_most + 1 THEN $groups_at_most + 1 ELSE place END) AS line
  FROM pools
)
SELECT day_on, line, CASE WHEN line IS NULL THEN commitment END AS of_commitment, count(*) AS members,
  CASE WHEN count(*) = 1 AND line IS NOT NULL
    THEN any_value({'deployment': deployment, 'chip': chip, 'provider': provider, 'region': region, 'commitment': commitment})
  END AS pool,
  sum(COLUMNS('(_usd|_gpu_seconds)$')), CAST(sum(unpriced_hour_count) AS BIGINT) AS unpriced_hour_count,
  min(target_utilization_ratio) AS target_utilization_ratio
FROM shown GROUP BY GROUPING SETS ((day_on, line), (day_on, commitment), (day_on))
ORDER BY day_on, line IS NULL, line, commitment IS NULL, commitment
