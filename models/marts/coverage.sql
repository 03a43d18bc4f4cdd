-- One row per accrued_on x source: how far the figures can be trusted
--
-- A removed duplicate counts on the day of the record that stayed, under the source that delivered it again.
-- Quarantined records count on every day on which their file has an attempt.
-- Read anew by each that needs it: of all attempts DuckDB would hold a copy.
WITH attempts AS NOT MATERIALIZED (
  SELECT source, request_id, started_at, accrued_on, attempt_no, price_state, usage_source, estimated_usd,
    assumed_meters, read_on,
    coalesce(attempt_no, 1) <> 0 AS is_attempt,
    coalesce(input_uncached_tokens, 0) + coalesce(cache_read_tokens, 0) + coalesce(cache_write_5m_tokens, 0)
      + coalesce(cache_write_1h_tokens, 0) + coalesce(audio_input_tokens, 0) + coalesce(image_input_tokens, 0)
      + coalesce(video_input_tokens, 0) + coalesce(cache_read_audio_tokens, 0)
      + coalesce(cache_read_image_tokens, 0) + coalesce(other_input_tokens, 0)
      + coalesce(output_text_tokens, 0) + coalesce(reasoning_tokens, 0) + coalesce(audio_output_tokens, 0)
      + coalesce(image_output_tokens, 0) + coalesce(other_output_tokens, 0) AS tokens
  FROM core.request_costs
  LEFT JOIN (SELECT DISTINCT price_id, read_on FROM ref.token_prices) USING (price_id)
  WHERE is_first_accrual AND accrued_on >= $from_on AND accrued_on < $to_on
),
counted AS (
  SELECT accrued_on, source,
    count(CASE WHEN is_attempt THEN 1 END) AS attempt_count,
    count(CASE WHEN is_attempt AND price_state = 'priced' THEN 1 END) AS priced_count,
    count(CASE WHEN is_attempt AND price_state = 'free' THEN 1 END) AS free_count,
    count(CASE WHEN is_attempt AND price_state = 'unpriced' THEN 1 END) AS unpriced_count,
    CAST(coalesce(sum(CASE WHEN price_state = 'unpriced' THEN tokens END), 0) AS BIGINT) AS unpriced_tokens,
    sum(CASE WHEN price_state = 'unpriced' THEN estimated_usd END) AS unpriced_estimated_usd,
    count(CASE WHEN is_attempt AND assumed_meters IS NOT NULL THEN 1 END) AS assumed_rate_count,
    count(CASE WHEN is_attempt AND accrued_on - read_on >= 30 THEN 1 END) AS old_price_count,
    min(CASE WHEN is_attempt THEN read_on END) AS oldest_price_on,
    count(CASE WHEN is_attempt AND usage_source = 'provider' THEN 1 END) AS provider_usage_count,
    count(CASE WHEN is_attempt AND usage_source = 'estimated' THEN 1 END) AS estimated_usage_count,
    count(CASE WHEN is_attempt AND usage_source = 'missing' THEN 1 END) AS missing_usage_count
  FROM attempts GROUP BY accrued_on, source
),
span AS (
  SELECT min(started_at) AS first_at, max(started_at) AS last_at FROM attempts
),
records AS NOT MATERIALIZED (
  SELECT r.source, r.source_kind, r.request_id, r.started_at, r.file_hash, r.line_number, r.ingested_at,
    r.unread_usage
  FROM core.requests r, span
  WHERE r.started_at >= span.first_at AND r.started_at <= span.last_at
),
late AS (
  SELECT a.accrued_on, a.source, count(*) AS late_count
  FROM attempts a JOIN records r USING (source, request_id, started_at)
  WHERE a.is_attempt AND epoch_us(r.ingested_at) - epoch_us(r.started_at) > 86400000000
  GROUP BY a.accrued_on, a.source
),
unread AS (
  SELECT a.accrued_on, a.source, count(*) AS unread_usage_count,
    mode(r.source_kind || ': ' || r.unread_usage ORDER BY r.source_kind, r.unread_usage) AS unread_usage_example
  FROM attempts a JOIN records r USING (source, request_id, started_at)
  WHERE r.unread_usage IS NOT NULL
  GROUP BY a.accrued_on, a.source
),
removed AS (
  SELECT accrued_on, source, count(*) AS duplicate_count
  FROM (
    SELECT DISTINCT a.accrued_on, d.source, d.file_hash, d.line_number, d.record_number
    FROM ops.duplicates d
    JOIN records r ON r.source = d.winner_source AND r.file_hash = d.winner_file_hash
      AND r.line_number = d.winner_line_number
    JOIN attempts a ON a.source = r.source AND a.request_id = r.request_id AND a.started_at = r.started_at
  )
  GROUP BY accrued_on, source
),
quarantined AS (
  SELECT accrued_on, source, sum(quarantined_count) AS quarantined_count
  FROM (
    SELECT DISTINCT a.accrued_on, f.source, f.file_hash, f.quarantined_count
    FROM ops.landed_files f
    JOIN records r ON r.file_hash = f.file_hash AND r.source = f.source
    JOIN attempts a ON a.source = r.source AND a.request_id = r.request_id AND a.started_at = r.started_at
    WHERE f.quarantined_count > 0
  )
  GROUP BY accrued_on, source
),
days AS (
  SELECT accrued_on, source FROM counted UNION SELECT accrued_on, source FROM removed
)
SELECT accrued_on, source,
  coalesce(attempt_count, 0) AS attempt_count,
  coalesce(priced_count, 0) AS priced_count,
  coalesce(free_count, 0) AS free_count,
  coalesce(unpriced_count, 0) AS unpriced_count,
  coalesce(unpriced_tokens, 0) AS unpriced_tokens,
  unpriced_estimated_usd,
  coalesce(assumed_rate_count, 0) AS assumed_rate_count,
  coalesce(old_price_count, 0) AS old_price_count,
  oldest_price_on,
  coalesce(provider_usage_count, 0) AS provider_usage_count,
  coalesce(estimated_usage_count, 0) AS estimated_usage_count,
  coalesce(missing_usage_count, 0) AS missing_usage_count,
  coalesce(duplicate_count, 0) AS duplicate_count,
  CAST(coalesce(quarantined_count, 0) AS BIGINT) AS quarantined_count,
  coalesce(late_count, 0) AS late_count,
  coalesce(unread_usage_count, 0) AS unread_usage_count,
  unread_usage_example,
  (priced_count + free_count) / nullif(attempt_count, 0) AS priced_ratio,
  provider_usage_count / nullif(attempt_count, 0) AS measured_ratio
FROM days
LEFT JOIN counted USING (accrued_on, source)
LEFT JOIN removed USING (accrued_on, source)
LEFT JOIN quarantined USING (accrued_on, source)
LEFT JOIN late USING (accrued_on, source)
LEFT JOIN unread USING (accrued_on, source)
