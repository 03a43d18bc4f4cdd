-- One row per accrued_hour x accrued_on x provider x region x route x model x chip x tenant
--
-- A logical request is counted once, on the first slice of the attempt that begins it: a row that names no
-- other request, or a first try that is no fallback. Every row decides alone, so cells sum to any roll-up
-- and an hour needs no other. Tokens sit on first slices, dollars on every slice. An answer from the gateway's own
-- cache called nobody: it is a request, and its tokens and its zero dollars are in no sum.
WITH slices AS (
  SELECT *,
    coalesce(attempt_no, 1) <> 0 AS is_call,
    is_first_accrual AND coalesce(attempt_no, 1) <> 0 AS is_attempt,
    is_first_accrual AND (
      logical_request_id IS NULL OR (coalesce(attempt_no, 1) <= 1 AND NOT coalesce(is_fallback, false))
    ) AS is_request,
    price_state <> 'unpriced' AS is_priced,
    coalesce(input_uncached_tokens, 0) + coalesce(cache_read_tokens, 0) + coalesce(cache_write_5m_tokens, 0)
      + coalesce(cache_write_1h_tokens, 0) + coalesce(audio_input_tokens, 0) + coalesce(image_input_tokens, 0)
      + coalesce(video_input_tokens, 0) + coalesce(cache_read_audio_tokens, 0)
      + coalesce(cache_read_image_tokens, 0) + coalesce(other_input_tokens, 0) AS all_input,
    coalesce(output_text_tokens, 0) + coalesce(reasoning_tokens, 0) + coalesce(audio_output_tokens, 0)
      + coalesce(image_output_tokens, 0) + coalesce(other_output_tokens, 0) AS all_output
  FROM core.request_costs
  WHERE accrued_hour >= $from_hour AND accrued_hour < $to_hour
),
cells AS (
  SELECT accrued_hour, accrued_on, provider, region, route, model, chip, tenant,
-- part: attempt_sums
    sum(fallback_premium_usd) AS fallback_premium_usd
  FROM slices
  GROUP BY accrued_hour, accrued_on, provider, region, route, model, chip, tenant
)
SELECT *,
  1 - unpriced_count / nullif(attempt_count, 0) AS priced_ratio,
  1e6 * CAST(usage_usd AS DOUBLE) / nullif(priced_tokens, 0) AS usage_usd_per_mtok,
  1e6 * CAST(input_usd AS DOUBLE) / nullif(priced_input_tokens, 0) AS input_usd_per_mtok,
  1e6 * CAST(output_usd AS DOUBLE) / nullif(priced_output_tokens, 0) AS output_usd_per_mtok
FROM cells
