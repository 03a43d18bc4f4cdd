-- One row per business day x source, and one total a day: how far the figures can be trusted
SELECT accrued_on AS day_on, grouping(source) = 1 AS is_total, source,
  CAST(sum(COLUMNS('_count$|_tokens$')) AS BIGINT), sum(COLUMNS('_usd$')),
  min(oldest_price_on) AS oldest_price_on,
  any_value(unread_usage_example ORDER BY unread_usage_example) AS unread_usage_example
FROM ops.coverage WHERE accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY GROUPING SETS ((accrued_on, source), (accrued_on))
ORDER BY accrued_on, is_total, source
