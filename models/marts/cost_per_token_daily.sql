-- One row per accrued_on x provider x region x route x model x chip x tenant, (unallocated) pool-days included
WITH pool_days AS (
    -- What a pool-day cost beyond serving. What no replica held stays unallocated.
    SELECT provider, region, chip, deployment, commitment, accrued_on, any_value(model) AS model,
           sum(starting_usd + idle_usd + draining_usd + failed_usd + padding_usd + unused_commitment_usd) AS spread_usd,
           sum(unheld_usd) AS unheld_usd,
           sum(serving_usd) AS serving_usd,
           bool_or(is_provisional) AS is_provisional
    FROM core.pool_hours
    WHERE accrued_on >= $from_on AND accrued_on < $to_on
    GROUP BY provider, region, chip, deployment, commitment, accrued_on
),
weighted AS (
    -- Order, cumulate, round, difference: parts telescope to the whole, in integer picodollars.
    SELECT c.source, c.request_id, c.started_at, c.accrued_hour, c.accrued_on,
           (p.spread_usd * 1000000000000)::HUGEINT AS spread,
           sum((c.allocation_weight * 1000000)::HUGEINT) OVER running AS cumulated,
           (c.allocation_weight * 1000000)::HUGEINT AS weight,
           sum((c.allocation_weight * 1000000)::HUGEINT) OVER whole AS total
    FROM core.request_costs c
    JOIN pool_days p USING (provider, region, chip, deployment, commitment, accrued_on)
    WHERE c.accrued_on >= $from_on AND c.accrued_on < $to_on AND c.cost_basis = 'gpu' AND c.allocation_weight > 0
    WINDOW whole AS (PARTITION BY provider, region, chip, deployment, commitment, c.accrued_on),
           running AS (PARTITION BY provider, region, chip, deployment, commitment, c.accrued_on
                       ORDER BY c.source, c.request_id, c.started_at, c.accrued_hour
                       ROWS UNBOUNDED PRECEDING)
),
overheads AS (
    -- 2ab + c over 2c, floored, is a * b / c rounded half up without leaving the integers.
    SELECT source, request_id, started_at, accrued_hour, accrued_on,
           (((2 * spread * cumulated + total) // (2 * total))
             - ((2 * spread * (cumulated - weight) + total) // (2 * total))) AS overhead
    FROM weighted
),
attempts AS (
    SELECT c.* EXCLUDE (cost_basis),
           coalesce(input_uncached_tokens, 0) + coalesce(cache_read_tokens, 0)
           + coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0)
           + coalesce(audio_input_tokens, 0) + coalesce(image_input_tokens, 0)
           + coalesce(video_input_tokens, 0) + coalesce(cache_read_audio_tokens, 0)
           + coalesce(cache_read_image_tokens, 0) + coalesce(other_input_tokens, 0) AS input_count,
           coalesce(output_text_tokens, 0) + coalesce(reasoning_tokens, 0)
           + coalesce(audio_output_tokens, 0) + coalesce(image_output_tokens, 0)
           + coalesce(other_output_tokens, 0) AS output_count,
           coalesce(o.overhead, 0) * 0.000000000001::DECIMAL(13, 12) AS overhead_usd
    FROM core.request_costs c LEFT JOIN overheads o USING (source, request_id, started_at, accrued_hour, accrued_on)
    WHERE c.accrued_on >= $from_on AND c.accrued_on < $to_on
),
cells AS (
    SELECT accrued_on, provider, region, route, model, chip, tenant,
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
       sum(fallback_premium_usd) AS fallback_premium_usd,
       (sum(effective_usd + overhead_usd) FILTER (WHERE price_state <> 'unpriced'))::DECIMAL(38, 12) AS available_usd,
       1e6 * sum(effective_usd + overhead_usd) FILTER (WHERE price_state <> 'unpriced')::DOUBLE
         / nullif(sum(input_count + output_count) FILTER (WHERE price_state <> 'unpriced'), 0)
         AS available_usd_per_mtok,
       bool_or(is_provisional) AS is_provisional
    FROM attempts
    GROUP BY accrued_on, provider, region, route, model, chip, tenant
),
spread_days AS (SELECT DISTINCT accrued_on, provider, region, chip, deployment, commitment
    FROM core.request_costs
    WHERE accrued_on >= $from_on AND accrued_on < $to_on AND cost_basis = 'gpu' AND allocation_weight > 0),
left_over AS (
    SELECT p.accrued_on, p.provider, p.region, '(unallocated)' AS route, p.model, p.chip, NULL AS tenant,
           CASE WHEN s.deployment IS NULL THEN p.spread_usd + p.unheld_usd ELSE p.unheld_usd END AS available_usd,
           p.is_provisional
    FROM pool_days p
    LEFT JOIN spread_days s USING (provider, region, chip, deployment, commitment, accrued_on)
)
SELECT * FROM cells
UNION ALL BY NAME
SELECT accrued_on, provider, region, route, model, chip, tenant,
       0 AS request_count, 0 AS attempt_count, 0 AS error_count, 0 AS gateway_cache_hit_count,
       0 AS input_tokens, 0 AS output_tokens, 0 AS total_tokens, 0 AS unpriced_tokens, 0 AS unpriced_count,
       sum(available_usd)::DECIMAL(38, 12) AS available_usd, bool_or(is_provisional) AS is_provisional
FROM left_over
WHERE available_usd <> 0
GROUP BY accrued_on, provider, region, route, model, chip, tenant
