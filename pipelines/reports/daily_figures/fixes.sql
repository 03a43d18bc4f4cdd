-- One row per business day x thing to mend (route, kind, clause, taken, cheaper and allowed); those after the largest are one row
WITH fixes AS (
  SELECT accrued_on AS day_on, coalesce(route, '(not known)') AS route, kind, clause, provider, region, model,
    alternative_provider, alternative_region, alternative_model,
    max(policy_line) AS policy_line, count(*) AS attempt_count, sum(cost_usd) AS cost_usd, sum(regret_usd) AS regret_usd
  FROM mart.routing_mistakes WHERE accrued_on >= $from_on AND accrued_on < $to_on GROUP BY ALL
),
ranked AS (
  SELECT *, count(*) OVER (PARTITION BY day_on) AS fix_count, row_number() OVER (
    PARTITION BY day_on
    ORDER BY regret_usd DESC NULLS LAST, attempt_count DESC, route, kind, clause, provider, region, model,
      alternative_provider, alternative_region, alternative_model
  ) AS rank
  FROM fixes
)
SELECT day_on, CASE WHEN rank > $fixes_at_most AND fix_count > $fixes_at_most + 1 THEN $fixes_at_most + 1 ELSE rank END AS place,
  count(*) AS members, any_value(COLUMNS('^(alternative_)?(route|kind|clause|policy_line|provider|region|model)$')),
  CAST(sum(attempt_count) AS BIGINT) AS attempt_count, sum(cost_usd) AS cost_usd, sum(regret_usd) AS regret_usd
FROM ranked GROUP BY 1, 2 ORDER BY 1, 2
