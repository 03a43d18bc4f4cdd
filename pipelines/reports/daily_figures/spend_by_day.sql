-- One row per business day x provider, and one per day without a provider for its total; from as many days back as the plot shows
WITH lines AS (
  SELECT accrued_on AS day_on, coalesce(provider, '(not known)') AS provider, true AS is_mart, available_usd AS usd,
    usage_usd, total_tokens, unpriced_tokens, attempt_count, unpriced_count
  FROM mart.cost_per_token_daily WHERE accrued_on >= $plotted_from AND accrued_on < $to_on
  UNION ALL BY NAME
  SELECT accrued_on AS day_on, coalesce(provider, '(not known)') AS provider, false AS is_mart, effective_usd AS usd,
    effective_usd AS other_charges_usd
  FROM core.other_charges WHERE accrued_on >= $plotted_from AND accrued_on < $to_on
  UNION ALL BY NAME
  SELECT booked_on AS day_on, '(corrections)' AS provider, false AS is_mart, difference_usd AS usd,
    difference_usd AS corrections_usd
  FROM core.adjustments WHERE booked_on >= $plotted_from AND booked_on < $to_on
)
SELECT day_on, provider, sum(usd) AS spend_usd, sum(usd) FILTER (is_mart) AS available_usd,
  sum(usage_usd) AS usage_usd, sum(other_charges_usd) AS other_charges_usd, sum(corrections_usd) AS corrections_usd,
  CAST(sum(COLUMNS('_count$|_tokens$')) AS BIGINT)
FROM lines GROUP BY GROUPING SETS ((day_on, provider), (day_on))
ORDER BY day_on, provider
