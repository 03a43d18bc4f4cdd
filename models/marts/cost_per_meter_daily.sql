-- One row per accrued_on x UTC day x source x provider x model x region x service_tier x tenant x team x meter: token-priced usage by what is counted
WITH attempts AS (
  SELECT source, request_id, started_at, accrued_hour, accrued_on, region, service_tier, tenant, team,
    fx_usd_per_unit, price_state,
    -- Of a meter under a contract, the list price is the attempt's by the meter's share of its cost.
    CASE WHEN effective_usd > 0 AND list_usd <> effective_usd
      THEN list_usd::DECIMAL(38,12)::DOUBLE / effective_usd::DOUBLE END AS markup
  FROM core.request_costs
  WHERE cost_basis = 'token' AND accrued_on >= $from_on AND accrued_on < $to_on
)
SELECT l.accrued_on, CAST(l.accrued_hour AT TIME ZONE 'UTC' AS DATE) AS utc_on, l.provider, l.model, a.region,
  a.service_tier, a.source, a.tenant, a.team, a.fx_usd_per_unit, l.meter,
  coalesce(sum(l.quantity) FILTER (a.price_state <> 'unpriced'), 0) AS quantity,
  coalesce(sum(l.quantity) FILTER (a.price_state = 'unpriced'), 0) AS unpriced_quantity,
  coalesce(sum(l.effective_usd), 0) AS usage_usd,
  coalesce(sum(CASE WHEN a.markup IS NULL THEN l.effective_usd::DECIMAL(38,12)
    ELSE (l.effective_usd::DOUBLE * a.markup)::DECIMAL(38,12) END), 0) AS list_usd
FROM core.cost_lines l JOIN attempts a USING (source, request_id, started_at, accrued_hour, accrued_on)
WHERE l.meter <> 'gpu' AND l.accrued_on >= $from_on AND l.accrued_on < $to_on
GROUP BY ALL
