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
-- CASE, since DuckDB copies every column of a row for each FILTER.
cells AS (
  SELECT accrued_hour, accrued_on, provider, region, route, model, chip, tenant,
    count(CASE WHEN is_request THEN 1 END) AS request_count,
    count(CASE WHEN is_attempt THEN 1 END) AS attempt_count,
    count(CASE WHEN is_attempt AND status = 'error' THEN 1 END) AS error_count,
    count(CASE WHEN is_first_accrual AND attempt_no = 0 THEN 1 END) AS gateway_cache_hit_count,
    CAST(sum(CASE WHEN is_call THEN COLUMNS('.*_tokens$') END) AS BIGINT),
    CAST(coalesce(sum(CASE WHEN is_call THEN all_input END), 0) AS BIGINT) AS input_tokens,
    CAST(coalesce(sum(CASE WHEN is_call THEN all_output END), 0) AS BIGINT) AS output_tokens,
    CAST(coalesce(sum(CASE WHEN is_call THEN all_input + all_output END), 0) AS BIGINT) AS total_tokens,
    CAST(coalesce(sum(CASE WHEN is_call AND NOT is_priced THEN all_input + all_output END), 0) AS BIGINT) AS unpriced_tokens,
    CAST(coalesce(sum(CASE WHEN is_call AND is_priced THEN all_input + all_output END), 0) AS BIGINT) AS priced_tokens,
    CAST(sum(CASE WHEN is_call AND input_usd IS NOT NULL THEN all_input END) AS BIGINT) AS priced_input_tokens,
    CAST(sum(CASE WHEN is_call AND output_usd IS NOT NULL THEN all_output END) AS BIGINT) AS priced_output_tokens,
    count(CASE WHEN is_attempt AND NOT is_priced THEN 1 END) AS unpriced_count,
    sum(CASE WHEN is_call THEN effective_usd END) AS usage_usd,
    sum(CASE WHEN is_call THEN input_usd END) AS input_usd,
    sum(CASE WHEN is_call THEN output_usd END) AS output_usd,
    sum(estimated_usd) AS estimated_usd,
    sum(saved_usd) AS saved_usd,
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
