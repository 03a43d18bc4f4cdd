-- One row per accrued_on x provider x region x route x model x chip x tenant, and one (unallocated) row per pool-day without traffic
--
-- usage_usd is serving only. available_usd adds each pool-day's starting, idle, draining, failed, padding
-- and unused dollars, spread over that pool-day's allocation weights by the cumulative rule in whole
-- picodollars: order the slices, cumulate, round half-even, take differences, so the parts sum to the whole.
-- What has no weight to rest on, and what no replica held, stays on (unallocated) rows.
WITH pool_days AS (
  SELECT provider, region, chip, deployment, commitment, accrued_on,
    CASE WHEN count(DISTINCT model) = 1 AND count(model) = count(*) THEN min(model) END AS model,
    bool_or(is_provisional) AS is_provisional,
    sum(billed_usd) AS billed_usd,
    sum(unheld_usd) AS unheld_usd,
    CAST(
      sum(starting_usd + idle_usd + draining_usd + failed_usd + padding_usd + unused_commitment_usd)
        * 1000000000000 AS HUGEINT
    ) AS overhead
  FROM core.pool_hours
  WHERE accrued_on >= $from_on AND accrued_on < $to_on
  GROUP BY provider, region, chip, deployment, commitment, accrued_on
),
slices AS (
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
      + coalesce(image_output_tokens, 0) + coalesce(other_output_tokens, 0) AS all_output,
    CASE WHEN cost_basis = 'gpu' AND price_state <> 'unpriced'
      THEN CAST(allocation_weight * 1000000 AS HUGEINT) END AS weight
  FROM core.request_costs
  WHERE accrued_on >= $from_on AND accrued_on < $to_on
),
running AS (
  SELECT s.source, s.request_id, s.started_at, s.accrued_hour,
    provider, region, chip, deployment, commitment, accrued_on,
    p.overhead, p.is_provisional,
    sum(s.weight) OVER (pool_day ORDER BY s.source, s.request_id, s.started_at, s.accrued_hour ROWS UNBOUNDED PRECEDING) AS weight_so_far,
    sum(s.weight) OVER (pool_day) AS whole_weight
  FROM slices s JOIN pool_days p USING (provider, region, chip, deployment, commitment, accrued_on)
  WHERE s.weight > 0
  WINDOW pool_day AS (PARTITION BY provider, region, chip, deployment, commitment, accrued_on)
),
divided AS (
  SELECT *,
    (abs(overhead) * weight_so_far) // whole_weight AS quotient,
    (abs(overhead) * weight_so_far) % whole_weight AS rest
  FROM running
),
cumulated AS (
  SELECT *,
    sign(overhead)::HUGEINT * (
      quotient + CASE WHEN 2 * rest > whole_weight OR (2 * rest = whole_weight AND quotient % 2 = 1) THEN 1 ELSE 0 END
    ) AS share_so_far
  FROM divided
),
shares AS (
  SELECT source, request_id, started_at, accrued_hour, accrued_on, is_provisional AS is_share_provisional,
    CAST(
      (share_so_far - coalesce(lag(share_so_far) OVER (
        PARTITION BY provider, region, chip, deployment, commitment, accrued_on
        ORDER BY source, request_id, started_at, accrued_hour
      ), 0)) * 0.000000000001::DECIMAL(13,12) AS DECIMAL(38,12)
    ) AS overhead_usd
  FROM cumulated
),
attempts AS (
  SELECT s.*, h.overhead_usd, h.is_share_provisional
  FROM slices s LEFT JOIN shares h USING (source, request_id, started_at, accrued_hour, accrued_on)
),
cells AS (
  SELECT accrued_on, provider, region, route, model, chip, tenant,
    count(*) FILTER (is_request) AS request_count,
    count(*) FILTER (is_attempt) AS attempt_count,
    count(*) FILTER (is_attempt AND status = 'error') AS error_count,
    count(*) FILTER (is_first_accrual AND attempt_no = 0) AS gateway_cache_hit_count,
    CAST(sum(COLUMNS('.*_tokens$')) FILTER (is_call) AS BIGINT),
    CAST(coalesce(sum(all_input) FILTER (is_call), 0) AS BIGINT) AS input_tokens,
    CAST(coalesce(sum(all_output) FILTER (is_call), 0) AS BIGINT) AS output_tokens,
    CAST(coalesce(sum(all_input + all_output) FILTER (is_call), 0) AS BIGINT) AS total_tokens,
    CAST(coalesce(sum(all_input + all_output) FILTER (is_call AND NOT is_priced), 0) AS BIGINT) AS unpriced_tokens,
    CAST(sum(all_input) FILTER (is_call AND input_usd IS NOT NULL) AS BIGINT) AS priced_input_tokens,
    CAST(sum(all_output) FILTER (is_call AND output_usd IS NOT NULL) AS BIGINT) AS priced_output_tokens,
    count(*) FILTER (is_attempt AND NOT is_priced) AS unpriced_count,
    sum(effective_usd) FILTER (is_call) AS usage_usd,
    sum(input_usd) FILTER (is_call) AS input_usd,
    sum(output_usd) FILTER (is_call) AS output_usd,
    sum(estimated_usd) AS estimated_usd,
    sum(saved_usd) AS saved_usd,
    sum(fallback_premium_usd) AS fallback_premium_usd,
    sum(CAST(effective_usd AS DECIMAL(38,12)) + coalesce(overhead_usd, 0)) FILTER (is_call) AS available_usd,
    bool_or(is_provisional OR coalesce(is_share_provisional, false)) AS is_provisional
  FROM attempts
  GROUP BY accrued_on, provider, region, route, model, chip, tenant
),
weighted AS (
  SELECT DISTINCT provider, region, chip, deployment, commitment, accrued_on FROM running
),
left_over AS (
  SELECT p.accrued_on, p.provider, p.region, '(unallocated)' AS route, p.model, p.chip,
    sum(
      CASE WHEN w.accrued_on IS NULL
        THEN p.billed_usd - coalesce(served.serving_usd, 0) ELSE p.unheld_usd END
    ) AS available_usd,
    bool_or(p.is_provisional) AS is_provisional
  FROM pool_days p
  LEFT JOIN weighted w USING (provider, region, chip, deployment, commitment, accrued_on)
  LEFT JOIN (
    SELECT provider, region, chip, deployment, commitment, accrued_on, sum(effective_usd) AS serving_usd
    FROM slices WHERE cost_basis = 'gpu' GROUP BY ALL
  ) served USING (provider, region, chip, deployment, commitment, accrued_on)
  WHERE w.accrued_on IS NULL OR p.unheld_usd <> 0
  GROUP BY p.accrued_on, p.provider, p.region, p.model, p.chip
)
SELECT *,
  1 - unpriced_count / nullif(attempt_count, 0) AS priced_ratio,
  1e6 * CAST(usage_usd AS DOUBLE) / nullif(total_tokens - unpriced_tokens, 0) AS usage_usd_per_mtok,
  1e6 * CAST(input_usd AS DOUBLE) / nullif(priced_input_tokens, 0) AS input_usd_per_mtok,
  1e6 * CAST(output_usd AS DOUBLE) / nullif(priced_output_tokens, 0) AS output_usd_per_mtok,
  1e6 * CAST(available_usd AS DOUBLE) / nullif(total_tokens - unpriced_tokens, 0) AS available_usd_per_mtok
FROM cells
UNION ALL BY NAME
SELECT *, 0 AS request_count, 0 AS attempt_count, 0 AS error_count, 0 AS gateway_cache_hit_count,
  0 AS input_tokens, 0 AS output_tokens, 0 AS total_tokens, 0 AS unpriced_tokens, 0 AS unpriced_count
FROM left_over
