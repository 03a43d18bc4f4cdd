-- One row per month_on x scope: tokens, requests and dollars of a month beside the month and the year before
--
-- A month that has not ended, or of which some days have no spend, has fewer days: growth is of what a day holds on
-- average, over the days that the warehouse holds.
WITH months AS (
  SELECT unnest([$month_on::DATE, ($month_on - INTERVAL 1 MONTH)::DATE, ($month_on - INTERVAL 1 YEAR)::DATE]) AS month_on
),
spent AS (
  SELECT m.month_on, d.accrued_on, unnest([
      {'scope_kind': 'total', 'scope': 'total'}, {'scope_kind': 'provider', 'scope': provider},
      {'scope_kind': 'family', 'scope': coalesce(family, model)}, {'scope_kind': 'developer', 'scope': developer},
      {'scope_kind': 'weights', 'scope': CASE WHEN is_open_weights THEN 'open' WHEN NOT is_open_weights THEN 'proprietary'
        ELSE 'unknown' END},
      {'scope_kind': 'tenant', 'scope': tenant}, {'scope_kind': 'team', 'scope': team}, {'scope_kind': 'route', 'scope': route},
      {'scope_kind': 'feature', 'scope': feature}
    ], recursive := true),
    request_count, total_tokens, unpriced_tokens, available_usd
  FROM months m JOIN mart.cost_per_token_daily d
    ON d.accrued_on >= m.month_on AND d.accrued_on < m.month_on + INTERVAL 1 MONTH
  WHERE d.accrued_on >= ($month_on - INTERVAL 1 YEAR)::DATE AND d.accrued_on < ($month_on + INTERVAL 1 MONTH)::DATE
),
held AS (
  SELECT month_on, count(DISTINCT accrued_on) AS day_count FROM spent GROUP BY ALL
),
sums AS (
  SELECT month_on, scope_kind, scope, sum(request_count)::BIGINT AS request_count, sum(total_tokens)::BIGINT AS total_tokens,
    sum(unpriced_tokens)::BIGINT AS unpriced_tokens, sum(available_usd)::DECIMAL(38,12) AS available_usd
  FROM spent WHERE scope IS NOT NULL GROUP BY ALL
),
rates AS (
  SELECT s.*, day_count, request_count / day_count AS requests_a_day, total_tokens / day_count AS tokens_a_day,
    available_usd::DOUBLE / day_count AS usd_a_day
  FROM sums s JOIN held USING (month_on)
)
SELECT n.month_on, n.scope_kind, n.scope, n.day_count, n.request_count, n.total_tokens, n.unpriced_tokens, n.available_usd,
  n.requests_a_day, n.tokens_a_day, n.usd_a_day,
  b.day_count AS before_day_count, b.total_tokens AS before_tokens, b.available_usd AS before_usd,
  y.day_count AS year_before_day_count, y.total_tokens AS year_before_tokens, y.available_usd AS year_before_usd,
  n.tokens_a_day / nullif(b.tokens_a_day, 0) - 1 AS tokens_month_ratio,
  n.requests_a_day / nullif(b.requests_a_day, 0) - 1 AS requests_month_ratio,
  n.usd_a_day / nullif(b.usd_a_day, 0) - 1 AS usd_month_ratio,
  n.tokens_a_day / nullif(y.tokens_a_day, 0) - 1 AS tokens_year_ratio,
  n.requests_a_day / nullif(y.requests_a_day, 0) - 1 AS requests_year_ratio,
  n.usd_a_day / nullif(y.usd_a_day, 0) - 1 AS usd_year_ratio
FROM rates n
LEFT JOIN rates b ON b.scope_kind = n.scope_kind AND b.scope = n.scope AND b.month_on = ($month_on - INTERVAL 1 MONTH)::DATE
LEFT JOIN rates y ON y.scope_kind = n.scope_kind AND y.scope = n.scope AND y.month_on = ($month_on - INTERVAL 1 YEAR)::DATE
WHERE n.month_on = $month_on
