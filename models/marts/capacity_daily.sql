-- One row per accrued_on x provider x region x deployment of provisioned throughput (chip capacity_unit)
--
-- Used tokens are weighted as the vendor counts them against a unit (ref.capacity_rates). Calls of the pool's route at
-- its provider that ran beside it, priced by token, are its spill-over. On demand, the pool's own tokens would have cost
-- the provider's list price of that day (mart.break_even).
WITH hours AS (
  SELECT accrued_on, pool_hour, provider, region, deployment,
    CASE WHEN count(DISTINCT model) = 1 AND count(model) = count(*) THEN min(model) END AS model,
    sum(wall_gpu_seconds) AS unit_seconds,
    sum(serving_gpu_seconds + idle_gpu_seconds) AS ready_seconds,
    CASE WHEN count(billed_usd) = count(*) AND sum(coalesce(unpriced_gpu_seconds, 0)) = 0
      THEN sum(billed_usd) END AS billed_usd,
    sum(serving_usd) AS serving_usd, sum(idle_usd) AS idle_usd, bool_or(is_provisional) AS is_provisional
  FROM core.pool_hours
  WHERE chip = 'capacity_unit' AND deployment <> '(none)' AND accrued_on >= $from_on AND accrued_on < $to_on
  GROUP BY ALL
),
rated AS (
  SELECT h.*, r.output_weight, r.cache_read_weight,
    CAST(ready_seconds AS DOUBLE) / 60 * CAST(r.input_tokens_per_minute AS DOUBLE) AS capacity_tokens
  FROM hours h LEFT JOIN ref.capacity_rates r ON r.provider = h.provider AND r.model = lower(h.model)
    AND r.valid_from <= h.pool_hour AND (r.valid_to IS NULL OR r.valid_to > h.pool_hour)
),
calls AS (
  SELECT accrued_on, accrued_hour AS pool_hour, provider, region, deployment,
    count(*) FILTER (is_first_accrual) AS attempt_count,
    CAST(sum(coalesce(input_uncached_tokens, 0) + coalesce(cache_write_5m_tokens, 0)
      + coalesce(cache_write_1h_tokens, 0) + coalesce(audio_input_tokens, 0) + coalesce(image_input_tokens, 0)
      + coalesce(video_input_tokens, 0) + coalesce(other_input_tokens, 0)) AS BIGINT) AS fresh_tokens,
    CAST(sum(coalesce(cache_read_tokens, 0) + coalesce(cache_read_audio_tokens, 0)
      + coalesce(cache_read_image_tokens, 0)) AS BIGINT) AS cached_tokens,
    CAST(sum(coalesce(output_text_tokens, 0) + coalesce(reasoning_tokens, 0) + coalesce(audio_output_tokens, 0)
      + coalesce(image_output_tokens, 0) + coalesce(other_output_tokens, 0)) AS BIGINT) AS output_tokens
  FROM core.request_costs
  WHERE cost_basis = 'gpu' AND chip = 'capacity_unit' AND accrued_on >= $from_on AND accrued_on < $to_on
  GROUP BY ALL
),
used AS (
  SELECT r.*, coalesce(attempt_count, 0) AS attempt_count,
    coalesce(fresh_tokens, 0) + coalesce(cached_tokens, 0) + coalesce(output_tokens, 0) AS tokens,
    CASE WHEN capacity_tokens IS NOT NULL THEN coalesce(fresh_tokens, 0)
      + coalesce(cached_tokens, 0) * CAST(cache_read_weight AS DOUBLE)
      + coalesce(output_tokens, 0) * CAST(output_weight AS DOUBLE) END AS used_tokens
  FROM rated r LEFT JOIN calls USING (accrued_on, pool_hour, provider, region, deployment)
),
days AS (
  SELECT accrued_on, provider, region, deployment,
    CASE WHEN count(DISTINCT model) = 1 AND count(model) = count(*) THEN min(model) END AS model,
    CAST(sum(unit_seconds) AS DOUBLE) / 3600 AS unit_hours,
    CASE WHEN count(billed_usd) = count(*) THEN sum(billed_usd) END AS billed_usd,
    CASE WHEN count(billed_usd) = count(*) THEN sum(serving_usd) END AS serving_usd,
    CASE WHEN count(billed_usd) = count(*) THEN sum(idle_usd) END AS idle_usd,
    CAST(sum(attempt_count) AS BIGINT) AS attempt_count, CAST(sum(tokens) AS BIGINT) AS tokens,
    CASE WHEN count(capacity_tokens) = count(*) THEN sum(used_tokens) END AS used_tokens,
    CASE WHEN count(capacity_tokens) = count(*) THEN sum(capacity_tokens) END AS capacity_tokens,
    max(used_tokens / nullif(capacity_tokens, 0)) AS busiest_hour_ratio,
    bool_or(is_provisional) AS is_provisional
  FROM used GROUP BY ALL
),
beside AS (
  SELECT accrued_on, route AS deployment, provider,
    count(*) FILTER (is_first_accrual) AS spillover_count,
    CAST(sum(coalesce(input_uncached_tokens, 0) + coalesce(cache_read_tokens, 0) + coalesce(cache_write_5m_tokens, 0)
      + coalesce(cache_write_1h_tokens, 0) + coalesce(output_text_tokens, 0) + coalesce(reasoning_tokens, 0)) AS BIGINT)
      AS spillover_tokens,
    CAST(coalesce(sum(effective_usd), 0) AS DECIMAL(38,12)) AS spillover_usd,
    count(*) FILTER (is_first_accrual AND price_state = 'unpriced') AS spillover_unpriced_count
  FROM core.request_costs
  WHERE cost_basis = 'token' AND coalesce(attempt_no, 1) <> 0 AND route IN (SELECT deployment FROM days)
    AND accrued_on >= $from_on AND accrued_on < $to_on
  GROUP BY ALL
),
own AS (
  SELECT accrued_on, provider, region, deployment, min(api_usd) AS on_demand_usd
  FROM mart.break_even
  WHERE chip = 'capacity_unit' AND api_provider = provider AND (api_region IS NULL OR api_region = region)
    AND accrued_on >= $from_on AND accrued_on < $to_on
  GROUP BY ALL
),
-- The spill-over of a deployment that has pools in several regions is that of the first.
first_region AS (
  SELECT accrued_on, provider, deployment, min(region) AS region FROM days GROUP BY ALL
)
SELECT d.accrued_on, d.provider, d.region, d.deployment, d.model, d.unit_hours, d.billed_usd, d.serving_usd, d.idle_usd,
  CAST(d.billed_usd - d.serving_usd - d.idle_usd AS DECIMAL(38,12)) AS other_usd,
  d.attempt_count, d.tokens, d.used_tokens, d.capacity_tokens,
  d.used_tokens / nullif(d.capacity_tokens, 0) AS token_utilization_ratio, d.busiest_hour_ratio,
  coalesce(b.spillover_count, 0) AS spillover_count, coalesce(b.spillover_tokens, 0) AS spillover_tokens,
  coalesce(b.spillover_usd, 0) AS spillover_usd, coalesce(b.spillover_unpriced_count, 0) AS spillover_unpriced_count,
  coalesce(b.spillover_count, 0) / nullif(d.attempt_count + coalesce(b.spillover_count, 0), 0) AS spillover_ratio,
  CASE WHEN d.tokens = 0 THEN CAST(0 AS DECIMAL(38,12)) ELSE o.on_demand_usd END AS on_demand_usd,
  1e6 * CAST(d.billed_usd AS DOUBLE) / nullif(d.tokens, 0) AS billed_usd_per_mtok,
  CAST(d.billed_usd AS DOUBLE) / nullif(CAST(o.on_demand_usd AS DOUBLE), 0) AS break_even_ratio,
  d.used_tokens / nullif(d.capacity_tokens, 0) * CAST(d.billed_usd AS DOUBLE) / nullif(CAST(o.on_demand_usd AS DOUBLE), 0)
    AS break_even_utilization_ratio,
  CASE WHEN d.billed_usd IS NULL OR (o.on_demand_usd IS NULL AND d.tokens > 0) THEN NULL
    WHEN d.tokens > 0 AND d.billed_usd <= o.on_demand_usd THEN 'provisioned' ELSE 'on_demand' END AS cheaper,
  d.is_provisional
FROM days d
LEFT JOIN first_region f USING (accrued_on, provider, deployment)
LEFT JOIN beside b ON b.accrued_on = d.accrued_on AND b.provider = d.provider AND b.deployment = d.deployment
  AND f.region = d.region
LEFT JOIN own o ON o.accrued_on = d.accrued_on AND o.provider = d.provider AND o.region = d.region
  AND o.deployment = d.deployment
