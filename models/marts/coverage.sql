-- One row per business day x source: how far the figures can be trusted
WITH attempts AS (
    SELECT accrued_on, source, request_id, started_at, price_state, usage_source, estimated_usd,
           coalesce(input_uncached_tokens, 0) + coalesce(cache_read_tokens, 0)
           + coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0)
           + coalesce(audio_input_tokens, 0) + coalesce(image_input_tokens, 0)
           + coalesce(video_input_tokens, 0) + coalesce(cache_read_audio_tokens, 0)
           + coalesce(cache_read_image_tokens, 0) + coalesce(other_input_tokens, 0)
           + coalesce(output_text_tokens, 0) + coalesce(reasoning_tokens, 0)
           + coalesce(audio_output_tokens, 0) + coalesce(image_output_tokens, 0)
           + coalesce(other_output_tokens, 0) AS tokens
    FROM core.request_costs
    WHERE accrued_on >= $from_on AND accrued_on < $to_on AND is_first_accrual AND coalesce(attempt_no, 1) > 0
),
late AS (
    SELECT source, request_id, started_at, true AS is_late
    FROM core.requests
    WHERE started_at >= $from_on::TIMESTAMPTZ - INTERVAL 2 DAY AND started_at < $to_on::TIMESTAMPTZ + INTERVAL 2 DAY
      AND ingested_at > started_at + INTERVAL 1 DAY
),
days AS (SELECT unnest(generate_series($from_on, $to_on - 1, INTERVAL 1 DAY))::DATE AS accrued_on),
removed AS (
    SELECT started_hour::DATE AS accrued_on, source, count(*) AS duplicate_count
    FROM ops.duplicates
    WHERE started_hour >= $from_on::TIMESTAMPTZ AND started_hour < $to_on::TIMESTAMPTZ
    GROUP BY ALL
),
refused AS (
    SELECT d.accrued_on, f.source, sum(f.quarantined_count) AS quarantined_count
    FROM ops.landed_files f
    JOIN days d ON f.first_at < d.accrued_on::TIMESTAMPTZ + INTERVAL 1 DAY AND f.last_at >= d.accrued_on::TIMESTAMPTZ
    WHERE f.quarantined_count > 0
    GROUP BY ALL
),
counted AS (
    SELECT accrued_on, source, count(*) AS attempt_count,
           count(*) FILTER (WHERE price_state = 'priced') AS priced_count,
           count(*) FILTER (WHERE price_state = 'free') AS free_count,
           count(*) FILTER (WHERE price_state = 'unpriced') AS unpriced_count,
           coalesce(sum(tokens) FILTER (WHERE price_state = 'unpriced'), 0)::BIGINT AS unpriced_tokens,
           sum(estimated_usd) FILTER (WHERE price_state = 'unpriced') AS unpriced_estimated_usd,
           count(*) FILTER (WHERE usage_source = 'provider') AS provider_usage_count,
           count(*) FILTER (WHERE usage_source = 'estimated') AS estimated_usage_count,
           count(*) FILTER (WHERE usage_source = 'missing') AS missing_usage_count,
           count(*) FILTER (WHERE is_late) AS late_count
    FROM attempts LEFT JOIN late USING (source, request_id, started_at)
    GROUP BY ALL
),
cells AS (
    SELECT accrued_on, source FROM counted UNION SELECT accrued_on, source FROM removed
    UNION SELECT accrued_on, source FROM refused
)
SELECT accrued_on, source,
       coalesce(attempt_count, 0) AS attempt_count, coalesce(priced_count, 0) AS priced_count,
       coalesce(free_count, 0) AS free_count, coalesce(unpriced_count, 0) AS unpriced_count,
       coalesce(unpriced_tokens, 0) AS unpriced_tokens, unpriced_estimated_usd,
       coalesce(provider_usage_count, 0) AS provider_usage_count,
       coalesce(estimated_usage_count, 0) AS estimated_usage_count,
       coalesce(missing_usage_count, 0) AS missing_usage_count,
       coalesce(duplicate_count, 0) AS duplicate_count, coalesce(quarantined_count, 0)::BIGINT AS quarantined_count,
       coalesce(late_count, 0) AS late_count,
       (priced_count + free_count)::DOUBLE / nullif(attempt_count, 0) AS priced_ratio,
       provider_usage_count::DOUBLE / nullif(attempt_count, 0) AS measured_ratio
FROM cells
LEFT JOIN counted USING (accrued_on, source)
LEFT JOIN removed USING (accrued_on, source)
LEFT JOIN refused USING (accrued_on, source)
