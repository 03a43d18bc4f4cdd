-- One row per business day x kind of routing mistake (or not_evaluated), the largest regret first
SELECT accrued_on AS day_on, kind, CAST(sum(attempt_count) AS BIGINT) AS attempt_count, sum(regret_usd) AS regret_usd,
  sum(regret_low_usd) AS regret_low_usd, sum(regret_high_usd) AS regret_high_usd, sum(wasted_usd) AS wasted_usd,
  sum(cost_usd) AS cost_usd
FROM mart.routing_regret_daily WHERE accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY accrued_on, kind ORDER BY accrued_on, kind = 'not_evaluated', sum(regret_usd) DESC NULLS LAST, kind
