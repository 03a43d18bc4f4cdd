-- One row per accrued_hour x accrued_on x provider x region x route x model x chip x tenant
WITH attempts AS (
    SELECT * EXCLUDE (cost_basis),
           coalesce(input_uncached_tokens, 0) + coalesce(cache_read_tokens, 0)
           + coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0)
           + coalesce(audio_input_tokens, 0) + coalesce(image_input_tokens, 0)
           + coalesce(video_input_tokens, 0) + coalesce(cache_read_audio_tokens, 0)
           + coalesce(cache_read_image_tokens, 0) + coalesce(other_input_tokens, 0) AS input_count,
           coalesce(output_text_tokens, 0) + coalesce(reasoning_tokens, 0)
           + coalesce(audio_output_tokens, 0) + coalesce(image_output_tokens, 0)
           + coalesce(other_output_tokens, 0) AS output_count
    FROM core.request_costs
    WHERE accrued_hour >= $from_hour AND accrued_hour < $to_hour
)
SELECT accrued_hour, accrued_on, provider, region, route, model, chip, tenant,
       -- A logical request is counted where its first attempt began: retries and fallbacks add attempts only.
       count(*) FILTER (WHERE is_first_accrual AND coalesce(attempt_no, 1) <= 1 AND NOT coalesce(is_fallback, false))
         AS request_count,
       count(*) FILTER (WHERE is_first_accrual AND coalesce(attempt_no, 1) > 0) AS attempt_count,
       count(*) FILTER (WHERE is_first_accrual AND coalesce(attempt_no, 1) > 0 AND status <> 'ok') AS error_count,
       count(*) FILTER (WHERE attempt_no = 0) AS gateway_cache_hit_count,
       sum(input_uncached_tokens)::BIGINT AS input_uncached_tokens,
       sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
       sum(cache_write_5m_tokens)::BIGINT AS cache_write_5m_tokens,
       sum(cache_write_1h_tokens)::BIGINT AS cache_write_1h_tokens,
       sum(audio_input_tokens)::BIGINT AS audio_input_tokens,
       sum(image_input_tokens)::BIGINT AS image_input_tokens,
       sum(video_input_tokens)::BIGINT AS video_input_tokens,
       sum(cache_read_audio_tokens)::BIGINT AS cache_read_audio_tokens,
       sum(cache_read_image_tokens)::BIGINT AS cache_read_image_tokens,
       sum(other_input_tokens)::BIGINT AS other_input_tokens,
       sum(output_text_tokens)::BIGINT AS output_text_tokens,
       sum(reasoning_tokens)::BIGINT AS reasoning_tokens,
       sum(audio_output_tokens)::BIGINT AS audio_output_tokens,
       sum(image_output_tokens)::BIGINT AS image_output_tokens,
       sum(other_output_tokens)::BIGINT AS other_output_tokens,
       sum(input_count)::BIGINT AS input_tokens,
       sum(output_count)::BIGINT AS output_tokens,
       sum(input_count + output_count)::BIGINT AS total_tokens,
       coalesce(sum(input_count + output_count) FILTER (WHERE price_state = 'unpriced'), 0)::BIGINT AS unpriced_tokens,
       count(*) FILTER (WHERE is_first_accrual AND price_state = 'unpriced') AS unpriced_count,
       count(*) FILTER (WHERE is_first_accrual AND price_state <> 'unpriced')::DOUBLE
         / nullif(count(*) FILTER (WHERE is_first_accrual), 0) AS priced_ratio,
       sum(effective_usd) FILTER (WHERE price_state <> 'unpriced') AS usage_usd,
       sum(input_usd) FILTER (WHERE price_state <> 'unpriced') AS input_usd,
       sum(output_usd) FILTER (WHERE price_state <> 'unpriced') AS output_usd,
       1e6 * sum(effective_usd) FILTER (WHERE price_state <> 'unpriced')::DOUBLE
         / nullif(sum(input_count + output_count) FILTER (WHERE price_state <> 'unpriced'), 0) AS usage_usd_per_mtok,
       1e6 * sum(input_usd) FILTER (WHERE price_state <> 'unpriced')::DOUBLE
         / nullif(sum(input_count) FILTER (WHERE price_state <> 'unpriced'), 0) AS input_usd_per_mtok,
       1e6 * sum(output_usd) FILTER (WHERE price_state <> 'unpriced')::DOUBLE
         / nullif(sum(output_count) FILTER (WHERE price_state <> 'unpriced'), 0) AS output_usd_per_mtok,
       sum(estimated_usd) FILTER (WHERE price_state = 'unpriced') AS estimated_usd,
       sum(saved_usd) AS saved_usd,
       sum(fallback_premium_usd) AS fallback_premium_usd
FROM attempts
GROUP BY accrued_hour, accrued_on, provider, region, route, model, chip, tenant
