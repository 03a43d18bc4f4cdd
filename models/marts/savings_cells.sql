-- One row per cell of a month's spend: what a change can save from. A spender is a pool, or all APIs of one model family
WITH spent AS (
  SELECT s.*, f.model_family,
    CASE WHEN deployment IS NOT NULL
      THEN concat_ws(', ', 'pool ' || deployment, chip, provider, region)
      ELSE 'API calls of ' || coalesce(f.model_family, model, '(no model)') END AS spender
  FROM mart.spend_daily s LEFT JOIN ref.model_families f ON f.name = lower(s.model)
  WHERE accrued_on >= $from_on AND accrued_on < $to_on
)
SELECT spender,
  CASE WHEN deployment IS NOT NULL THEN concat_ws('|', spender, component, coalesce(commitment, '-'))
    ELSE concat_ws('|', spender, component, coalesce(provider, '-'), coalesce(region, '-'), coalesce(route, '-'),
      coalesce(model, '-')) END AS cell,
  component, provider, region, any_value(route) AS route, any_value(model) AS model, any_value(chip) AS chip,
  any_value(deployment) AS deployment, any_value(commitment) AS commitment, any_value(model_family) AS model_family,
  sum(usd)::DECIMAL(38,12) AS usd, sum(input_tokens + output_tokens)::BIGINT AS tokens
FROM spent
GROUP BY spender, cell, component, provider, region
HAVING sum(usd) > 0
