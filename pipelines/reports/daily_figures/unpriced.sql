-- One row per business day x provider x model that has no price for some attempt
SELECT accrued_on AS day_on, coalesce(provider, '(not known)') AS provider, coalesce(model, '(not known)') AS model,
  CAST(sum(unpriced_count) AS BIGINT) AS unpriced_count, CAST(sum(unpriced_tokens) AS BIGINT) AS unpriced_tokens,
  sum(estimated_usd) AS estimated_usd
FROM mart.cost_per_token_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on AND unpriced_count > 0
GROUP BY ALL ORDER BY day_on, unpriced_tokens DESC, 2, 3
