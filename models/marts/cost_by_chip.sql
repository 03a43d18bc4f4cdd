-- One row per accrued_on x model family x chip x provider x cost basis: the same model side by side
--
-- Pools are priced by GPU time, on both bases; token-priced rows are what the API charged, on the chip that its
-- provider is known to serve on (Groq, Cerebras).
WITH costs AS (
  SELECT accrued_on, cost_basis, provider, chip, coalesce(c.model_family, f.model_family, c.model) AS model_family,
    effective_usd,
    CASE WHEN price_state <> 'unpriced' THEN coalesce(input_uncached_tokens, 0) + coalesce(cache_read_tokens, 0)
      + coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0) + coalesce(audio_input_tokens, 0)
      + coalesce(image_input_tokens, 0) + coalesce(video_input_tokens, 0) + coalesce(cache_read_audio_tokens, 0)
      + coalesce(cache_read_image_tokens, 0) + coalesce(other_input_tokens, 0) ELSE 0 END AS input_tokens,
    CASE WHEN price_state <> 'unpriced' THEN coalesce(output_text_tokens, 0) + coalesce(reasoning_tokens, 0)
      + coalesce(audio_output_tokens, 0) + coalesce(image_output_tokens, 0) + coalesce(other_output_tokens, 0)
      ELSE 0 END AS output_tokens
  FROM core.request_costs c LEFT JOIN ref.model_families f ON f.name = lower(c.model)
  WHERE accrued_on >= $from_on AND accrued_on < $to_on AND chip IS NOT NULL
),
spent AS (
  SELECT accrued_on, cost_basis, provider, chip, model_family, CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    CAST(sum(output_tokens) AS BIGINT) AS output_tokens, sum(effective_usd) AS usage_usd
  FROM costs GROUP BY ALL
),
pools AS (
  SELECT accrued_on, 'gpu' AS cost_basis, p.provider, p.chip, coalesce(f.model_family, p.model) AS model_family,
    CASE WHEN count(billed_usd) = count(*) THEN sum(billed_usd) END AS billed_usd,
    sum(billed_gpu_seconds) AS billed_gpu_seconds, sum(serving_gpu_seconds) AS serving_gpu_seconds
  FROM core.pool_hours p LEFT JOIN ref.model_families f ON f.name = lower(p.model)
  WHERE accrued_on >= $from_on AND accrued_on < $to_on AND p.model IS NOT NULL
  GROUP BY ALL
)
SELECT accrued_on, cost_basis, provider, chip, model_family,
  coalesce(input_tokens, 0) AS input_tokens, coalesce(output_tokens, 0) AS output_tokens, usage_usd,
  CASE WHEN cost_basis = 'gpu' THEN billed_usd ELSE usage_usd END AS available_usd,
  1e6 * CAST(usage_usd AS DOUBLE) / nullif(input_tokens + output_tokens, 0) AS usage_usd_per_mtok,
  1e6 * CAST(CASE WHEN cost_basis = 'gpu' THEN billed_usd ELSE usage_usd END AS DOUBLE)
    / nullif(input_tokens + output_tokens, 0) AS available_usd_per_mtok,
  billed_gpu_seconds, serving_gpu_seconds,
  (input_tokens + output_tokens) / nullif(CAST(serving_gpu_seconds AS DOUBLE), 0) AS tokens_per_gpu_second
FROM spent FULL JOIN pools USING (accrued_on, cost_basis, provider, chip, model_family)
