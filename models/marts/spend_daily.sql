-- One row per accrued_on x component x figure_class x dimensions: the whole spend of a business day, corrections apart; sums to spend()
WITH attempts AS (
  SELECT *, coalesce(attempt_no, 1) <> 0 AS is_call,
    CASE WHEN cost_basis = 'gpu' THEN 'allocated'
      WHEN price_state = 'priced' AND price_id IS NULL AND effective_usd > 0 THEN 'provider_reported'
      WHEN usage_source <> 'provider' AND effective_usd > 0 THEN 'estimated'
      WHEN list_usd IS DISTINCT FROM effective_usd AND effective_usd IS NOT NULL THEN 'contracted'
      WHEN effective_usd IS NOT NULL THEN 'measured' END AS figure_class,
    coalesce(cache_read_tokens, 0) + coalesce(cache_read_audio_tokens, 0) + coalesce(cache_read_image_tokens, 0) AS cached,
    coalesce(input_uncached_tokens, 0) + coalesce(cache_read_tokens, 0) + coalesce(cache_write_5m_tokens, 0)
      + coalesce(cache_write_1h_tokens, 0) + coalesce(audio_input_tokens, 0) + coalesce(image_input_tokens, 0)
      + coalesce(video_input_tokens, 0) + coalesce(cache_read_audio_tokens, 0)
      + coalesce(cache_read_image_tokens, 0) + coalesce(other_input_tokens, 0) AS all_input,
    coalesce(output_text_tokens, 0) + coalesce(reasoning_tokens, 0) + coalesce(audio_output_tokens, 0)
      + coalesce(image_output_tokens, 0) + coalesce(other_output_tokens, 0) AS all_output
  FROM core.request_costs WHERE accrued_on >= $from_on AND accrued_on < $to_on
),
pool_parts AS (
  SELECT accrued_on, provider, region, chip, deployment, commitment, model,
    unnest([
      {'component': 'gpu_starting', 'part_usd': starting_usd}, {'component': 'gpu_idle', 'part_usd': idle_usd},
      {'component': 'gpu_draining', 'part_usd': draining_usd}, {'component': 'gpu_failed', 'part_usd': failed_usd},
      {'component': 'gpu_padding', 'part_usd': padding_usd}, {'component': 'gpu_unheld', 'part_usd': unheld_usd},
      {'component': 'gpu_unused_commitment', 'part_usd': unused_commitment_usd}
    ], recursive := true)
  FROM core.pool_hours WHERE accrued_on >= $from_on AND accrued_on < $to_on
)
SELECT accrued_on, CASE cost_basis WHEN 'gpu' THEN 'gpu_serving' ELSE 'tokens' END AS component, provider, region, route,
  deployment, commitment, model, chip, tenant, team, feature, environment, service_tier, figure_class,
  count(*) FILTER (is_call AND is_first_accrual) AS attempt_count,
  coalesce(sum(all_input) FILTER (is_call), 0)::BIGINT AS input_tokens,
  coalesce(sum(cached) FILTER (is_call), 0)::BIGINT AS cache_read_tokens,
  coalesce(sum(all_output) FILTER (is_call), 0)::BIGINT AS output_tokens,
  coalesce(sum(all_input + all_output) FILTER (is_call AND price_state = 'unpriced'), 0)::BIGINT AS unpriced_tokens,
  sum(effective_usd)::DECIMAL(38,12) AS usd,
  (sum(effective_usd) FILTER (fx_usd_per_unit IS NOT NULL))::DECIMAL(38,12) AS foreign_usd,
  CAST(
    sum(CASE WHEN fx_usd_per_unit IS NOT NULL
      THEN (effective_usd * 1000000000000)::HUGEINT * 1000000000000 // (fx_usd_per_unit * 1000000000000)::HUGEINT END)
      * 0.000000000001::DECIMAL(13,12) AS DECIMAL(38,12)
  ) AS foreign_amount
FROM attempts GROUP BY ALL
UNION ALL BY NAME
SELECT accrued_on, component, provider, region, deployment AS route, deployment, commitment, model, chip,
  NULL AS tenant, NULL AS team, NULL AS service_tier,
  CASE WHEN commitment IN ('committed', 'reserved') THEN 'contracted' ELSE 'measured' END AS figure_class,
  0 AS attempt_count, 0 AS input_tokens, 0 AS cache_read_tokens, 0 AS output_tokens, 0 AS unpriced_tokens,
  sum(part_usd)::DECIMAL(38,12) AS usd
FROM pool_parts GROUP BY ALL HAVING sum(part_usd) <> 0
UNION ALL BY NAME
SELECT accrued_on, 'other_charges' AS component, provider, region, route,
  CASE WHEN chip IS NOT NULL THEN route END AS deployment, NULL AS commitment, model, chip, tenant, NULL AS team,
  NULL AS service_tier, 'contracted' AS figure_class,
  0 AS attempt_count, 0 AS input_tokens, 0 AS cache_read_tokens, 0 AS output_tokens, 0 AS unpriced_tokens,
  sum(effective_usd)::DECIMAL(38,12) AS usd
FROM core.other_charges WHERE accrued_on >= $from_on AND accrued_on < $to_on
GROUP BY ALL HAVING sum(effective_usd) <> 0
