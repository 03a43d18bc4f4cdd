-- One row per accrued_on x pool x tenant x team x credential: what each used of the pool, and its part of the whole bill
--
-- Serving dollars are those of the attempts, by the pool's rule. All other dollars of the pool-day are spread over the
-- same weights as in mart.cost_per_token_daily (by quotas first, where the rule has them), a user at a time, by the
-- cumulative rule in whole picodollars. What rests on nobody is on a row whose tenant is (unallocated), so that the rows
-- of a pool-day sum to its bill.
WITH pool_days AS (
  SELECT accrued_on, provider, region, chip, deployment, commitment,
    CASE WHEN count(DISTINCT model) = 1 AND count(model) = count(*) THEN min(model) END AS model,
    sum(billed_usd) AS billed_usd,
    CAST(sum(starting_usd + idle_usd + draining_usd + failed_usd + padding_usd + unused_commitment_usd + unheld_usd)
      * 1000000000000 AS HUGEINT) AS overhead,
    bool_or(is_provisional) AS is_provisional
  FROM core.pool_hours
  WHERE accrued_on >= $from_on AND accrued_on < $to_on AND deployment <> '(none)'
  GROUP BY ALL
),
slices AS (
  SELECT c.accrued_on, c.provider, c.region, c.chip, c.deployment, c.commitment, c.tenant, c.team, r.api_key_id,
    c.is_first_accrual, c.effective_usd, c.price_state,
    CASE WHEN c.price_state <> 'unpriced' THEN CAST(c.allocation_weight * 1000000 AS HUGEINT) END AS weight,
    coalesce(c.input_uncached_tokens, 0) + coalesce(c.cache_read_tokens, 0) + coalesce(c.cache_write_5m_tokens, 0)
      + coalesce(c.cache_write_1h_tokens, 0) + coalesce(c.audio_input_tokens, 0) + coalesce(c.image_input_tokens, 0)
      + coalesce(c.video_input_tokens, 0) + coalesce(c.cache_read_audio_tokens, 0)
      + coalesce(c.cache_read_image_tokens, 0) + coalesce(c.other_input_tokens, 0) AS all_input,
    coalesce(c.output_text_tokens, 0) + coalesce(c.reasoning_tokens, 0) + coalesce(c.audio_output_tokens, 0)
      + coalesce(c.image_output_tokens, 0) + coalesce(c.other_output_tokens, 0) AS all_output,
    CASE WHEN c.is_first_accrual
      THEN greatest((epoch_us(r.finished_at) - epoch_us(r.started_at)) / 1e6 - coalesce(r.queue_seconds, 0), 0) END AS in_flight_seconds
  FROM core.request_costs c
  LEFT JOIN core.requests r ON r.source = c.source AND r.request_id = c.request_id AND r.started_at = c.started_at
    AND r.started_at >= $early AND r.started_at < $late
  WHERE c.accrued_on >= $from_on AND c.accrued_on < $to_on AND c.cost_basis = 'gpu' AND c.commitment IS NOT NULL
),
users AS (
  SELECT accrued_on, provider, region, chip, deployment, commitment, tenant, team, api_key_id,
    count(*) FILTER (is_first_accrual) AS attempt_count,
    CAST(sum(all_input) AS BIGINT) AS input_tokens, CAST(sum(all_output) AS BIGINT) AS output_tokens,
    sum(in_flight_seconds) AS in_flight_seconds, sum(weight) AS weight,
    CAST(coalesce(sum(effective_usd), 0) AS DECIMAL(38,12)) AS serving_usd
  FROM slices GROUP BY ALL
),
-- part: pots
running AS (
  SELECT u.*, payer, overhead,
    sum(u.weight) OVER (pot ORDER BY u.tenant NULLS FIRST, u.team NULLS FIRST, u.api_key_id NULLS FIRST
      ROWS UNBOUNDED PRECEDING) AS weight_so_far,
    sum(u.weight) OVER (pot) AS whole_weight
  FROM users u JOIN pots USING (accrued_on, provider, region, chip, deployment, commitment)
  WHERE u.weight > 0 AND (payer IS NULL OR payer = u.tenant)
  WINDOW pot AS (PARTITION BY accrued_on, provider, region, chip, deployment, commitment, payer)
),
shares AS (
  SELECT accrued_on, provider, region, chip, deployment, commitment, tenant, team, api_key_id,
    share_so_far(overhead, weight_so_far, whole_weight)
      - share_so_far(overhead, weight_so_far - weight, whole_weight) AS overhead
  FROM running
),
reserving AS (
  -- A tenant that reserved and sent nothing carries its part all the same.
  SELECT accrued_on, provider, region, chip, deployment, commitment, payer AS tenant, overhead
  FROM pots p ANTI JOIN running r USING (accrued_on, provider, region, chip, deployment, commitment, payer)
  WHERE payer IS NOT NULL AND overhead <> 0
),
told AS (
  SELECT u.*, coalesce(s.overhead, 0) AS overhead
  FROM users u LEFT JOIN shares s ON (s.accrued_on, s.provider, s.region, s.chip, s.deployment, s.commitment)
      = (u.accrued_on, u.provider, u.region, u.chip, u.deployment, u.commitment)
    AND s.tenant IS NOT DISTINCT FROM u.tenant AND s.team IS NOT DISTINCT FROM u.team
    AND s.api_key_id IS NOT DISTINCT FROM u.api_key_id
  UNION ALL BY NAME
  SELECT *, 0 AS attempt_count, 0 AS input_tokens, 0 AS output_tokens, CAST(0 AS DECIMAL(38,12)) AS serving_usd
  FROM reserving
),
priced AS (
  SELECT * EXCLUDE (overhead),
    CAST(overhead * CAST(0.000000000001 AS DECIMAL(13,12)) AS DECIMAL(38,12)) AS overhead_usd
  FROM told
),
left_over AS (
  SELECT p.accrued_on, p.provider, p.region, p.chip, p.deployment, p.commitment, '(unallocated)' AS tenant,
    0 AS attempt_count, 0 AS input_tokens, 0 AS output_tokens, CAST(0 AS DECIMAL(38,12)) AS serving_usd,
    CAST(p.billed_usd - coalesce(sum(t.serving_usd + t.overhead_usd), 0) AS DECIMAL(38,12)) AS overhead_usd
  FROM pool_days p LEFT JOIN priced t USING (accrued_on, provider, region, chip, deployment, commitment)
  GROUP BY p.accrued_on, p.provider, p.region, p.chip, p.deployment, p.commitment, p.billed_usd
  HAVING p.billed_usd <> coalesce(sum(t.serving_usd + t.overhead_usd), 0)
)
SELECT t.accrued_on, t.provider, t.region, t.chip, t.deployment, t.commitment, p.model, t.tenant, t.team, t.api_key_id,
  t.attempt_count, t.input_tokens, t.output_tokens, t.in_flight_seconds, t.serving_usd, t.overhead_usd,
  CAST(t.serving_usd + t.overhead_usd AS DECIMAL(38,12)) AS whole_usd,
  CAST(t.weight AS DOUBLE) / nullif(sum(CAST(t.weight AS DOUBLE)) OVER of_pool, 0) AS weight_ratio,
  CAST(t.serving_usd + t.overhead_usd AS DOUBLE) / nullif(CAST(p.billed_usd AS DOUBLE), 0) AS bill_ratio,
  coalesce(p.is_provisional, true) AS is_provisional
FROM (FROM priced UNION ALL BY NAME FROM left_over) t
LEFT JOIN pool_days p USING (accrued_on, provider, region, chip, deployment, commitment)
WINDOW of_pool AS (PARTITION BY t.accrued_on, t.provider, t.region, t.chip, t.deployment, t.commitment)
