-- One row per attempt of the costliest routing mistakes of a business day
SELECT accrued_on AS day_on, request_id, started_at, route, kind, also_kinds, clause, provider, region, model, cost_usd,
  alternative_provider, alternative_region, alternative_model, alternative_usd, regret_usd, confidence_ratio, evidence
FROM mart.routing_mistakes WHERE accrued_on >= $from_on AND accrued_on < $to_on
QUALIFY row_number() OVER (
  PARTITION BY accrued_on
  ORDER BY regret_usd DESC NULLS LAST, cost_usd DESC NULLS LAST, started_at, source, request_id
) <= $worst_at_most
ORDER BY accrued_on, regret_usd DESC NULLS LAST, cost_usd DESC NULLS LAST, started_at, source, request_id
