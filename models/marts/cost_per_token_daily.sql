-- One row per accrued_on x dimensions of who asked what of whom, and one (unallocated) row per pool-day without traffic
--
-- What the prompt cache saved is what its reads would have cost as plain input, at the rates of the same price card;
-- writes cost more than plain input, which is stated apart. Both count tokens beyond a graduated threshold at that rate.
-- A model is locked in where nobody else could serve it: closed weights, and no other provider that has a price for them.
-- A reseller's calls end at the developer, so that it is no other provider.
-- usage_usd is serving only. available_usd adds each pool-day's starting, idle, draining, failed, padding
-- and unused dollars, spread over that pool-day's allocation weights by the cumulative rule in whole
-- picodollars: order the slices, cumulate, round half-even, take differences, so the parts sum to the whole.
-- Where a pool's rule has quotas, each reserving tenant carries its part of them, by its own weights, or on a
-- (reserved) row where it sent nothing. What has no weight to rest on, what a rule leaves unallocated, and what no
-- replica held, stays on (unallocated) rows.
WITH pool_models AS (
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
pool_days AS (
  SELECT p.*, model_family FROM pool_models p LEFT JOIN ref.model_families f ON f.name = lower(p.model)
),
-- Read anew by each that needs it: of all attempts DuckDB would hold a copy.
slices AS NOT MATERIALIZED (
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
known_as AS (
  SELECT DISTINCT known_as, lower(regexp_extract(known_as, '[^/]+$')) AS stem
  FROM (SELECT coalesce(model_family, model) AS known_as FROM slices UNION SELECT coalesce(model_family, model) FROM pool_days)
),
makers AS (
  SELECT known_as, arg_max(developer, length(f.stem) + CASE WHEN is_prefix THEN 0 ELSE 1000 END) AS developer,
    arg_max(is_open_weights, length(f.stem) + CASE WHEN is_prefix THEN 0 ELSE 1000 END) AS is_open_weights
  FROM known_as n JOIN ref.families f ON n.stem[:length(f.stem)] = f.stem AND (is_prefix OR n.stem = f.stem)
  GROUP BY known_as
),
sellers AS (
  SELECT DISTINCT model_family AS known_as, provider, valid_from, valid_to FROM ref.token_prices
  WHERE valid_from < $to_on AND (valid_to IS NULL OR valid_to > $from_on) AND known_to IS NULL AND provider <> 'openrouter'
    AND model_family IN (SELECT known_as FROM known_as)
),
offers AS (
  SELECT accrued_on, known_as, count(DISTINCT provider) AS provider_count
  FROM sellers JOIN (SELECT DISTINCT accrued_on FROM slices UNION SELECT accrued_on FROM pool_days) d
    ON valid_from < d.accrued_on + 1 AND (valid_to IS NULL OR valid_to > d.accrued_on)
  GROUP BY ALL
),
rates AS (
  SELECT price_id, any_value(beyond_price_id) AS beyond_price_id, any_value(above_input_tokens) AS above,
    max(CASE WHEN meter = 'input_uncached' THEN picodollars_per_unit END) AS plain,
    max(CASE WHEN meter = 'input_uncached' THEN picodollars_per_unit END) - max(CASE WHEN meter = 'cache_read' THEN picodollars_per_unit END) AS off,
    max(CASE WHEN meter = 'cache_write_5m' THEN picodollars_per_unit END) - max(CASE WHEN meter = 'input_uncached' THEN picodollars_per_unit END) AS on_5m,
    max(CASE WHEN meter = 'cache_write_1h' THEN picodollars_per_unit END) - max(CASE WHEN meter = 'input_uncached' THEN picodollars_per_unit END) AS on_1h
  FROM ref.token_prices
  WHERE meter IN ('input_uncached', 'cache_read', 'cache_write_5m', 'cache_write_1h') AND price_id IN (
    SELECT price_id FROM slices UNION SELECT beyond_price_id FROM ref.token_prices WHERE price_id IN (SELECT price_id FROM slices)
  )
  GROUP BY price_id
),
-- part: pots
running AS (
  SELECT s.source, s.request_id, s.started_at, s.accrued_hour,
    provider, region, chip, deployment, commitment, accrued_on, payer, overhead,
    sum(s.weight) OVER (pot ORDER BY s.source, s.request_id, s.started_at, s.accrued_hour ROWS UNBOUNDED PRECEDING) AS weight_so_far,
    sum(s.weight) OVER (pot) AS whole_weight
  FROM slices s JOIN pots USING (provider, region, chip, deployment, commitment, accrued_on)
  WHERE s.weight > 0 AND (payer IS NULL OR payer = s.tenant)
  WINDOW pot AS (PARTITION BY provider, region, chip, deployment, commitment, accrued_on, payer)
),
cumulated AS (
  SELECT *, share_so_far(overhead, weight_so_far, whole_weight) AS share_so_far FROM running
),
shares AS (
  SELECT source, request_id, started_at, accrued_hour, accrued_on,
    CAST(
      (share_so_far - coalesce(lag(share_so_far) OVER (
        PARTITION BY provider, region, chip, deployment, commitment, accrued_on, payer
        ORDER BY source, request_id, started_at, accrued_hour
      ), 0)) * 0.000000000001::DECIMAL(13,12) AS DECIMAL(38,12)
    ) AS overhead_usd
  FROM cumulated
),
attempts AS (
  SELECT s.*, h.overhead_usd, h.overhead_usd IS NOT NULL AND p.is_provisional AS is_share_provisional,
    coalesce(attempt_no, 1) > 1 AND NOT coalesce(is_fallback, false) AS is_retry
  FROM slices s LEFT JOIN shares h USING (source, request_id, started_at, accrued_hour, accrued_on)
  LEFT JOIN pool_days p USING (provider, region, chip, deployment, commitment, accrued_on)
),
prompts AS (
  SELECT a.*, r.off, r.on_5m, r.on_1h, b.off - r.off AS off_beyond, b.on_5m - r.on_5m AS on_5m_beyond,
    b.on_1h - r.on_1h AS on_1h_beyond,
    coalesce(cache_read_tokens, 0) AS reads, coalesce(cache_write_5m_tokens, 0) AS writes_5m,
    coalesce(cache_write_1h_tokens, 0) AS writes_1h,
    greatest(coalesce(cache_read_tokens, 0) - b.above, 0) AS reads_beyond,
    reads + coalesce(cache_read_audio_tokens, 0) + coalesce(cache_read_image_tokens, 0) AS before_writes,
    greatest(before_writes + writes_1h - b.above, 0) - greatest(before_writes - b.above, 0) AS writes_1h_beyond,
    greatest(before_writes + writes_1h + writes_5m - b.above, 0) - greatest(before_writes + writes_1h - b.above, 0) AS writes_5m_beyond
  -- A condition of one side alone would make DuckDB compare every attempt with every rate.
  FROM attempts a LEFT JOIN rates r
    ON r.price_id = CASE WHEN a.cost_basis = 'token' AND a.price_state = 'priced' THEN a.price_id END
  LEFT JOIN rates b ON b.price_id = r.beyond_price_id
),
cached AS (
  SELECT *, coalesce(fx_usd_per_unit, 1) AS fx,
    -- What is not read from the cache has no saving; what has no rate has no known one.
    CASE WHEN reads > 0 THEN reads::HUGEINT * off + CASE WHEN reads_beyond > 0 THEN reads_beyond::HUGEINT * off_beyond ELSE 0 END
    END AS read_saved,
    CASE WHEN writes_5m + writes_1h > 0 THEN
      CASE WHEN writes_5m > 0 THEN writes_5m::HUGEINT * on_5m ELSE 0 END
      + CASE WHEN writes_1h > 0 THEN writes_1h::HUGEINT * on_1h ELSE 0 END
      + CASE WHEN writes_5m_beyond > 0 THEN writes_5m_beyond::HUGEINT * on_5m_beyond ELSE 0 END
      + CASE WHEN writes_1h_beyond > 0 THEN writes_1h_beyond::HUGEINT * on_1h_beyond ELSE 0 END
    END AS write_added
  FROM prompts
),
cells AS (
  SELECT accrued_on, cost_basis, provider, region, route, model, model_family, chip, tenant, team, feature, environment,
    service_tier, operation,
-- part: attempt_sums
    sum(fallback_premium_usd) AS fallback_premium_usd,
    count(CASE WHEN is_attempt AND is_retry THEN 1 END) AS retry_count,
    count(CASE WHEN is_attempt AND is_fallback THEN 1 END) AS fallback_count,
    sum(CASE WHEN is_call THEN list_usd END) AS list_usd,
    sum(CASE WHEN is_call AND status = 'error' THEN effective_usd END) AS failed_usd,
    sum(CASE WHEN is_call AND status = 'cancelled' THEN effective_usd END) AS cancelled_usd,
    sum(CASE WHEN is_call AND is_retry THEN effective_usd END) AS retry_usd,
    CAST(sum(CASE WHEN is_call THEN (read_saved * fx)::DECIMAL(38,0) END) * 0.000000000001::DECIMAL(13,12) AS DECIMAL(38,12)) AS cache_read_saved_usd,
    CAST(sum(CASE WHEN is_call THEN (write_added * fx)::DECIMAL(38,0) END) * 0.000000000001::DECIMAL(13,12) AS DECIMAL(38,12)) AS cache_write_premium_usd,
    sum(CASE WHEN is_call THEN CAST(effective_usd AS DECIMAL(38,12)) + coalesce(overhead_usd, 0) END) AS available_usd,
    bool_or(is_provisional OR coalesce(is_share_provisional, false)) AS is_provisional
  FROM cached
  GROUP BY accrued_on, cost_basis, provider, region, route, model, model_family, chip, tenant, team, feature, environment,
    service_tier, operation
),
weighted AS (
  SELECT DISTINCT provider, region, chip, deployment, commitment, accrued_on, payer FROM running
),
reserved AS (
  -- A tenant that reserved and sent nothing carries its part all the same.
  SELECT p.accrued_on, p.provider, p.region, '(reserved)' AS route, d.model, d.model_family, p.chip, p.payer AS tenant,
    sum(CAST(p.overhead * 0.000000000001::DECIMAL(13,12) AS DECIMAL(38,12))) AS available_usd,
    bool_or(d.is_provisional) AS is_provisional
  FROM pots p JOIN pool_days d USING (provider, region, chip, deployment, commitment, accrued_on)
  ANTI JOIN weighted w ON (w.provider, w.region, w.chip, w.deployment, w.commitment, w.accrued_on, w.payer)
    = (p.provider, p.region, p.chip, p.deployment, p.commitment, p.accrued_on, p.payer)
  WHERE p.payer IS NOT NULL AND p.overhead <> 0
  GROUP BY ALL
),
carried AS (
  -- Pool-days whose overhead rests on weights or quotas.
  SELECT DISTINCT provider, region, chip, deployment, commitment, accrued_on FROM weighted
  UNION
  SELECT provider, region, chip, deployment, commitment, accrued_on FROM pots WHERE payer IS NOT NULL
),
served AS (
  SELECT provider, region, chip, deployment, commitment, accrued_on, sum(effective_usd) AS serving_usd,
    bool_or(weight > 0) AS has_weight
  FROM slices WHERE cost_basis = 'gpu' GROUP BY ALL
),
rests AS (
  SELECT p.*, c.accrued_on IS NULL AS is_uncarried,
    CASE WHEN has_weight THEN unheld_usd ELSE billed_usd - coalesce(serving_usd, 0) - overhead_usd END
      + CASE WHEN c.accrued_on IS NULL THEN overhead_usd ELSE 0 END AS rest_usd
  FROM (SELECT *, CAST(overhead * 0.000000000001::DECIMAL(13,12) AS DECIMAL(38,12)) AS overhead_usd FROM pool_days) p
  LEFT JOIN carried c USING (provider, region, chip, deployment, commitment, accrued_on)
  LEFT JOIN served USING (provider, region, chip, deployment, commitment, accrued_on)
),
left_over AS (
  SELECT accrued_on, provider, region, '(unallocated)' AS route, model, model_family, chip, NULL AS tenant,
    sum(rest_usd) AS available_usd, bool_or(is_provisional) AS is_provisional
  FROM rests WHERE is_uncarried OR rest_usd <> 0
  GROUP BY accrued_on, provider, region, model, model_family, chip
),
rows AS (
  FROM cells
  UNION ALL BY NAME
  SELECT *, 'gpu' AS cost_basis, 0 AS request_count, 0 AS attempt_count, 0 AS error_count, 0 AS gateway_cache_hit_count,
    0 AS retry_count, 0 AS fallback_count, 0 AS input_tokens, 0 AS output_tokens, 0 AS total_tokens, 0 AS unpriced_tokens,
    0 AS priced_tokens, 0 AS unpriced_count
  FROM (FROM left_over UNION ALL BY NAME FROM reserved)
)
SELECT r.*, model_family AS family, developer, is_open_weights,
  CASE WHEN is_open_weights THEN false WHEN NOT is_open_weights THEN coalesce(provider_count, 1) < 2 END AS is_locked_in,
  1 - unpriced_count / nullif(attempt_count, 0) AS priced_ratio,
  1e6 * CAST(usage_usd AS DOUBLE) / nullif(priced_tokens, 0) AS usage_usd_per_mtok,
  1e6 * CAST(input_usd AS DOUBLE) / nullif(priced_input_tokens, 0) AS input_usd_per_mtok,
  1e6 * CAST(output_usd AS DOUBLE) / nullif(priced_output_tokens, 0) AS output_usd_per_mtok,
  1e6 * CAST(available_usd AS DOUBLE) / nullif(priced_tokens, 0) AS available_usd_per_mtok
FROM rows r LEFT JOIN makers m ON m.known_as = coalesce(r.model_family, r.model)
LEFT JOIN offers o ON o.known_as = m.known_as AND o.accrued_on = r.accrued_on
