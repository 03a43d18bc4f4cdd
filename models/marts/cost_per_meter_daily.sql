-- One row per accrued_on x UTC day x source x provider x model x region x service_tier x tenant x team x meter: token-priced usage by what is counted
--
-- Of a meter under a contract, the list price is the attempt's by the meter's share of its cost.
SELECT accrued_on, CAST(accrued_hour AT TIME ZONE 'UTC' AS DATE) AS utc_on, provider, model, region, service_tier,
  source, tenant, team, fx_usd_per_unit, meter,
  coalesce(sum(CASE WHEN price_state <> 'unpriced' THEN quantity END), 0) AS quantity,
  coalesce(sum(CASE WHEN price_state = 'unpriced' THEN quantity END), 0) AS unpriced_quantity,
  coalesce(sum(effective_usd), 0) AS usage_usd,
  coalesce(sum(CASE WHEN list_ratio IS NULL THEN effective_usd::DECIMAL(38,12)
    ELSE (effective_usd::DOUBLE * list_ratio)::DECIMAL(38,12) END), 0) AS list_usd
FROM core.cost_lines
WHERE meter <> 'gpu' AND accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY ALL
