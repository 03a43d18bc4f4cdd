-- One row per business day of the period
WITH lines AS (
  SELECT accrued_on, usd, input_tokens + output_tokens AS tokens, unpriced_tokens, attempt_count
  FROM mart.spend_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
  UNION ALL BY NAME
  SELECT booked_on AS accrued_on, difference_usd AS usd, 0 AS tokens, 0 AS unpriced_tokens, 0 AS attempt_count
  FROM core.adjustments WHERE booked_on >= $from_on AND booked_on < $to_on
)
SELECT accrued_on::VARCHAR AS name, sum(usd)::DECIMAL(38,12) AS usd, sum(attempt_count)::BIGINT AS attempts,
  sum(tokens)::BIGINT AS tokens, sum(unpriced_tokens)::BIGINT AS unpriced_tokens
FROM lines GROUP BY accrued_on ORDER BY accrued_on
