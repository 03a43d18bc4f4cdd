-- One row per component and provider: what was spent in the month, corrections included
SELECT component, provider, sum(usd)::DECIMAL(38,12) AS usd, sum(attempt_count)::BIGINT AS attempt_count,
  sum(input_tokens + output_tokens)::BIGINT AS total_tokens, sum(unpriced_tokens)::BIGINT AS unpriced_tokens
FROM mart.spend_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY ALL
UNION ALL
SELECT 'corrections', NULL, sum(difference_usd)::DECIMAL(38,12), 0, 0, 0
FROM core.adjustments WHERE booked_on >= $from_on AND booked_on < $to_on HAVING count(*) > 0
UNION ALL
SELECT 'true-ups of bills', provider, sum(true_up_usd)::DECIMAL(38,12), 0, 0, 0
FROM mart.accruals_monthly WHERE booked_on = $from_on GROUP BY ALL HAVING sum(true_up_usd) <> 0
ORDER BY ALL
