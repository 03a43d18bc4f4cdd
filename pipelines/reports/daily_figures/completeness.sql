-- One row per day that a counter covers, all providers together: what was counted and no log tells of
SELECT counted_on AS day_on, CAST(sum(counted_count) AS BIGINT) AS counted_count,
  CAST(sum(missing_count) AS BIGINT) AS missing_count, CAST(sum(counted_tokens) AS BIGINT) AS counted_tokens,
  CAST(sum(missing_tokens) AS BIGINT) AS missing_tokens, sum(missing_estimated_usd) AS missing_usd,
  bool_or(has_unpriced) AS has_unpriced, string_agg(provider, ', ' ORDER BY provider) AS providers
FROM ops.completeness_daily WHERE counted_on >= $from_on AND counted_on < $to_on
GROUP BY counted_on ORDER BY counted_on
