-- One row per dimension x name: what was spent in the period and in the one before; each dimension sums to the spend
WITH lines AS (
  SELECT accrued_on AS on_day, component, provider, model, route, tenant, team, feature, usd,
    input_tokens + output_tokens AS tokens, unpriced_tokens
  FROM mart.spend_daily WHERE accrued_on >= $before_on AND accrued_on < $to_on
  UNION ALL BY NAME
  SELECT booked_on AS on_day, 'corrections' AS component, provider, model, route, tenant, team, feature,
    difference_usd AS usd, 0 AS tokens, 0 AS unpriced_tokens
  FROM core.adjustments WHERE booked_on >= $before_on AND booked_on < $to_on
),
named AS (
  SELECT on_day, usd, tokens, unpriced_tokens, unnest([
      {'dimension': 'component', 'name': component}, {'dimension': 'provider', 'name': provider},
      {'dimension': 'model', 'name': model}, {'dimension': 'route', 'name': route},
      {'dimension': 'tenant', 'name': tenant}, {'dimension': 'team', 'name': team}, {'dimension': 'feature', 'name': feature}
    ], recursive := true)
  FROM lines
)
SELECT dimension, coalesce(name, '(none)') AS name,
  sum(usd) FILTER (on_day >= $from_on)::DECIMAL(38,12) AS usd,
  sum(usd) FILTER (on_day < $from_on)::DECIMAL(38,12) AS before_usd,
  coalesce(sum(tokens) FILTER (on_day >= $from_on), 0)::BIGINT AS tokens,
  coalesce(sum(unpriced_tokens) FILTER (on_day >= $from_on), 0)::BIGINT AS unpriced_tokens
FROM named GROUP BY ALL
HAVING usd IS NOT NULL OR before_usd IS NOT NULL OR tokens > 0
ORDER BY dimension, usd DESC NULLS LAST, before_usd DESC NULLS LAST, name
